"""When a run evaluates, what it keeps, when it ends, and that looking on changes nothing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from penstock.core.batch import Batch
from penstock.core.errors import PenstockError, RecipeError
from penstock.core.objective import Evaluation, Objective, Update
from penstock.data.examples import InMemory
from penstock.data.sources import InOrder, Shuffled
from penstock.engine import clock as clock_module
from penstock.engine.best import Best
from penstock.engine.clock import Clock
from penstock.engine.device import pick_device
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.optim.sgd import SGD

EPOCH = 5
"""Steps an epoch: 20 examples in batches of 4."""


class Scripted(Objective):
    """Trains a small network with dropout; its evaluations give what a script says, or their loss."""

    def __init__(self, *script: dict[str, float]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.BatchNorm1d(8), nn.Linear(8, 1))
        self.script = list(script)
        self.weights: list[dict[str, Tensor]] = []
        self.progresses: list[float] = []

    def loss(self, batch: Batch) -> Update:
        self.progresses.append(self.progress)
        return Update(functional.mse_loss(self.model(batch["x"])[:, 0], batch["y"]), weight=batch.size)

    def evaluate(self, source: Iterable[Batch]) -> Evaluation:
        assert not self.model.training
        self.weights.append({name: value.clone() for name, value in self.state_dict().items()})
        noise = float(torch.rand(()))  # evaluations may draw numbers of their own
        losses = [float(functional.mse_loss(self.model(batch["x"])[:, 0], batch["y"])) for batch in source]
        return Evaluation(self.script.pop(0) if self.script else {"loss": sum(losses) / len(losses) + 0 * noise})

    def equals(self, other: dict[str, Tensor]) -> bool:
        return all(torch.equal(value, other[name]) for name, value in self.state_dict().items())


def stored() -> InMemory:
    generator = torch.Generator().manual_seed(0)
    return InMemory({"x": torch.randn(26, 3, generator=generator), "y": torch.randn(26, generator=generator)})


EXPLICIT: dict[str, Any] = {"precision": "float32", "compile": "off", "onednn": "off", "threads": 1}
"""Nothing is left to choose by rule: these objectives write down each call, and a look at their work would be one."""


def engine(objective: Objective, watchers: Any = (), *, validated: bool = True, **plan: Any) -> Engine:
    source = Shuffled(stored(), torch.arange(20), batch_size=4, seed=0)
    validation = InOrder(stored(), torch.arange(20, 26), batch_size=4) if validated else None
    plan = EXPLICIT | {"device": "cpu", "log_every": 100} | plan
    return Engine(objective, source, Plan(**plan), {"model": SGD(lr=0.05)}, validation=validation, watchers=watchers)


def losses(*values: float) -> list[dict[str, float]]:
    return [{"loss": value} for value in values]


@pytest.mark.parametrize(
    ("every", "plan", "steps"),
    [
        (1, {"epochs": 3}, [5, 10, 15]),
        (0.4, {"epochs": 1}, [2, 4, 5]),  # the end is always evaluated, and once
        (2, {"epochs": 3}, [10, 15]),
        (0.01, {"steps": 3}, [1, 2, 3]),
        (9, {"epochs": 1.2}, [6]),
    ],
)
def test_evaluations_are_on_the_clock(every: float, plan: dict[str, float], steps: list[int], recorder: Any) -> None:
    engine(Scripted(), [recorder], evaluate_every=every, **plan).run()
    assert [row["step"] for row in recorder.of("validation")] == steps
    assert [row["epoch"] for row in recorder.of("validation")] == [step / EPOCH for step in steps]
    assert recorder.events == ["started 0", f"finished {steps[-1]}"]


def test_how_often_one_evaluates_changes_nothing(recorders: Any) -> None:
    found = []
    for every, validated in [(0.2, True), (1, True), (1, False)]:
        objective, recorder = Scripted(), recorders()
        torch.manual_seed(7)
        plan = {"epochs": 4, "evaluate_every": every, "keep": "last", "log_every": 3}
        engine(objective, [recorder], validated=validated, **plan).run()
        found.append((objective, recorder.of("train"), torch.get_rng_state()))
    (first, rows, state), *others = found
    assert len(first.weights) == 20
    assert len(rows) == 7  # every third step, and the last
    for other, other_rows, other_state in others:
        assert first.equals(other.state_dict())
        assert other_rows == rows
        assert torch.equal(other_state, state)


def test_rows_of_training_hold_the_mean_loss_the_norm_and_the_rate(recorder: Any) -> None:
    engine(Scripted(), [recorder], steps=7, log_every=3, validated=False).run()
    assert [(row["step"], row["epoch"], row["rate"]) for row in recorder.rows] == [
        (3, 0.6, 0.05),
        (6, 1.2, 0.05),
        (7, 1.4, 0.05),
    ]
    assert all(set(row) == {"split", "step", "epoch", "loss", "norm", "rate"} for row in recorder.rows)


def test_the_best_weights_are_kept_and_patience_ends_the_run() -> None:
    objective = Scripted(*losses(5, 3, 4, math.nan, 3.5, 1))
    made = engine(objective, epochs=100, patience=3)
    assert made.run() == "loss had not become better for 3 evaluations"
    assert made.clock.step == 5 * EPOCH
    assert (made.best.step, made.best.epoch, made.best.value) == (2 * EPOCH, 2.0, 3)
    assert objective.equals(objective.weights[1])
    assert not objective.equals(objective.weights[-1])


def test_of_averaged_weights_the_best_average_is_kept() -> None:
    objective = Scripted(*losses(5, 3, 4))
    made = engine(objective, epochs=3, ema=0.9)
    made.run()
    assert objective.equals(objective.weights[1])
    made.evaluate([next(made.source)])
    assert objective.equals(objective.weights[1])
    assert objective.equals(objective.weights[-1])  # and that is what later evaluations see


def test_patience_counts_from_the_last_time_it_became_better() -> None:
    objective = Scripted(*losses(5, 6, 4, 6, 3, 6, 6, 0))
    engine(objective, epochs=100, patience=2).run()
    assert len(objective.weights) == 7
    assert objective.equals(objective.weights[4])


def test_a_goal_ends_the_run() -> None:
    made = engine(Scripted(*losses(5, math.nan, 3.5, 3, 1)), epochs=100, until=3.5)
    assert made.run() == "loss had reached 3.5"
    assert made.clock.step == 3 * EPOCH
    scores = [{"loss": 1.0, "accuracy": score} for score in (0.5, 0.89, 0.91, 1.0)]
    made = engine(Scripted(*scores), epochs=100, until=0.9, monitor="accuracy")
    assert made.run() == "accuracy had reached 0.9"
    assert made.clock.step == 3 * EPOCH
    assert engine(Scripted(*losses(5, 4)), epochs=2, until=3.9).run() == "all 10 steps were made"


def test_keep_last_keeps_the_last() -> None:
    objective = Scripted(*losses(1, 2, 3))
    made = engine(objective, epochs=3, keep="last")
    assert made.run() == "all 15 steps were made"
    assert objective.equals(objective.weights[2])
    assert made.best.step == EPOCH


def test_without_validation_the_last_weights_are_kept() -> None:
    objective, last = Scripted(), Scripted()
    for each, keep in ((objective, "best"), (last, "last")):
        torch.manual_seed(0)
        engine(each, validated=False, epochs=2, keep=keep).run()
    assert objective.equals(last.state_dict())


def observe(monitor: str, *metrics: dict[str, float]) -> tuple[Best, list[bool]]:
    best, module = Best(monitor), nn.Linear(1, 1)
    return best, [best.observe(found, module, step, step / 10) for step, found in enumerate(metrics, 1)]


def test_a_metric_that_is_better_when_higher() -> None:
    accuracies = [{"accuracy": value} for value in (0.5, 0.7, 0.6, math.inf, math.nan)]
    best, found = observe("accuracy", *accuracies)
    assert found == [True, True, False, False, False]
    assert (best.value, best.step, best.waited) == (0.7, 2, 3)


def test_of_equal_evaluations_that_with_the_lower_loss_is_kept() -> None:
    pairs = [(0.5, 3.0), (0.5, 3.0), (0.5, 2.0), (0.5, math.nan), (0.5, 2.5), (0.4, 0.0), (0.6, 9.0), (0.6, 8.0)]
    best, found = observe("accuracy", *({"accuracy": a, "loss": b} for a, b in pairs))
    assert found == [True, False, True, False, False, False, True, True]
    assert (best.value, best.step, best.waited) == (0.6, 8, 0)


def test_numbers_that_are_not_finite_are_never_the_best() -> None:
    best, found = observe("loss", *losses(math.nan, -math.inf, 2.0, math.nan))
    assert found == [False, False, True, False]
    unmoved = nn.Linear(1, 1)
    before = unmoved.weight.detach().clone()
    Best("loss").restore(unmoved)
    assert torch.equal(unmoved.weight, before)
    assert best.value == 2


def test_what_is_known_of_the_best_comes_back() -> None:
    for metrics in ([], losses(math.nan), losses(3, 2, 5, math.nan)):
        best, _ = observe("loss", *metrics)
        other = Best("loss")
        other.load_state(*best.state())
        assert (other.step, other.epoch, other.waited) == (best.step, best.epoch, best.waited)
        assert other.waited == sum(not found for found in observe("loss", *metrics)[1])
        for value in (1.5, 2.0, 2.5):
            module = nn.Linear(1, 1)
            fresh, _ = observe("loss", *metrics)
            again = Best("loss")
            again.load_state(*best.state())
            assert again.observe({"loss": value}, module, 9, 1.0) == fresh.observe({"loss": value}, module, 9, 1.0)


def test_a_monitor_that_is_not_evaluated_or_does_not_exist() -> None:
    with pytest.raises(RecipeError, match=r"^monitor: 'accuracy' is not evaluated here; choose one of: loss$"):
        engine(Scripted(), epochs=1, monitor="accuracy").run()
    with pytest.raises(RecipeError, match=r"^monitor: no metric is called 'los'; did you mean 'loss'\?$"):
        engine(Scripted(), epochs=1, monitor="los")


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes a tenth of a second further whenever it is looked at."""
    counter = itertools.count()
    monkeypatch.setattr(clock_module, "time", SimpleNamespace(perf_counter=lambda: next(counter) / 10))


