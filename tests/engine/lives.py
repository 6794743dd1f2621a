"""A training that can be killed at any moment and goes on at the next call. Run by forks and by the tests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from penstock.core.lock import locked
from penstock.core.random import seed_all
from penstock.core.temporary import remove_leftovers
from penstock.data.examples import InMemory
from penstock.data.sources import InOrder, Shuffled
from penstock.engine.checkpoint import Checkpoints
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.engine.watcher import Watcher
from penstock.objectives.supervised import Regression
from penstock.optim.adam import AdamW
from penstock.run.progress import MetricsFile

STEPS = 8
PLAN = Plan(steps=STEPS, device="cpu", ema=0.9, log_every=2, evaluate_every=1, checkpoint_every=0)


class Told(Watcher):
    """Notes, outside of the run, each checkpoint that is said to be saved."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def saved(self, path: Path) -> None:
        handle = os.open(self.place, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.writev(handle, [f"{path.name}\n".encode()])
        os.close(handle)


def make(folder: Path) -> Engine:
    """An engine with dropout, shuffling and averaging of weights, at its beginning."""
    torch.set_num_threads(1)
    seed_all(0)
    stored = InMemory({"x": torch.randn(24, 3), "target": torch.randn(24)})
    source = Shuffled(stored, torch.arange(20), batch_size=6, seed=0)
    held_out = InOrder(stored, torch.arange(20, 24), batch_size=4)
    model = nn.Sequential(nn.Linear(3, 16), nn.Dropout(0.3), nn.Linear(16, 1))
    watchers = [MetricsFile(folder / "metrics.jsonl"), Told(folder.parent / "told.txt")]
    checkpoints = Checkpoints(folder / "checkpoints")
    return Engine(
        Regression(model, ["x"]),
        source,
        PLAN,
        {"model": AdamW()},
        validation=held_out,
        checkpoints=checkpoints,
        watchers=watchers,
    )


def live(place: str) -> Engine:
    """Train in a folder from where the last one left it to the end."""
    folder = Path(place)
    folder.mkdir(exist_ok=True)
    with locked(folder):
        for part in (folder, folder / "checkpoints"):
            remove_leftovers(part)
        engine = make(folder)
        assert engine.checkpoints is not None
        if engine.checkpoints.names():
            engine.load_state(*engine.checkpoints.newest()[1:3])
        engine.run()
    return engine


def weights(engine: Engine) -> dict[str, Tensor]:
    """What training has come to."""
    return dict(engine.objective.state_dict())


def history(folder: Path) -> dict[str, tuple[dict[str, Tensor], dict[str, Any]]]:
    """What every checkpoint of a training that is left in peace holds, by name."""
    folder.mkdir(parents=True)
    engine, found = make(folder), {}

    class Copies(Watcher):
        def saved(self, path: Path) -> None:
            assert engine.checkpoints is not None
            found[path.name] = engine.checkpoints.load(path.name)

    engine.watchers = [*engine.watchers, Copies()]
    engine.run()
    return found
