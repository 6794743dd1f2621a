"""What cannot be compiled is trained on step by step, as if compilation had never been tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from penstock.core.batch import Batch
from penstock.core.errors import RecipeError
from penstock.core.objective import Objective, Update
from penstock.engine.engine import Engine
from penstock.engine.tuning import whole_step

Make = Callable[..., Engine]


class Noisy(Objective):
    """A small network with dropout, batch statistics and a slow copy: all that a failed call may disturb."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Linear(6, 8, bias=False), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 2))
        self.slow = nn.Linear(8, 2).requires_grad_(False)
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def loss(self, batch: Batch) -> Update:
        found = functional.cross_entropy(self.model(batch["x"]), batch["target"])
        return Update(found * (1.2 - self.progress), weight=batch.size)

    def stepped(self) -> None:
        self.seen.add_(1)
        with torch.no_grad():
            self.slow.weight.lerp_(self.model[3].weight, 0.1)

    def evaluate(self, source: Any) -> Any:
        raise AssertionError("its marks are never met")


class Reads(Noisy):
    """Looks at a number."""

    def loss(self, batch: Batch) -> Update:
        found = super().loss(batch)
        return found if found.loss.item() < 0.7 else Update(found.loss / 2, weight=batch.size)


class Branches(Noisy):
    """Asks for a second update where the first one has left much to do."""

    def step(self, batch: Batch) -> Iterator[Update]:
        yield self.loss(batch)
        again = self.loss(batch)
        if again.loss > 0.5:
            yield again


class Fails(Noisy):
    """Breaks down in the third step of its first call, when weights, averages and random numbers have moved."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0

    def stepped(self) -> None:
        super().stepped()
        if isinstance(self.progress, Tensor):
            torch.rand(3)
            self.steps += 1
            if self.steps == 3:
                raise IndexError("no such thing\nand more of it")


def both(objective: type[Objective], make: Make, recorders: Any, **plan: Any) -> list[tuple[Engine, Any]]:
    found = []
    for compiled in ("on", "off"):
        recorder = recorders()
        options = {"steps": 13, "evaluate_every": 100, "ema": 0.8, "clip_norm": 1.0, "dtype": torch.float32} | plan
        torch.manual_seed(3)
        made = make(objective(), recorder, compile=compiled, **options)
        made.validation = None
        made.run()
        found.append((made, recorder))
    return found


def fell_back(one: tuple[Engine, Any], reason: str) -> None:
    engine, recorder = one
    assert len(recorder.lines) == 1
    assert recorder.lines[0].startswith("not compiled: ")
    assert reason in recorder.lines[0]
    assert "\n" not in recorder.lines[0]
    assert engine.plan.compile == engine.stepper.plan.compile == engine.state()[1]["settled"]["compile"] == "off"
    assert recorder.plans[-1] is engine.plan


@pytest.mark.parametrize(
    ("objective", "reason"), [(Reads, "data-dependent expression"), (Branches, "Data-dependent branching")]
)
def test_what_cannot_be_traced(
    objective: type[Objective], reason: str, whole_steps: Any, make_engine: Make, recorders: Any, alike: Any
) -> None:
    calls = whole_steps(2, backend="eager")
    found = both(objective, make_engine, recorders)
    assert calls == []
    fell_back(found[0], reason)
    alike(*found, 0.0)


def test_what_breaks_down_in_its_first_call_leaves_nothing_behind(
    whole_steps: Any, make_engine: Make, recorders: Any, alike: Any
) -> None:
    calls = whole_steps()
    found = both(Fails, make_engine, recorders)
    assert found[0][0].objective.steps == 3
    assert calls == []
    fell_back(found[0], "no such thing")
    assert found[0][1].lines == ["not compiled: no such thing"]
    alike(*found, 0.0)


def test_a_machine_that_cannot_compile(
    whole_steps: Any, make_engine: Make, recorders: Any, alike: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(graph: Any, inputs: Any) -> Any:
        raise OSError("g++ is not there")

    calls = whole_steps(2)
    monkeypatch.setattr(whole_step, "COMPILER", {"backend": broken})
    found = both(Noisy, make_engine, recorders)
    assert calls == []
    fell_back(found[0], "backend='broken' raised: OSError: g++ is not there")
    alike(*found, 0.0)


def test_numbers_of_its_own_that_change(whole_steps: Any, make_engine: Make, recorders: Any, alike: Any) -> None:
    class Counts(Noisy):
        def __init__(self) -> None:
            super().__init__()
            self.count = 1

        def loss(self, batch: Batch) -> Update:
            found = super().loss(batch)
            return Update(found.loss / self.count, weight=batch.size)

        def stepped(self) -> None:
            super().stepped()
            self.count += 1

    calls = whole_steps(2, backend="eager")
    found = both(Counts, make_engine, recorders, steps=7)
    assert calls == [2]  # compiled once, for numbers that were then no longer those
    fell_back(found[0], "something other than tensors changes from step to step")
    assert [engine.objective.count for engine, _ in found] == [8, 8]
    alike(*found, 1e-5)


def test_an_error_of_a_later_call_is_the_objectives_own(whole_steps: Any, make_engine: Make, recorder: Any) -> None:
    class Late(Fails):
        def stepped(self) -> None:
            self.steps += 1
            if self.steps == 12:
                raise IndexError("no such thing")

    calls = whole_steps(4)
    made = make_engine(Late(), recorder, compile="on", steps=20, dtype=torch.float32)
    made.validation = None
    with pytest.raises(IndexError, match="no such thing"):
        made.run()
    assert (calls, recorder.lines, made.plan.compile) == ([2, 6], [], "on")


def test_a_batch_in_parts(whole_steps: Any, make_engine: Make, recorders: Any, alike: Any) -> None:
    calls = whole_steps()
    found = []
    for compiled in ("on", "off"):
        recorder = recorders()
        made = make_engine("mlp", recorder, compile=compiled, accumulate=3)
        made.run()
        found.append((made, recorder))
    assert calls == []
    fell_back(found[0], "a batch in several parts is trained on step by step")
    alike(*found, 0.0)


class Misspelt(Noisy):
    def step(self, batch: Batch) -> Iterator[Update]:
        yield self.loss(batch)
        yield Update(self.loss(batch).loss, role="mdoel")


class Shut(Noisy):
    def step(self, batch: Batch) -> Iterator[Update]:
        found = self.loss(batch)
        with torch.no_grad():
            yield found


@pytest.mark.parametrize(
    ("objective", "message"),
    [(Misspelt, "objective: it asks to update 'mdoel'"), (Shut, "objective: it yields inside a no_grad block")],
)
def test_errors_of_an_objective_are_those_of_the_plain_way(
    objective: type[Objective], message: str, whole_steps: Any, make_engine: Make, recorder: Any
) -> None:
    calls = whole_steps(2)
    made = make_engine(objective(), recorder, compile="on", steps=9, dtype=torch.float32)
    with pytest.raises(RecipeError, match=message):
        made.run()
    assert (calls, recorder.lines) == ([], [])
    assert torch.is_grad_enabled()
