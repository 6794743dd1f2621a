"""When memory runs out in an evaluation: saved and said, or its batches in parts, with the same metrics."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from penstock.core.batch import Batch
from penstock.core.memory import OutOfMemory
from penstock.core.objective import Evaluation, Objective, Update
from penstock.data.examples import InMemory
from penstock.data.sources import InOrder, Shuffled
from penstock.engine.checkpoint import Checkpoints
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.optim.adam import AdamW

EXPLICIT: dict[str, Any] = {"precision": "float32", "compile": "off", "onednn": "off", "threads": 1}
"""Nothing is left to choose by rule: these objectives write down each call, and a look at their work would be one."""


class Hungry(Objective):
    """Evaluates at most `room` examples at a time; draws random numbers in training and in evaluations."""

    def __init__(self, room: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.model, self.room = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.3), nn.Linear(8, 1)), room

    def loss(self, batch: Batch) -> Update:
        return Update(functional.mse_loss(self.model(batch["x"])[:, 0], batch["y"]), weight=batch.size)

    def evaluate(self, source: Iterable[Batch]) -> Evaluation:
        total, count = float(torch.rand(()) * 0), 0
        for batch in source:
            if batch.size > self.room:
                raise MemoryError
            total += float(functional.mse_loss(self.model(batch["x"])[:, 0], batch["y"], reduction="sum"))
            count += batch.size
        return Evaluation({"loss": total / count})


def engine(objective: Objective, **more: Any) -> Engine:
    """Epochs of 5 batches; 11 to evaluate on, in batches of 8 and 3."""
    generator = torch.Generator().manual_seed(0)
    stored = InMemory({"x": torch.randn(51, 3, generator=generator), "y": torch.randn(51, generator=generator)})
    source = Shuffled(stored, torch.arange(40), batch_size=8, seed=0)
    plan = Plan(steps=9, device="cpu", log_every=4, on_out_of_memory=more.pop("mode", "stop"), **EXPLICIT)
    held_out = InOrder(stored, torch.arange(40, 51), batch_size=8)
    return Engine(objective, source, plan, {"model": AdamW(lr=0.02)}, validation=held_out, **more)


def failure(made: Engine) -> str:
    with pytest.raises(OutOfMemory) as caught:
        made.run()
    assert caught.value.code == 6
    return str(caught.value)


def test_stopping(tmp_path: Path) -> None:
    made = engine(Hungry(4), checkpoints=Checkpoints(tmp_path))
    assert failure(made) == (
        "evaluation after step 5: out of memory on a batch of 8 examples; "
        "evaluate in batches of 4, or give --on-out-of-memory halve"
    )
    assert made.checkpoints.names() == ["step-000000005"]


def test_halving(recorders: Any) -> None:
    first, second = recorders(), recorders()
    reference, made = engine(Hungry(8), watchers=[first]), engine(Hungry(2), watchers=[second], mode="halve")
    for each in (reference, made):
        torch.manual_seed(1)
        each.run()
    for a, b in zip(first.numbers(), second.numbers(), strict=True):
        assert b == pytest.approx(a, rel=1e-6)
    assert first.of("train") == second.of("train")  # its random numbers are its own, however often it is tried
    assert (made.stepper.memory.parts, made.stepper.memory.pieces) == (1, 4)
    assert [line.partition(";")[0] for line in second.lines] == [
        "evaluation after step 5: out of memory on a batch of 8 examples",
        "evaluation after step 5: out of memory on a batch of 4 examples",
    ]


def test_where_it_cannot_be_done() -> None:
    objective = Hungry(4)
    objective.separable = False
    assert ", whose examples the loss couples; " in failure(engine(objective, mode="halve"))
    assert "on a batch of 1 example; give a smaller model" in failure(engine(Hungry(0), mode="halve"))


def test_a_checkpoint_remembers_the_parts() -> None:
    made, again = engine(Hungry(4), mode="halve"), engine(Hungry(4), mode="halve")
    made.run()
    again.load_state(*made.state())
    assert again.stepper.memory.pieces == 2
