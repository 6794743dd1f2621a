"""Sources that hear what was found: a running sum carried from batch to batch, and its resumption."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from penstock.core.batch import Batch
from penstock.core.objective import Listening, Objective, Update
from penstock.engine.checkpoint import Checkpoints
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.optim.sgd import SGD


class Carrying(Listening):
    """Gives 6 examples and, with them, what was said about the last ones."""

    epoch_steps = 5

    def __init__(self) -> None:
        self.carry, self.drawn = torch.zeros(6), 0

    def __next__(self) -> Batch:
        self.drawn += 1
        return Batch(x=torch.full((6,), float(self.drawn)), carry=self.carry)

    def hear(self, said: Mapping[str, Tensor]) -> None:
        self.carry = said["carry"]

    def tensors(self) -> dict[str, Tensor]:
        return {"carry": self.carry}

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        self.carry = tensors["carry"]

    def state_dict(self) -> dict[str, Any]:
        return {"drawn": self.drawn}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.drawn = state["drawn"]


class Summing(Objective):
    """Adds each batch to what is carried."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Linear(1, 1)
        nn.init.constant_(self.model.weight, 0.5)
        nn.init.constant_(self.model.bias, 0.0)

    def loss(self, batch: Batch) -> Update:
        carry = batch["carry"] + batch["x"] * self.model.weight.squeeze()
        batch.feedback(carry=carry)
        return Update(carry.square().mean(), weight=batch.size)


EXPLICIT: dict[str, Any] = {"precision": "float32", "compile": "off", "onednn": "off", "threads": 1}


def engine(steps: int, accumulate: int, folder: Path | None = None, **choices: Any) -> Engine:
    plan = Plan(steps=steps, accumulate=accumulate, checkpoint_every=0, device="cpu", **(EXPLICIT | choices))
    checkpoints = Checkpoints(folder) if folder else None
    return Engine(Summing(), Carrying(), plan, {"model": SGD(lr=1e-3, momentum=0)}, checkpoints=checkpoints)


@pytest.mark.parametrize("choices", [{}, {"precision": "auto"}], ids=["", "after a look at the work"])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_the_next_batch_holds_what_was_said_about_this_one(accumulate: int, choices: dict[str, Any]) -> None:
    run = engine(3, accumulate, **choices)
    run.run()
    weight, carry = 0.5, 0.0
    for x in (1.0, 2.0, 3.0):
        found = carry + x * weight
        weight, carry = weight - 1e-3 * 2 * found * x, found
    assert run.source.tensors()["carry"].tolist() == pytest.approx([carry] * 6)
    assert run.objective.get_submodule("model").weight.item() == pytest.approx(weight)


@pytest.mark.parametrize("stop", [1, 4, 7])
def test_what_is_carried_is_resumed(stop: int, tmp_path: Path) -> None:
    whole = engine(9, 2)
    whole.run()
    engine(stop, 2, tmp_path).run()
    resumed = engine(9, 2)
    resumed.load_state(*Checkpoints(tmp_path).newest()[1:3])
    resumed.run()
    assert torch.equal(whole.source.tensors()["carry"], resumed.source.tensors()["carry"])
    for ours, theirs in zip(whole.objective.parameters(), resumed.objective.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_it_is_not_compiled() -> None:
    run = engine(2, 1, compile="on")
    run.run()
    assert run.plan.compile == "off"
