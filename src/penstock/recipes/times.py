"""When a training was judged: the file of metrics holds no times, so that a resumed run's is the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.core.files import write_text
from penstock.core.objective import Evaluation
from penstock.engine.watcher import Watcher

if TYPE_CHECKING:
    from penstock.engine.engine import Engine

TIMES = "times.jsonl"
"""In a run's folder: a line for each evaluation."""


class EvaluationTimes(Watcher):
    """Writes the step of each evaluation, and after how many seconds of training it was made."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / TIMES
        self._times: list[tuple[int, float]] = []

    def started(self, engine: Engine) -> None:
        """Drop what came after the checkpoint that a run goes on from."""
        self._times = [(step, seconds) for step, seconds in read_times(self._path) if step <= engine.clock.step]

    def evaluated(self, engine: Engine, evaluation: Evaluation) -> None:
        """One more. Raises ResourceError where the disk refuses."""
        self._times.append((engine.clock.step, round(engine.clock.seconds, 3)))
        lines = (json.dumps({"step": step, "seconds": seconds}) for step, seconds in self._times)
        write_text(self._path, "".join(f"{line}\n" for line in lines))


def read_times(path: Path) -> list[tuple[int, float]]:
    """Steps and seconds; nothing where there is no file, or from a line on that is damaged: they only decorate."""
    found: list[tuple[int, float]] = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            row = json.loads(line)
            found.append((int(row["step"]), float(row["seconds"])))
        except (ValueError, KeyError, TypeError):
            break
    return found
