"""A number that is not finite within steps made together: the step and the place are named, and nothing has moved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from penstock.core.batch import Batch
from penstock.core.errors import NumericError
from penstock.core.objective import Objective, Update
from penstock.data.examples import InMemory
from penstock.data.sources import Shuffled
from penstock.engine.checkpoint import Checkpoints
from penstock.engine.engine import Engine
from penstock.engine.health import LatchedHealth
from penstock.engine.plan import Plan
from penstock.optim.adam import AdamW
from penstock.optim.schedules import Cosine
from penstock.optim.sgd import SGD


class Pair(Objective):
    """Two roles with dropout and noise; fields of a batch spoil the loss of either, or one gradient alone."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 1))
        self.second = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
        self.second.root = nn.Parameter(torch.zeros(2))

    def roles(self) -> dict[str, nn.Module | list[nn.Parameter]]:
        return {"first": self.first, "second": self.second}

    def step(self, batch: Batch) -> Iterator[Update]:
        x = batch["x"] + torch.randn_like(batch["x"]) * (1 - self.progress)
        disturbed = x + torch.tanh(self.second[0](x))
        yield Update(functional.mse_loss(self.first(disturbed.detach())[:, 0], batch["y"]), role="first")
        loss = self.first(disturbed).square().mean() * batch["factor"].mean()
        root = torch.where(batch["steep"].any(), self.second.root, 1.0)  # at 0, where the slope is infinite
        yield Update(loss + root.sqrt().sum(), role="second")


def points(**faults: tuple[int, float]) -> Shuffled:
    """Epochs of 12 batches of 5. `faults` puts a value into a field of the batch of that step."""
    generator = torch.Generator().manual_seed(0)
    fields = {
        "x": torch.randn(60, 4, generator=generator),
        "y": torch.randn(60, generator=generator),
        "factor": torch.ones(60),
        "steep": torch.zeros(60, dtype=torch.bool),
        "row": torch.arange(60),
    }
    order = Shuffled(InMemory(fields), torch.arange(60), batch_size=5, seed=1)
    drawn = [next(order)["row"] for _ in range(order.epoch_steps)]
    for name, (step, value) in faults.items():
        fields[name][drawn[step - 1][2]] = value
    return Shuffled(InMemory(fields), torch.arange(60), batch_size=5, seed=1)


def engine(source: Any, folder: Path, recorder: Any, kind: type[Objective] = Pair, **plan: Any) -> Engine:
    torch.manual_seed(0)
    settings = {"steps": 26, "log_every": 1, "precision": "float32", "compile": "on", "onednn": "off", "threads": 1}
    return Engine(
        kind(),
        source,
        Plan(**(settings | {"device": "cpu", "checkpoint_every": 0, "ema": 0.8, "clip_norm": 1.0} | plan)),
        {"first": AdamW(lr=0.02, schedule=Cosine(warmup=0.1)), "second": SGD(lr=0.05)},
        checkpoints=Checkpoints(folder, keep=1000),
        watchers=[recorder],
    )


def same_weights(made: Engine, expected: Engine) -> None:
    """As far as they may differ by rounding."""
    for name, role in expected.stepper.roles.items():
        mine = made.stepper.roles[name]
        assert mine.updates == role.updates
        torch.testing.assert_close(mine.flat.parameter, role.flat.parameter, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(mine.state, role.state, rtol=1e-5, atol=1e-6)
    assert made.average is not None
    assert expected.average is not None
    torch.testing.assert_close(made.average.tensors(), expected.average.tensors(), rtol=1e-5, atol=1e-6)


FAULTS: dict[str, tuple[dict[str, float], str]] = {
    "loss": ({"y": float("nan")}, "the loss of role 'first' is nan"),
    "second loss": ({"factor": float("inf")}, "the loss of role 'second' is inf"),
    "gradient": ({"steep": True}, "the gradient of 'root' is not finite (role 'second')"),
}


@pytest.mark.parametrize("step", range(1, 10))
@pytest.mark.parametrize("fault", FAULTS)
def test_the_step_and_the_place_are_named_and_nothing_has_moved(
    fault: str, step: int, whole_steps: Any, tmp_path: Path, recorders: Any
) -> None:
    calls = whole_steps(4)
    values, message = FAULTS[fault]
    ended = []
    for compiled in ("on", "off"):
        recorder = recorders()
        source = points(**{name: (step, value) for name, value in values.items()})
        made = engine(source, tmp_path / compiled, recorder, compile=compiled)
        with pytest.raises(NumericError) as caught:
            made.run()
        assert str(caught.value).startswith(f"step {step}: {message}; ")
        assert made.clock.step == step - 1
        assert [row["step"] for row in recorder.rows] == list(range(1, step))
        ended.append((made, recorder))
    assert calls == [2, 6][: max(step - 2, 0) // 4]  # the faulty steps are not made together
    (found, rows), (expected, expected_rows) = ended
    for row, other in zip(rows.numbers(), expected_rows.numbers(), strict=True):
        assert row == pytest.approx(other, rel=1e-5)
    same_weights(found, expected)
    assert found.checkpoints is not None
    assert found.checkpoints.names()[-1] == f"step-{step - 1:09}"


def test_where_numbers_are_read_late(whole_steps: Any, tmp_path: Path, recorder: Any) -> None:
    whole_steps(4)
    made = engine(points(y=(7, float("nan"))), tmp_path, recorder, log_every=100)
    made.stepper.health = LatchedHealth(torch.device("cpu"), alone=False)
    with pytest.raises(NumericError, match=r"^step 7: the gradient of '0.weight' is not finite"):
        made.run()
    assert bool(torch.isfinite(made.stepper.roles["first"].flat.parameter).all())


class OnlyTogether(Pair):
    """Not finite from the ninth step on, where steps are made together."""

    def step(self, batch: Batch) -> Iterator[Update]:
        bad = isinstance(self.progress, Tensor) and self.progress > 8.4 / 26
        for update in super().step(batch):
            yield Update(update.loss * float("nan"), role=update.role) if bad else update


def test_where_the_compiled_step_alone_is_not_finite(whole_steps: Any, tmp_path: Path, recorders: Any) -> None:
    calls = whole_steps(4)
    made = engine(points(), tmp_path / "on", recorders(), OnlyTogether)
    made.run()
    plain = engine(points(), tmp_path / "off", recorders(), OnlyTogether, compile="off")
    plain.run()
    assert calls == [2]  # what follows goes step by step
    same_weights(made, plain)