@pytest.mark.parametrize("plan", [{}, {"epochs": 1000}])
@pytest.mark.parametrize("seconds", [3.0, 3.1, 3.2, 3.3, 3.4, 3.5])
def test_a_time_budget_ends_the_run_and_progress_follows_it(
    plan: dict[str, float], seconds: float, ticking: None, recorder: Any
) -> None:
    objective = Scripted()
    made = engine(objective, [recorder], minutes=seconds / 60, evaluate_every=100, **plan)
    assert made.run().startswith("the time budget of 0.0")
    assert 2 < made.clock.step < 30
    progresses = objective.progresses
    assert progresses == sorted(progresses)
    assert 0 <= progresses[0] < 0.3
    assert 0.6 < progresses[-1] <= 1
    assert [row["step"] for row in recorder.of("validation")] == [made.clock.step]  # the end is evaluated all the same


def test_a_budget_that_is_not_reached_leaves_progress_to_the_steps() -> None:
    objective = Scripted()
    engine(objective, epochs=1, minutes=60, validated=False).run()
    assert objective.progresses == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9])


def test_the_first_limit_counts() -> None:
    assert Clock(Plan(steps=7, epochs=2), EPOCH).total == 7
    assert Clock(Plan(steps=70, epochs=2), EPOCH).total == 10
    assert Clock(Plan(epochs=0.5), 7).total == 4
    clock = Clock(Plan(steps=2), EPOCH)
    assert clock.over() is None
    clock.start(2, seconds=100.0)
    assert clock.over() == "all 2 steps were made"
    assert clock.epoch == 0.4
    assert 100 <= clock.seconds < 110


