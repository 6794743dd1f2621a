"""Float16 with a dynamic loss scale: against torch's GradScaler, and that a skipped update leaves no trace."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from penstock.core.batch import Batch
from penstock.core.errors import NumericError
from penstock.core.objective import Objective, Update
from penstock.data.examples import InMemory
from penstock.data.sources import Shuffled
from penstock.engine import scaler as scaler_module
from penstock.engine.checkpoint import Checkpoints
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.optim.adam import AdamW
from penstock.optim.optimizer import Optimizer
from penstock.optim.sgd import SGD

STEPS, EPOCH = 30, 10


EXPLICIT: dict[str, Any] = {"precision": "float32", "compile": "off", "onednn": "off", "threads": 1}
"""Nothing is left to choose by rule: these objectives write down each call, and a look at their work would be one."""


class Steep(Objective):
    """A small convolutional network whose loss is `slope` times steeper where a batch says so, or not a number."""

    def __init__(self, slope: float = 1.0, *, norm: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        middle = nn.BatchNorm2d(4) if norm else nn.Identity()
        layers = [nn.Conv2d(1, 4, 3), middle, nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 2)]
        self.model = nn.Sequential(*layers)
        self.slope = slope
        self.dtypes: set[torch.dtype] = set()
        self.history: list[dict[str, Tensor]] = []

    def loss(self, batch: Batch) -> Update:
        self.history.append({name: value.clone() for name, value in self.state_dict().items()})
        output = self.model(batch["x"])
        self.dtypes.add(output.dtype)
        slope = torch.where(batch["bad"].any(), self.slope, 1.0)
        return Update(functional.cross_entropy(output, batch["y"]) * slope, weight=batch.size)


def points(bad_steps: tuple[int, ...] = ()) -> Shuffled:
    """Epochs of ten batches of 6; `bad_steps` are those of the first epoch with a bad example, -1 is every step."""
    generator = torch.Generator().manual_seed(0)
    fields = {
        "x": torch.randn(60, 1, 6, 6, generator=generator),
        "y": torch.randint(0, 2, (60,), generator=generator),
        "bad": torch.zeros(60, dtype=torch.bool),
        "row": torch.arange(60),
    }
    order = Shuffled(InMemory(fields), torch.arange(60), batch_size=6, seed=1)
    rows = [next(order)["row"] for _ in range(EPOCH)]
    for step in bad_steps:
        fields["bad"][rows[step - 1][2] if step > 0 else slice(None)] = True
    return Shuffled(InMemory(fields), torch.arange(60), batch_size=6, seed=1)


def engine(objective: Objective, bad_steps: tuple[int, ...] = (), **plan: Any) -> Engine:
    optimizers = plan.pop("optimizers", {"model": AdamW(lr=0.02, weight_decay=0.1)})
    more = {name: plan.pop(name) for name in ("watchers", "checkpoints") if name in plan}
    plan = EXPLICIT | {"steps": STEPS, "device": "cpu", "log_every": 1, "precision": "fp16"} | plan
    return Engine(objective, points(bad_steps), Plan(**plan), optimizers, **more)


def by_hand(objective: Steep, clip: float) -> list[float]:
    """With torch.amp.GradScaler; returns the scale after each step."""
    weights = [p for p in objective.model.parameters() if p.ndim >= 2]
    others = [p for p in objective.model.parameters() if p.ndim < 2]
    groups = [{"params": weights, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=0.02, fused=True)
    scaler = torch.amp.GradScaler("cpu", growth_interval=scaler_module.GROWTH_UPDATES)
    objective.model.train()
    source, scales = points((3, 4, 7)), []
    for _ in range(STEPS):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.float16):
            loss = objective.loss(next(source)).loss
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(objective.model.parameters(), clip)
        scaler.step(optimizer)
        scaler.update()
        scales.append(scaler.get_scale())
    return scales


@pytest.mark.parametrize("fused", [True, False])
def test_thirty_steps_as_with_torchs_scaler(fused: bool, recorder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaler_module, "GROWTH_UPDATES", 4)
    objective, expected = Steep(1e4), Steep(1e4)
    made = engine(objective, (3, 4, 7), clip_norm=0.3, fused=fused, watchers=[recorder])
    made.run()
    scales = by_hand(expected, 0.3)
    assert [row["scale"] for row in recorder.rows] == scales
    skipped = [b < a for a, b in zip([2.0**16, *scales], scales)]
    assert [row["skipped"] for row in recorder.rows] == skipped
    assert 3 <= sum(skipped) < STEPS / 2
    assert any(b > a for a, b in pairwise(scales))
    assert int(made.stepper.roles["model"].updates) == STEPS - sum(skipped)
    assert objective.dtypes == {torch.float16}
    assert {p.dtype for p in objective.model.parameters()} == {torch.float32}
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(objective.state_dict()[name], value, rtol=1e-3, atol=1e-4, msg=name)
    assert not torch.allclose(objective.model[0].weight, Steep().model[0].weight, atol=0.05)


def test_the_scale_starts_halves_doubles_and_has_bounds(recorder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (scaler_module.FIRST_SCALE, scaler_module.GROWTH_UPDATES, scaler_module.MOST_SKIPPED) == (65536, 2000, 20)
    monkeypatch.setattr(scaler_module, "GROWTH_UPDATES", 2)
    monkeypatch.setattr(scaler_module, "LARGEST", 2.0**17)
    engine(Steep(math.inf), (4, 5), steps=9, watchers=[recorder]).run()
    assert [math.log2(row["scale"]) for row in recorder.rows] == [16, 17, 17, 16, 15, 15, 16, 16, 17]


@pytest.mark.parametrize("slope", [math.inf, math.nan, 1e12], ids=["inf", "nan", "gradient"])
def test_a_skipped_update_leaves_no_trace(slope: float, recorder: Any) -> None:
    objective = Steep(slope, norm=True)
    made = engine(objective, (6,), steps=7, watchers=[recorder])
    role = made.stepper.roles["model"]
    states: list[list[Tensor]] = []
    objective.stepped = lambda: states.append([value.clone() for value in (*role.state.values(), role.updates)])
    made.run()
    before, after = objective.history[5], objective.history[6]
    assert before.keys() == after.keys()
    assert "model.1.running_mean" in before
    assert [name for name in before if not torch.equal(before[name], after[name])] == []
    assert all(torch.equal(a, b) for a, b in zip(states[4], states[5]))
    assert [int(state[-1]) for state in states] == [1, 2, 3, 4, 5, 5, 6]
    assert not torch.equal(objective.history[5]["model.0.weight"], objective.history[4]["model.0.weight"])
    assert [row["skipped"] for row in recorder.rows] == [0, 0, 0, 0, 0, 1, 0]
    assert ("loss" in recorder.rows[5]) == math.isfinite(slope)  # a mean of no finite loss is none
    assert all(math.isfinite(value) for row in recorder.numbers() for value in row.values())


def test_a_row_tells_how_many_were_skipped_since_the_last_and_the_mean_of_finite_losses(recorder: Any) -> None:
    objective = Steep(math.nan)
    engine(objective, (2, 3), steps=8, log_every=4, watchers=[recorder], optimizers={"model": SGD(lr=1e-9)}).run()
    assert [row["skipped"] for row in recorder.rows] == [2, 0]
    plain = Steep(math.nan)
    source = points()
    losses = [plain.loss(next(source)).loss.item() for _ in range(4)]
    assert recorder.rows[0]["loss"] == pytest.approx((losses[0] + losses[3]) / 2, rel=2e-3)


@pytest.mark.parametrize(
    ("slope", "said"), [(math.nan, "the loss of role 'model' is nan"), (1e12, "overflows float16")]
)
@pytest.mark.parametrize("log_every", [1, 9])
def test_twenty_skipped_in_a_row_end_the_run(slope: float, said: str, log_every: int) -> None:
    objective = Steep(slope)
    made = engine(objective, (-1,), log_every=log_every)
    with pytest.raises(NumericError, match=rf"^step 20: .*{said}.* for the 20th update in a row; .*bf16") as caught:
        made.run()
    assert caught.value.code == 5
    start = Steep().state_dict()
    assert all(torch.equal(value, start[name]) for name, value in objective.state_dict().items())


def test_nineteen_do_not(recorder: Any) -> None:
    class Late(Steep):
        def loss(self, batch: Batch) -> Update:
            update = super().loss(batch)
            return Update(update.loss * (math.nan if 2 <= len(self.history) <= 20 else 1.0), weight=update.weight)

    objective = Late()
    engine(objective, steps=25, watchers=[recorder]).run()
    assert [row["skipped"] for row in recorder.rows] == [0] + 19 * [1] + 5 * [0]
    assert math.log2(recorder.rows[-1]["scale"]) == 16 - 19


def test_after_the_end_was_decided_nothing_moves_until_it_is_said() -> None:
    class Mended(Steep):
        def loss(self, batch: Batch) -> Update:
            update = super().loss(batch)
            return Update(update.loss * (math.nan if len(self.history) <= 20 else 1.0), weight=update.weight)

    objective = Mended()
    with pytest.raises(NumericError, match=r"^step 20: the loss of role 'model' is nan for the 20th update in a row; "):
        engine(objective, log_every=25).run()
    assert len(objective.history) == 25
    start = Steep().state_dict()
    assert all(torch.equal(value, start[name]) for name, value in objective.state_dict().items())


@pytest.mark.parametrize("parts", [2, 4])
def test_parts_of_a_batch_come_near_the_whole(parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaler_module, "FIRST_SCALE", 2.0**8)  # so that neither begins with skipped updates
    whole, split = Steep(), Steep()
    plan = {"optimizers": {"model": SGD(lr=0.1)}, "clip_norm": 0.5, "steps": 20}
    engine(whole, **plan).run()
    engine(split, accumulate=parts, **plan).run()
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(split.state_dict()[name], value, rtol=0.02, atol=0.01, msg=name)
    assert not torch.allclose(whole.model[0].weight, Steep().model[0].weight, atol=0.05)


@pytest.mark.parametrize("parts", [2, 3])
def test_one_bad_part_skips_the_whole_update(parts: int) -> None:
    objective = Steep(math.nan)
    engine(objective, (2,), accumulate=parts, steps=3).run()
    second, third = objective.history[parts], objective.history[2 * parts]
    assert all(torch.equal(second[name], third[name]) for name in second)


class Pair(Steep):
    """Two roles; the second one's loss overflows more often."""

    def __init__(self) -> None:
        super().__init__(math.inf)
        self.second = nn.Linear(36, 2)

    def roles(self) -> dict[str, nn.Module | list[nn.Parameter]]:
        return {"model": self.model, "second": self.second}

    def step(self, batch: Batch) -> Iterator[Update]:
        yield Update(functional.cross_entropy(self.model(batch["x"]), batch["y"]), weight=batch.size)
        slope = torch.where(batch["bad"].any(), self.slope, 1.0)
        loss = functional.cross_entropy(self.second(batch["x"].flatten(1)), batch["y"]) * slope
        yield Update(loss, role="second", weight=batch.size)


