"""What all tests of the engine share: one thread, for the sums are small, and a watcher that writes everything down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from penstock.engine import engine as engine_file
from penstock.engine import pace
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.engine.tuning import whole_step
from penstock.engine.watcher import Row, Watcher


class Recorder(Watcher):
    """Keeps every row and event."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.events: list[str] = []
        self.lines: list[str] = []
        self.plans: list[Plan] = []

    def started(self, engine: Engine) -> None:
        self.events.append(f"started {engine.clock.step}")

    def measured(self, row: Row) -> None:
        self.rows.append(row)

    def settled(self, engine: Engine) -> None:
        self.plans.append(engine.plan)

    def noticed(self, line: str) -> None:
        self.lines.append(line)

    def saved(self, path: Path) -> None:
        self.events.append(f"saved {path.name}")

    def finished(self, engine: Engine) -> None:
        self.events.append(f"finished {engine.clock.step}")

    def of(self, split: str) -> list[Row]:
        """The rows of one split."""
        return [row for row in self.rows if row["split"] == split]

    def numbers(self) -> list[dict[str, float]]:
        """The rows without the names of their splits."""
        return [{name: value for name, value in row.items() if name != "split"} for row in self.rows]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def recorders() -> Callable[[], Recorder]:
    """For tests that need several."""
    return Recorder


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def whole_steps(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    """Arranges that whole steps are "compiled" quickly, so many a call: by nothing, or by another backend of dynamo.

    The list that it returns fills with the number of the first step of each call that was made.
    """

    def arrange(steps: int = 8, backend: str | None = None) -> list[int]:
        monkeypatch.setattr(whole_step, "COMPILER", {"backend": backend} if backend else {"disable": True})
        for module in (whole_step, pace, engine_file):
            monkeypatch.setattr(module, "STEPS_A_CALL", steps)
        made: list[int] = []
        original = whole_step.WholeStep.__call__

        def call(self: whole_step.WholeStep, batches: Any, progress: Any, step: int) -> Any:
            found = original(self, batches, progress, step)
            made.append(step)
            return found

        monkeypatch.setattr(whole_step.WholeStep, "__call__", call)
        return made

    return arrange
