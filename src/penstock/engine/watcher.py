"""Those who look on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.core.objective import Evaluation
    from penstock.engine.engine import Engine

Row = dict[str, Any]
"""One line of the metrics: split, step, epoch and numbers by name. It holds no times, so that a resumed run's equal."""


class Watcher:
    """Sees what the engine does and never changes it. A subclass overrides what it cares for."""

    def started(self, engine: Engine) -> None:
        """Training begins, or goes on after `engine.clock.step` steps."""

    def measured(self, row: Row) -> None:
        """A row of training loss, or of an evaluation, is there."""

    def evaluated(self, engine: Engine, evaluation: Evaluation) -> None:
        """The validation split has been evaluated; `evaluation` has the records too."""

    def settled(self, engine: Engine) -> None:
        """What the plan left open has been chosen: `engine.plan` says what."""

    def noticed(self, line: str) -> None:
        """The engine has something to say that the user should know of, in one line; training goes on."""

    def saving(self) -> None:
        """A checkpoint is about to be written: what it counts on must be on the disk."""

    def saved(self, path: Path) -> None:
        """A checkpoint is on the disk."""

    def finished(self, engine: Engine) -> None:
        """The loop has been left, whatever the reason."""