def test_each_role_has_its_scale(recorder: Any) -> None:
    optimizers = {"model": SGD(lr=0.1), "second": AdamW()}
    made = engine(Pair(), (2, 5), steps=6, optimizers=optimizers, watchers=[recorder])
    made.run()
    assert [row["second_skipped"] for row in recorder.rows] == [0, 1, 0, 0, 1, 0]
    assert [row["model_skipped"] for row in recorder.rows] == [0] * 6
    assert (recorder.rows[-1]["model_scale"], recorder.rows[-1]["second_scale"]) == (65536, 16384)
    assert [int(role.updates) for role in made.stepper.roles.values()] == [6, 4]


class Reads(TorchDispatchMode):
    """Counts how often a tensor's number is fetched, by which a device would have to be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += "_local_scalar_dense" in str(func) or "is_nonzero" in str(func) or "nonzero" in str(func)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("optimizer", [AdamW(), SGD(nesterov=True)], ids=["adamw", "nesterov"])
def test_no_number_is_fetched_in_a_step(fused: bool, optimizer: Optimizer) -> None:
    objective = Steep(norm=True)
    objective.loss = lambda batch: Update(functional.cross_entropy(objective.model(batch["x"]), batch["y"]))
    plan = {"fused": fused, "clip_norm": 1.0, "clip_value": 1.0, "optimizers": {"model": optimizer}}
    made = engine(objective, **plan)
    made.stepper.train()
    with Reads() as reads:
        for number in range(1, 4):
            made.stepper.step(next(made.source), number, 0.5)
        assert reads.count == 0
        made.stepper.health.summary()
    assert reads.count > 0


@pytest.mark.parametrize("plan", [{}, {"accumulate": 2, "ema": 0.9}])
def test_resumed_at_every_step(
    plan: dict[str, Any], tmp_path: Path, recorders: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaler_module, "GROWTH_UPDATES", 3)
    settings = {"steps": 9, "log_every": 4, "checkpoint_every": 0} | plan
    whole = recorders()
    checkpoints = Checkpoints(tmp_path, keep=100)
    reference = engine(Steep(1e12), (3, 6), watchers=[whole], checkpoints=checkpoints, **settings)
    reference.run()
    tensors, state = reference.state()
    assert len(checkpoints.names()) == 10
    for name in checkpoints.names():
        part = recorders()
        made = engine(Steep(1e12), (3, 6), watchers=[part], **settings)
        made.load_state(*checkpoints.load(name))
        known = made.rows
        made.run()
        found_tensors, found = made.state()
        assert {**found, "seconds": 0} == {**state, "seconds": 0}
        assert found_tensors.keys() == tensors.keys()
        assert [key for key, value in tensors.items() if not torch.equal(found_tensors[key], value)] == []
        assert whole.rows[:known] + part.rows == whole.rows
    assert sum(row["skipped"] for row in whole.rows) >= 2
