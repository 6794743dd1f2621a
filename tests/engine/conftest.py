"""What all tests of the engine share: one thread, for the sums are small, and a watcher that writes everything down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from penstock.engine.engine import Engine
from penstock.engine.watcher import Row, Watcher


class Recorder(Watcher):
    """Keeps every row and event."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.events: list[str] = []
        self.lines: list[str] = []

    def started(self, engine: Engine) -> None:
        self.events.append(f"started {engine.clock.step}")

    def measured(self, row: Row) -> None:
        self.rows.append(row)

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
