"""Numbers that are not finite end the run before they reach a weight, at once or at the next log."""

from __future__ import annotations

import copy
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
from penstock.optim.sgd import SGD

CPU = torch.device("cpu")
BAD_STEP = 6


class Fragile(Objective):
    """Where a batch says so, the loss is not finite, or only the gradient of one parameter."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.model = nn.Module()
        self.model.body = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
        self.model.root = nn.Parameter(torch.zeros(2))
        self.history: list[dict[str, Tensor]] = []

    def loss(self, batch: Batch) -> Update:
        self.history.append(copy.deepcopy(self.state_dict()))
        loss = functional.mse_loss(self.model.body(batch["x"])[:, 0], batch["y"])
        if batch["bad"].any():
            loss = loss + self.model.root.sqrt().sum()  # 0, with an infinite slope
        return Update(loss, weight=batch.size)


def points(fault: str = "none") -> Shuffled:
    """Batches of 4, of which that of step `BAD_STEP` has the fault."""
    generator = torch.Generator().manual_seed(0)
    fields = {
        "x": torch.randn(40, 3, generator=generator),
        "y": torch.randn(40, generator=generator),
        "bad": torch.zeros(40, dtype=torch.bool),
        "row": torch.arange(40),
    }
    order = Shuffled(InMemory(fields), torch.arange(40), batch_size=4, seed=1)
    for _ in range(BAD_STEP):
        row = int(next(order)["row"][2])
    if fault == "gradient":
        fields["bad"][row] = True
    elif fault != "none":
        fields["y"][row] = float(fault)
    return Shuffled(InMemory(fields), torch.arange(40), batch_size=4, seed=1)


EXPLICIT: dict[str, Any] = {"precision": "float32", "compile": "off", "onednn": "off", "threads": 1}
"""Nothing is left to choose by rule: these objectives write down each call, and a look at their work would be one."""


def engine(fault: str, *, latched: bool = False, watchers: Any = (), **plan: Any) -> Engine:
    checkpoints = plan.pop("checkpoints", None)
    optimizers = {"model": plan.pop("optimizer", AdamW(lr=0.05))}
    plan = EXPLICIT | {"steps": 12, "log_every": 4, "device": "cpu"} | plan
    made = Engine(Fragile(), points(fault), Plan(**plan), optimizers, watchers=watchers, checkpoints=checkpoints)
    if latched:
        made.stepper.health = LatchedHealth(CPU, alone=True)
    return made


def unmoved_since_bad_step(objective: Fragile) -> bool:
    before = objective.history[BAD_STEP - 1]
    return all(torch.equal(value, before[name]) for name, value in objective.state_dict().items())


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("nan", r"^step 6: the loss of role 'model' is nan; lower optim.lr, "),
        ("inf", r"^step 6: the loss of role 'model' is inf; "),
        ("gradient", r"^step 6: the gradient of 'root' is not finite \(role 'model'\); "),
    ],
)
@pytest.mark.parametrize("clip", [{}, {"clip_norm": 1.0}, {"clip_value": 0.1}])
def test_training_ends_before_the_update(fault: str, message: str, clip: dict[str, float]) -> None:
    made = engine(fault, **clip)
    with pytest.raises(NumericError, match=message) as caught:
        made.run()
    assert caught.value.code == 5
    assert made.clock.step == BAD_STEP - 1
    assert unmoved_since_bad_step(made.objective)
    state = made.stepper.roles["model"].state
    assert all(bool(torch.isfinite(value).all()) for value in state.values())
    assert made.stepper.roles["model"].updates == BAD_STEP - 1


def test_finite_gradients_whose_norm_is_not() -> None:
    class Huge(Fragile):
        def loss(self, batch: Batch) -> Update:
            return Update(super().loss(batch).loss + self.model.root.sum() * 1e38 * 3)

    made = Engine(Huge(), points(), Plan(steps=2, device="cpu"), {"model": SGD()})
    with pytest.raises(NumericError, match=r"^step 1: the norm of the gradient is beyond float32 \(role 'model'\); "):
        made.run()


@pytest.mark.parametrize("parts", [2, 4])
def test_a_bad_part_of_a_batch_counts(parts: int) -> None:
    made = engine("nan", accumulate=parts)
    with pytest.raises(NumericError, match="step 6: the loss"):
        made.run()
    assert unmoved_since_bad_step_of_parts(made.objective, parts)


def unmoved_since_bad_step_of_parts(objective: Fragile, parts: int) -> bool:
    before = objective.history[(BAD_STEP - 1) * parts]
    return all(torch.equal(value, before[name]) for name, value in objective.state_dict().items())


@pytest.mark.parametrize("clip", [{}, {"clip_norm": 0.3}, {"clip_norm": 100.0}, {"clip_value": 0.1}])
def test_the_latched_watch_trains_and_reports_as_the_prompt_one(clip: dict[str, float], recorders: Any) -> None:
    first, second = recorders(), recorders()
    clip = {"optimizer": SGD(lr=0.1, momentum=0.5), **clip}  # which, unlike Adam, feels the gradient's size
    prompt, latched = engine("none", watchers=[first], **clip), engine("none", latched=True, watchers=[second], **clip)
    prompt.run()
    latched.run()
    tolerance = 1e-5 if len(clip) > 1 else 0.0  # the scale of a clip is computed in another precision
    for name, value in prompt.objective.state_dict().items():
        torch.testing.assert_close(latched.objective.state_dict()[name], value, rtol=tolerance, atol=tolerance)
    assert [set(row) for row in first.rows] == [set(row) for row in second.rows]
    for a, b in zip(first.numbers(), second.numbers(), strict=True):
        assert b == pytest.approx(a, rel=1e-4)
    loss = sum(float(functional.mse_loss(prompt_output(h, batch), batch["y"])) for h, batch in replay(prompt)) / 4
    assert first.rows[0]["loss"] == pytest.approx(loss, rel=1e-5)


def replay(made: Engine) -> list[tuple[dict[str, Tensor], Batch]]:
    source = points()
    return [(weights, next(source)) for weights in made.objective.history[:4]]


def prompt_output(weights: dict[str, Tensor], batch: Batch) -> Tensor:
    objective = Fragile()
    objective.load_state_dict(weights)
    with torch.no_grad():
        return objective.model.body(batch["x"])[:, 0]


@pytest.mark.parametrize("fault", ["nan", "inf", "gradient"])
def test_latched_nothing_moves_from_the_bad_step_on_and_the_next_log_ends_the_run(fault: str, recorder: Any) -> None:
    made = engine(fault, latched=True, watchers=[recorder])
    with pytest.raises(NumericError, match=r"^step 6: the loss or a gradient is not finite; ") as caught:
        made.run()
    assert caught.value.code == 5
    assert made.clock.step == 8  # the log after the bad step
    assert [row["step"] for row in recorder.rows] == [4]
    assert unmoved_since_bad_step(made.objective)
    assert all(bool(torch.isfinite(value).all()) for value in made.stepper.roles["model"].state.values())


@pytest.mark.parametrize("saving", [False, True])
def test_latched_a_bad_step_after_the_last_log_is_not_passed_over(saving: bool, tmp_path: Any) -> None:
    checkpoints = Checkpoints(tmp_path / "c") if saving else None
    made = engine("nan", latched=True, steps=7, log_every=20, checkpoints=checkpoints)
    with pytest.raises(NumericError, match="step 6"):
        made.run()
    assert checkpoints is None or checkpoints.names() == []


def test_no_checkpoint_is_written_after_a_latched_bad_step(tmp_path: Any) -> None:
    checkpoints = Checkpoints(tmp_path / "c", keep=100)
    made = engine("nan", latched=True, checkpoints=checkpoints, checkpoint_every=0)
    with pytest.raises(NumericError, match="step 6"):
        made.run()
    assert checkpoints.names() == [f"step-{step:09}" for step in range(BAD_STEP)]


@pytest.mark.parametrize("latched", [False, True])
def test_sums_since_the_last_log_come_back(latched: bool) -> None:
    made, other = engine("none", latched=latched), engine("none", latched=latched)
    for step in range(1, 4):
        made.stepper.step(next(made.source), step, 0.5)
    other.stepper.health.load_state_dict(made.stepper.health.state_dict())
    assert other.stepper.health.summary() == made.stepper.health.summary()
    assert made.stepper.health.state_dict()["losses"] == {}
