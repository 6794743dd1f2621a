"""Ten thousand steps with checkpoints, evaluations and rows: nothing grows."""

from __future__ import annotations

import gc
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from penstock.data.examples import InMemory
from penstock.data.sources import InOrder, Shuffled
from penstock.engine.checkpoint import Checkpoints
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.engine.watcher import Row, Watcher
from penstock.objectives.supervised import Classification
from penstock.optim.adam import AdamW
from penstock.run.progress import MetricsFile

STEPS, EVERY, WARM = 10_000, 1000, 3000


class Gauge(Watcher):
    """Measures what the process holds at every thousandth step, when all that a step holds for itself is gone."""

    def __init__(self) -> None:
        self.found: dict[int, dict[str, int]] = {}

    def measured(self, row: Row) -> None:
        if row["split"] == "train" and row["step"] % EVERY == 0:
            gc.collect()
            self.found[row["step"]] = {
                "blocks": sys.getallocatedblocks(),
                "tensors": sum(issubclass(type(held), torch.Tensor) for held in gc.get_objects()),
                "descriptors": len(os.listdir("/proc/self/fd")),
                "threads": threading.active_count() + len(os.listdir("/proc/self/task")),
                "bytes": int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE"),
            }


@pytest.fixture
def most_batches() -> int:
    """As many as it takes, and the first once more, after it has been looked at."""
    return STEPS + 1


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    "plan",
    [{"ema": 0.9, "clip_norm": 1.0}, {"accumulate": 2, "on_out_of_memory": "halve", "steps": STEPS // 2}],
    ids=["plain", "in parts"],
)
def test_ten_thousand_steps_leave_nothing_behind(plan: dict[str, Any], tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    stored = InMemory({"x": torch.randn(40, 3, generator=generator), "target": torch.arange(40) % 2})
    gauge, checkpoints = Gauge(), Checkpoints(tmp_path / "checkpoints")
    plan = {"steps": STEPS, "device": "cpu", "log_every": 10, "evaluate_every": 25, "checkpoint_every": 0.2} | plan
    engine = Engine(
        Classification(nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.1), nn.Linear(4, 2)), ["x"]),
        Shuffled(stored, torch.arange(32), batch_size=8, seed=0),
        Plan(**plan),
        {"model": AdamW()},
        validation=InOrder(stored, torch.arange(32, 40), batch_size=8),
        checkpoints=checkpoints,
        watchers=[MetricsFile(tmp_path / "metrics.jsonl"), gauge],
    )
    engine.run()
    assert len(checkpoints.names()) == 2
    last = max(gauge.found)
    first, found = gauge.found[WARM], gauge.found[last]
    assert last == plan["steps"]
    for name in ("tensors", "descriptors", "threads"):
        assert found[name] == first[name], name
    steps = last - WARM
    assert found["blocks"] - first["blocks"] < steps / 10, "objects of Python are left over"
    assert found["bytes"] - first["bytes"] < 2**21, "memory is left over"
