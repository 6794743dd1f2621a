"""Steps made together: which they are, and that stops, faults and odd numbers within them change nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from penstock.core.batch import Batch
from penstock.core.errors import DataError, Interrupted
from penstock.core.objective import Evaluation, Objective, Update
from penstock.data.examples import InMemory
from penstock.data.sources import Shuffled
from penstock.engine.checkpoint import Checkpoints
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.optim.adam import AdamW
from penstock.optim.schedules import Cosine
from penstock.optim.sgd import SGD

STEPS = 16
CALLS = {"even": [2, 5, 8, 11], "ragged": [2, 8, 11]}
"""First steps of the groups of three, in epochs of 7 batches, with an evaluation after each: step 1 is made alone, and
so are 14, 15 and 16, before a mark; where the last batch of an epoch is smaller, 5, 6 and 7 too."""
STOPS = {"even": [0, 1, 4, 7, 10, 13, 14, 15, 16], "ragged": [0, 1, 4, 5, 6, 7, 10, 13, 14, 15, 16]}
"""Where the loop comes round: a checkpoint can be saved, a signal is heard."""
ROWS = {"even": 35, "ragged": 33}


class Pair(Objective):
    """Two roles, dropout, noise that fades, a slow copy."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 1))
        self.second = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
        self.slow = nn.Linear(8, 1).requires_grad_(False)

    def roles(self) -> dict[str, nn.Module | list[nn.Parameter]]:
        return {"first": self.first, "second": self.second}

    def step(self, batch: Batch) -> Iterator[Update]:
        x = batch["x"] + torch.randn_like(batch["x"]) * (1 - self.progress)
        loss = functional.mse_loss(self.first(x + self.second(x).detach())[:, 0], batch["y"])
        yield Update(loss, role="first", weight=batch.size)
        yield Update(self.first(x + self.second(x)).square().mean(), role="second", weight=batch.size)

    def stepped(self) -> None:
        with torch.no_grad():
            self.slow.weight.lerp_(self.first[3].weight, 0.2)

    def evaluate(self, source: Iterable[Batch]) -> Evaluation:
        return Evaluation({"loss": sum(float(self.first(batch["x"]).square().mean()) for batch in source)})


def points(rows: int) -> Shuffled:
    generator = torch.Generator().manual_seed(0)
    fields = {"x": torch.randn(rows, 4, generator=generator), "y": torch.randn(rows, generator=generator)}
    return Shuffled(InMemory(fields), torch.arange(rows), batch_size=5, seed=1)


class Disturbed:
    """A source that calls `event` before it gives its n-th batch."""

    def __init__(self, within: Any, event: Callable[[int], None]) -> None:
        self.within, self.event, self.count = within, event, 0
        self.epoch_steps = within.epoch_steps
        self.state_dict, self.load_state_dict = within.state_dict, within.load_state_dict

    def __next__(self) -> Batch:
        self.count += 1
        self.event(self.count)
        return next(self.within)


def engine(source: Any, folder: Path, recorder: Any, *, seed: int = 0, **plan: Any) -> Engine:
    torch.manual_seed(seed)
    settings = {"steps": STEPS, "log_every": 2, "precision": "float32", "compile": "on", "onednn": "off", "threads": 1}
    made = Engine(
        Pair(),
        source,
        Plan(**(settings | {"device": "cpu", "checkpoint_every": 0, "ema": 0.8, "clip_norm": 1.0} | plan)),
        {"first": AdamW(lr=0.02, schedule=Cosine(warmup=0.1)), "second": SGD(lr=0.05)},
        validation=[next(points(10))],
        checkpoints=Checkpoints(folder, keep=1000),
        watchers=[recorder],
    )
    torch.manual_seed(100 + seed)
    return made


def everything(made: Engine) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors, state = made.state()
    return tensors, {key: value for key, value in state.items() if key != "seconds"}


def assert_same(made: Engine, reference: Engine) -> None:
    (tensors, state), (expected, expected_state) = everything(made), everything(reference)
    assert state == expected_state
    assert tensors.keys() == expected.keys()
    assert [name for name, value in expected.items() if not torch.equal(tensors[name], value)] == []


def reached(made: Engine) -> list[int]:
    assert made.checkpoints is not None
    return [int(name.removeprefix("step-")) for name in made.checkpoints.names()]


@pytest.fixture
def calls(whole_steps: Any) -> list[int]:
    """Three steps a call, made as if compiled; the first step of each."""
    return whole_steps(3)


