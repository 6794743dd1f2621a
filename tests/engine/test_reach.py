"""Parameters without a gradient: named once, and trained as torch trains those whose gradient is zero."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from penstock.core.batch import Batch
from penstock.core.objective import Objective, Update
from penstock.data.examples import InMemory
from penstock.data.sources import Shuffled
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.optim.adam import AdamW
from penstock.optim.optimizer import Optimizer
from penstock.optim.sgd import SGD

STEPS = 12


EXPLICIT: dict[str, Any] = {"precision": "float32", "compile": "off", "onednn": "off", "threads": 1}
"""Nothing is left to choose by rule: these objectives write down each call, and a look at their work would be one."""


class Partial(Objective):
    """Uses `spare` never, and `early` in the first steps only."""

    def __init__(self, *, spares: int = 1) -> None:
        super().__init__()
        torch.manual_seed(0)
        parts = {"body": nn.Linear(3, 4), "early": nn.Linear(4, 4, bias=False), "head": nn.Linear(4, 1)}
        self.model = nn.ModuleDict(parts | {f"spare{i}": nn.Linear(2, 2, bias=False) for i in range(spares)})
        self.model.double()
        self.count = 0

    def loss(self, batch: Batch) -> Update:
        self.count += 1
        hidden = torch.tanh(self.model["body"](batch["x"]))
        hidden = torch.tanh(self.model["early"](hidden)) if self.count <= 4 else hidden
        return Update(self.model["head"](hidden).square().mean(), weight=batch.size)


def points() -> Shuffled:
    x = torch.randn(32, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return Shuffled(InMemory({"x": x}), torch.arange(32), batch_size=8, seed=0)


def engine(objective: Objective, recorder: Any, optimizer: Optimizer | None = None, **plan: Any) -> Engine:
    optimizers = dict.fromkeys(objective.roles(), optimizer or SGD())
    return Engine(
        objective, points(), Plan(steps=STEPS, device="cpu", **(EXPLICIT | plan)), optimizers, watchers=[recorder]
    )


def by_hand(objective: Partial, optimizer: torch.optim.Optimizer) -> None:
    for p in objective.parameters():
        p.grad = torch.zeros_like(p)
    source = points()
    for _ in range(STEPS):
        optimizer.zero_grad(set_to_none=False)
        objective.loss(next(source)).loss.backward()
        optimizer.step()


@pytest.mark.parametrize("adaptive", [True, False])
def test_no_gradient_is_the_gradient_zero_as_in_torch(adaptive: bool, recorder: Any) -> None:
    objective, expected = Partial(), Partial()
    if adaptive:
        engine(objective, recorder, AdamW(lr=0.05, weight_decay=0.1)).run()
        groups = [p for p in expected.parameters() if p.ndim > 1], [p for p in expected.parameters() if p.ndim == 1]
        decays = [{"params": groups[0], "weight_decay": 0.1}, {"params": groups[1], "weight_decay": 0.0}]
        by_hand(expected, torch.optim.AdamW(decays, lr=0.05))
    else:
        engine(objective, recorder, SGD(lr=0.05, momentum=0.9)).run()
        by_hand(expected, torch.optim.SGD(expected.parameters(), lr=0.05, momentum=0.9))
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(objective.state_dict()[name], value, rtol=1e-12, atol=1e-14, msg=name)
    spare = objective.model["spare0"].weight
    assert torch.equal(spare, Partial().model["spare0"].weight) != adaptive  # weight decay alone moves it


@pytest.mark.parametrize("parts", [1, 3])
def test_they_are_named_once(parts: int, recorder: Any) -> None:
    engine(Partial(), recorder, accumulate=parts).run()
    assert recorder.lines == [
        "step 1: this parameter gets no gradient (role 'model'): spare0.weight; use it in the loss, or freeze it with "
        "requires_grad_(False): weight decay shrinks it all the same"
    ]


def test_of_many_the_first_are_named(recorder: Any) -> None:
    engine(Partial(spares=7), recorder).run()
    (line,) = recorder.lines
    assert "these parameters get no gradient" in line
    assert ": spare0.weight, spare1.weight, spare2.weight, spare3.weight, spare4.weight and 2 more; " in line


def test_nothing_is_said_of_frozen_ones_nor_after_a_resume_and_later_steps_pay_nothing(recorders: Any) -> None:
    first, second = recorders(), recorders()
    objective = Partial()
    objective.model["spare0"].requires_grad_(False)
    made = engine(objective, first)
    assert all(p._post_accumulate_grad_hooks for p in objective.parameters() if p.requires_grad)
    made.run()
    assert first.lines == []
    again = engine(Partial(spares=0), second)
    again.objective.count = 4  # `early` has had its gradients before
    again.load_state(*engine_state(second))
    again.run()
    assert second.lines == []
    for done in (objective, again.objective):
        assert not any(p._post_accumulate_grad_hooks for p in done.parameters())


def engine_state(recorder: Any) -> Any:
    """Of a run that ended after four steps."""
    made = engine(Partial(spares=0), recorder)
    made.stepper.train()
    for number in range(1, 5):
        made.stepper.step(next(made.source), number, 0.5)
        made.clock.step += 1
    return made.state()


class Players(Objective):
    """Two roles, the second of which has its first turn late; each has a parameter that is not reached."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.ModuleList([nn.Linear(3, 1).double(), nn.Linear(1, 1, bias=False).double()])
        self.two = nn.ModuleList([nn.Linear(3, 1).double(), nn.Linear(1, 1, bias=False).double()])
        self.count = 0

    def roles(self) -> dict[str, nn.Module | list[nn.Parameter]]:
        return {"one": self.one, "two": self.two}

    def step(self, batch: Batch) -> Iterator[Update]:
        self.count += 1
        both = self.one[0](batch["x"]) * self.two[0](batch["x"])
        yield Update(both.square().mean(), role="one")
        if self.count == 3:
            yield Update(self.two[0](batch["x"]).square().mean(), role="two")


def test_each_role_at_its_first_update(recorder: Any) -> None:
    engine(Players(), recorder).run()
    assert [line.partition(";")[0] for line in recorder.lines] == [
        "step 1: this parameter gets no gradient (role 'one'): 1.weight",
        "step 3: this parameter gets no gradient (role 'two'): 1.weight",
    ]