@pytest.mark.parametrize(
    ("plan", "epoch_steps", "message"),
    [
        ({}, 5, r"^plan: nothing says when to stop; "),
        ({"epochs": 0.01}, 5, r"^plan: 0.01 epochs of 5 batches are 0 steps; "),
        ({"epochs": 3}, 0, r"^plan: 3.0 epochs of 0 batches are 0 steps; "),
        ({"minutes": 1}, 0, r" of 0 batches are 0 steps; "),
    ],
)
def test_a_plan_of_no_steps_or_no_end_is_refused(plan: dict[str, float], epoch_steps: int, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Clock(Plan(**plan), epoch_steps)


def test_evaluating_afterwards_is_in_evaluation_mode_with_the_final_weights() -> None:
    objective = Scripted(*losses(1, 2))
    made = engine(objective, epochs=2)
    made.run()
    objective.train()
    batches = InOrder(stored(), torch.arange(20, 26), batch_size=4)
    assert made.evaluate(batches).metrics == made.evaluate(batches).metrics
    assert objective.equals(objective.weights[0])


def test_devices() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert isinstance(pick_device("auto"), torch.device)
    with pytest.raises(PenstockError, match=r"^device: 'gpu' cannot be used \(.*\); give auto, cpu, cuda or mps$"):
        pick_device("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(RecipeError, match=r"^device: 'cuda' cannot be used"):
            pick_device("cuda")
