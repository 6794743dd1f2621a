"""What the tests of several ranks train: small objectives of every form, on the same data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from penstock.core.batch import Batch
from penstock.core.errors import PenstockError
from penstock.core.objective import Objective, Update
from penstock.core.ranks import Ranks
from penstock.data.examples import InMemory
from penstock.data.sources import InOrder, Shuffled
from penstock.engine.engine import Engine
from penstock.engine.health import LatchedHealth
from penstock.engine.plan import Plan
from penstock.engine.watcher import Row, Watcher
from penstock.objectives.supervised import Classification
from penstock.optim.adam import Adam, AdamW
from penstock.optim.schedules import Linear
from penstock.optim.sgd import SGD

STEPS, COUNT = 20, 46


class Rows(Watcher):
    """Keeps every row and the names of checkpoints."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.saves: list[str] = []

    def measured(self, row: Row) -> None:
        self.rows.append(row)

    def saved(self, path: Path) -> None:
        self.saves.append(path.name)


def data() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(COUNT + 30, 6, generator=generator, dtype=torch.float64)
    return {"x": x, "target": (x[:, 0] > 0).long() + (x[:, 1] > 1)}


def source(ranks: Ranks, batch_size: int = 17, **given: Any) -> Shuffled:
    """Batches of 17, 17 and 12."""
    stored = given.pop("stored", None) or InMemory(data())
    return Shuffled(stored, torch.arange(COUNT), batch_size=batch_size, seed=3, ranks=ranks, **given)


def held_out() -> InOrder:
    return InOrder(InMemory(data()), torch.arange(COUNT, COUNT + 30), batch_size=7)


def network(dropout: float = 0.0, norm: type[nn.Module] = nn.LayerNorm) -> nn.Module:
    layers = nn.Linear(6, 16), norm(16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 3)
    return nn.Sequential(*layers).double()


def classifier(**options: Any) -> Classification:
    return Classification(network(**options), ["x"], smoothing=0.1, class_weights=torch.tensor([0.5, 1, 4]).double())


class OwnStep(Objective):
    """Two roles in turns: a net, and noise that disturbs it; the second has its turn every other time."""

    def __init__(self) -> None:
        super().__init__()
        self.model, self.noise = network(), nn.Linear(6, 6).double()
        self.odd_rank_stops, self.count = -1, 0

    def roles(self) -> dict[str, nn.Module | list[nn.Parameter]]:
        return {"model": self.model, "noise": list(self.noise.parameters())}

    def step(self, batch: Batch) -> Iterator[Update]:
        self.count += 1
        loss = functional.cross_entropy(self.model(batch["x"] + self.noise(batch["x"]).detach()), batch["target"])
        yield Update(loss, role="model", weight=batch.size)
        if int(self.progress * STEPS) % 2 and self.odd_rank_stops != self.count:
            loss = functional.cross_entropy(self.model(batch["x"] + self.noise(batch["x"])), batch["target"])
            yield Update(-loss, role="noise", weight=batch.size)


class OneRole(Objective):
    """Writes `step` for its only role."""

    def __init__(self) -> None:
        super().__init__()
        self.model = network()

    def step(self, batch: Batch) -> Iterator[Update]:
        for _ in range(2):
            yield Update(functional.cross_entropy(self.model(batch["x"]), batch["target"]), weight=batch.size)


ONE = {"model": AdamW(lr=0.02, schedule=Linear())}
TWO = {"model": Adam(lr=0.01), "noise": SGD(lr=0.02, momentum=0.9)}
FAMILIES: dict[str, tuple[Callable[[], Objective], Any, dict[str, Any], dict[str, Any]]] = {
    "weighed": (classifier, ONE, {"clip_norm": 0.5, "ema": 0.9}, {}),
    "accumulated": (classifier, ONE, {"accumulate": 3, "clip_value": 0.01}, {}),
    "few": (classifier, ONE, {}, {"batch_size": 3}),
    "latched": (classifier, ONE, {"clip_norm": 0.5}, {}),
    "single": (classifier, ONE, {}, {"batch_size": 1}),
    "two roles": (OwnStep, TWO, {}, {}),
    "two roles, few": (OwnStep, TWO, {"accumulate": 2}, {"batch_size": 3}),
    "one role": (OneRole, ONE, {}, {"batch_size": 5}),
}


def make(ranks: Ranks, family: str, seed: int = 0, **plan: Any) -> tuple[Engine, Rows]:
    objective, optimizers, own, more = FAMILIES[family]
    torch.manual_seed(seed)
    settings = {"steps": STEPS, "device": "cpu", "log_every": 4, "evaluate_every": 1} | own | plan
    watcher, made = Rows(), objective()
    validation = held_out() if isinstance(made, Classification) else None
    engine = Engine(
        made,
        source(ranks, **more),
        Plan(**settings),
        optimizers,
        validation=validation,
        watchers=[watcher],
        ranks=ranks,
    )
    if family == "latched":  # as on a GPU
        engine.stepper.health = LatchedHealth(torch.device("cpu"), alone=True)
    return engine, watcher


def numbers(objective: nn.Module) -> dict[str, list[float]]:
    return {name: value.double().flatten().tolist() for name, value in objective.state_dict().items()}


def said(engine: Engine) -> list[Any]:
    """Runs; what came out of it, and the step that was reached."""
    try:
        outcome: Any = engine.run()
    except (PenstockError, ZeroDivisionError) as error:
        outcome = [str(error), getattr(error, "code", 1), getattr(error, "told", False)]
    return [outcome, engine.clock.step, numbers(engine.objective)["model.0.weight"][:3]]


def after(engine: Engine, step: int, event: Callable[[], None]) -> None:
    """Arranges for something to happen while this step is made."""
    original = engine.stepper.step

    def wrapped(batch: Batch, number: int, progress: float) -> None:
        if number == step:
            event()
        original(batch, number, progress)

    engine.stepper.step = wrapped  # type: ignore[method-assign]
