"""Objectives of several kinds, to be trained on step by step and several steps a call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from penstock.core.batch import Batch
from penstock.core.objective import Evaluation, Objective, Update
from penstock.data.examples import InMemory
from penstock.data.sources import InOrder, Shuffled
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.objectives.supervised import Classification
from penstock.optim.adam import Adam, AdamW
from penstock.optim.adaptive import RMSprop
from penstock.optim.optimizer import Optimizer
from penstock.optim.schedules import Cosine
from penstock.optim.sgd import SGD

STEPS = 29


def points(dtype: torch.dtype, ragged: bool) -> tuple[Shuffled, InOrder]:
    """Epochs of 6 batches, the last of 5 rows where ragged; 2 held-out batches."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 6, generator=generator, dtype=torch.float64)
    stored = InMemory({"x": x.to(dtype), "target": (x[:, 0] * x[:, 1] > 0).long()})
    order = Shuffled(stored, torch.arange(45 if ragged else 48), batch_size=8, seed=3)
    return order, InOrder(stored, torch.arange(48, 60), batch_size=6)


def classifier(norm: bool = False, dropout: float = 0.0, class_weights: torch.Tensor | None = None) -> Objective:
    middle = nn.BatchNorm1d(16) if norm else nn.LayerNorm(16)
    first = nn.Linear(6, 16, bias=not norm)  # a bias before a batch norm has no gradient but rounding errors
    model = nn.Sequential(first, middle, nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 2))
    return Classification(model, ["x"], smoothing=0.1, class_weights=class_weights)


class Players(Objective):
    """A classifier and an adversary that disturbs its input, whose noise fades out as training proceeds.

    The classifier follows itself at a distance.
    """

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 2))
        self.adversary = nn.Sequential(nn.Linear(6, 6), nn.Tanh())
        self.target = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 2)).requires_grad_(False)

    def roles(self) -> dict[str, nn.Module | list[nn.Parameter]]:
        return {"classifier": self.classifier, "adversary": self.adversary}

    def step(self, batch: Batch) -> Iterator[Update]:
        x = batch["x"]
        disturbed = x + self.adversary(x + torch.randn_like(x) * (1 - self.progress))
        goal = self.target(x).softmax(1) * 0.3 + functional.one_hot(batch["target"], 2) * 0.7
        loss = functional.cross_entropy(self.classifier(disturbed.detach()), goal)
        yield Update(loss, role="classifier", weight=batch.size)
        loss = functional.cross_entropy(self.classifier(disturbed), goal)
        yield Update(-loss, role="adversary", weight=batch.size)

    def stepped(self) -> None:
        with torch.no_grad():
            for slow, fast in zip(self.target.parameters(), self.classifier.parameters(), strict=True):
                slow.lerp_(fast, 0.3)

    def evaluate(self, source: Iterable[Batch]) -> Evaluation:
        losses = [float(functional.cross_entropy(self.target(batch["x"]), batch["target"])) for batch in source]
        return Evaluation({"loss": sum(losses)})


SMOOTH = Cosine(warmup=0.2)
FAMILIES: dict[str, tuple[Callable[[], Objective], Mapping[str, Optimizer]]] = {
    "mlp": (classifier, {"model": AdamW(lr=0.02, weight_decay=0.1, schedule=SMOOTH)}),
    "norm and dropout": (lambda: classifier(norm=True, dropout=0.3), {"model": Adam(lr=0.02, schedule=SMOOTH)}),
    "weighted": (lambda: classifier(class_weights=torch.tensor([0.5, 2.0])), {"model": AdamW(lr=0.02)}),
    "two roles": (Players, {"classifier": SGD(lr=0.1, schedule=SMOOTH), "adversary": RMSprop(lr=0.01)}),
}


@pytest.fixture
def make_engine() -> Callable[..., Engine]:
    """An engine by the name of a family, or for an objective; by default it evaluates at marks that no group meets."""

    def make(
        family: str | Objective,
        watcher: Any,
        *,
        optimizers: Mapping[str, Optimizer] | None = None,
        dtype: torch.dtype = torch.float64,
        ragged: bool = False,
        source: Any = None,
        checkpoints: Any = None,
        seed: int = 0,
        **plan: Any,
    ) -> Engine:
        torch.manual_seed(seed)
        if isinstance(family, str):
            make_objective, optimizers = FAMILIES[family][0], optimizers or FAMILIES[family][1]
            objective = make_objective()
        else:
            objective = family
        training, held_out = points(dtype, ragged)
        settings = {"steps": STEPS, "log_every": 3, "evaluate_every": 1.9, "precision": "float32", "onednn": "off"}
        made = Engine(
            objective.to(dtype),
            source or training,
            Plan(**(settings | {"threads": 1, "device": "cpu", "keep": "last"} | plan)),
            optimizers or {"model": SGD(lr=0.1)},
            validation=held_out,
            checkpoints=checkpoints,
            watchers=[watcher],
        )
        torch.manual_seed(100)
        return made

    return make


def flattened(values: Any, name: str = "") -> dict[str, Any]:
    """Nested JSON values by the path to each."""
    if isinstance(values, dict):
        return {key: found for part, v in values.items() for key, found in flattened(v, f"{name}/{part}").items()}
    return {name: values}


@pytest.fixture
def alike() -> Callable[..., None]:
    """Checks that two trainings came to the same: all tensors, counts and rows, random states bit for bit."""

    def check(one: tuple[Engine, Any], other: tuple[Engine, Any], tolerance: float) -> None:
        (tensors, state), (expected, expected_state) = (engine.state() for engine, _ in (one, other))
        assert tensors.keys() == expected.keys()
        for name, value in expected.items():
            exact = name.startswith("random/") or not value.is_floating_point()
            allowed = 0.0 if exact else tolerance
            torch.testing.assert_close(
                tensors[name], value, rtol=allowed, atol=allowed, msg=lambda text, name=name: f"{name}: {text}"
            )
        for left_out in ("seconds", "settled", "pace"):
            state.pop(left_out), expected_state.pop(left_out)
        numbers, expected_numbers = flattened(state), flattened(expected_state)
        assert numbers.keys() == expected_numbers.keys()
        for name, value in expected_numbers.items():
            assert numbers[name] == (pytest.approx(value, rel=tolerance) if isinstance(value, float) else value), name
        rows, expected_rows = one[1].rows, other[1].rows
        assert [row["split"] for row in rows] == [row["split"] for row in expected_rows]
        for row, expected_row in zip(one[1].numbers(), other[1].numbers(), strict=True):
            assert row == pytest.approx(expected_row, rel=tolerance, abs=tolerance)
            assert row["step"] == expected_row["step"]

    return check