@pytest.fixture(params=["even", "ragged"])
def epochs(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def reference(epochs: str, calls: list[int], tmp_path: Path, recorders: Any) -> tuple[Engine, Any]:
    """A training that nothing disturbs, and its rows."""
    recorder = recorders()
    made = engine(points(ROWS[epochs]), tmp_path / "whole", recorder)
    made.run()
    assert (calls, reached(made), made.plan.compile) == (CALLS[epochs], STOPS[epochs], "on")
    calls.clear()
    return made, recorder


def test_resumed_from_every_checkpoint(
    epochs: str, reference: tuple[Engine, Any], calls: list[int], tmp_path: Path, recorders: Any
) -> None:
    whole, rows = reference[0], reference[1].rows
    assert [row["step"] for row in rows if row["split"] == "train"] == [*range(2, STEPS, 2), STEPS]
    assert [row["step"] for row in rows if row["split"] == "validation"] == [7, 14, 16]
    for step in STOPS[epochs]:
        calls.clear()
        part = recorders()
        made = engine(points(ROWS[epochs]), tmp_path / str(step), part, seed=1, checkpoint_every=1e9)
        made.load_state(*whole.checkpoints.load(f"step-{step:09}"))
        known = made.rows
        made.run()
        assert calls == [first for first in CALLS[epochs] if first > step]
        assert_same(made, whole)
        assert rows[:known] + part.rows == rows


def test_stopped_at_any_batch_and_resumed(
    epochs: str, reference: tuple[Engine, Any], calls: list[int], tmp_path: Path, recorders: Any
) -> None:
    def stop(count: int) -> None:
        if count == n:
            made.stop(15)

    whole, rows = reference[0], reference[1].rows
    for n in range(1, STEPS + 1):
        first, second = recorders(), recorders()
        source = Disturbed(points(ROWS[epochs]), stop)
        made = engine(source, tmp_path / str(n), first, checkpoint_every=1e9)
        with pytest.raises(Interrupted):
            made.run()
        looked_at = 5 if epochs == "ragged" and n in (6, 7) else n  # with 5, which was then made alone
        assert made.clock.step == min(step for step in STOPS[epochs] if step >= looked_at)
        again = engine(points(ROWS[epochs]), tmp_path / str(n), second, seed=1, checkpoint_every=1e9)
        again.load_state(*again.checkpoints.load(f"step-{made.clock.step:09}"))
        known = again.rows
        again.run()
        assert_same(again, whole)
        assert first.rows[:known] + second.rows == rows


def test_a_batch_that_is_lost_and_found_again(
    epochs: str, reference: tuple[Engine, Any], tmp_path: Path, recorders: Any
) -> None:
    def lose(count: int) -> None:
        if count == n:
            raise DataError("x.csv:9", "it is lost", "find it")

    whole, rows = reference[0], reference[1].rows
    for n in range(1, STEPS + 1):
        first, second = recorders(), recorders()
        made = engine(Disturbed(points(ROWS[epochs]), lose), tmp_path / str(n), first, checkpoint_every=1e9)
        with pytest.raises(DataError, match="it is lost"):
            made.run()
        looked_at = 5 if epochs == "ragged" and n in (6, 7) else n
        assert reached(made) == [max(step for step in STOPS[epochs] if step < looked_at)]
        again = engine(points(ROWS[epochs]), tmp_path / str(n), second, seed=1, checkpoint_every=1e9)
        again.load_state(*again.checkpoints.load(again.checkpoints.names()[-1]))
        known = again.rows
        again.run()
        assert_same(again, whole)
        assert first.rows[:known] + second.rows == rows


def test_resumed_as_dynamo_compiles_it(whole_steps: Any, tmp_path: Path, recorders: Any) -> None:
    calls = whole_steps(2, backend="eager")
    whole, part = recorders(), recorders()
    reference = engine(points(35), tmp_path / "a", whole, steps=7)
    reference.run()
    made = engine(points(35), tmp_path / "b", part, seed=1, steps=7)
    made.load_state(*reference.checkpoints.load("step-000000003"))
    known = made.rows
    made.run()
    assert calls == [2, 4, 6, 4, 6]
    assert_same(made, reference)
    assert whole.rows[:known] + part.rows == whole.rows


class Bucketed:
    """Three batches of 4 rows, three of 6, and so on, from the second on; what they hold follows from their number."""

    epoch_steps = 100

    def __init__(self) -> None:
        self.position = 0

    def __next__(self) -> Batch:
        generator = torch.Generator().manual_seed(self.position)
        rows = 4 if (self.position + 2) // 3 % 2 else 6
        self.position += 1
        numbers = torch.randn(rows, 5, generator=generator)
        fields = {
            "x": numbers[:, :4],
            "y": numbers[:, 4],
            "factor": torch.ones(rows),
            "steep": torch.zeros(rows).bool(),
        }
        return Batch(fields)

    def state_dict(self) -> dict[str, Any]:
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.position = state["position"]


def test_the_shape_that_is_compiled_for_is_that_of_the_whole_training(
    calls: list[int], tmp_path: Path, recorders: Any
) -> None:
    reference = engine(Bucketed(), tmp_path / "whole", recorders(), steps=17)
    reference.run()
    assert calls == [2, 8, 14]
    assert reached(reference) == [0, 1, 4, 5, 6, 7, 10, 11, 12, 13, 16, 17]
    for step in reached(reference):
        calls.clear()
        made = engine(Bucketed(), tmp_path / str(step), recorders(), seed=1, steps=17, checkpoint_every=1e9)
        made.load_state(*reference.checkpoints.load(f"step-{step:09}"))
        made.run()
        assert calls == [first for first in (2, 8, 14) if first > step]
        assert_same(made, reference)


def test_a_time_budget_ends_it_between_calls(calls: list[int], tmp_path: Path, recorder: Any) -> None:
    made = engine(points(35), tmp_path, recorder, steps=None, minutes=10.0)
    recorder.measured = lambda row: made.clock.start(row["step"], 601.0) if row["step"] == 10 else None
    assert made.run() == "the time budget of 10 minutes was used"
    assert made.clock.step == 10
    assert calls == [2, 5, 8]
