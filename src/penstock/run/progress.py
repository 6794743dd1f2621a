"""The progress bar, the file of metrics, and the recipe with what was chosen: three watchers."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task
from rich.table import Column
from rich.text import Text

from penstock.core.errors import CheckpointError, harmless
from penstock.core.files import disk_error, finite, write_bytes, write_json
from penstock.engine.tuning.rules import described, settled_choices
from penstock.engine.watcher import Row, Watcher
from penstock.recipes.recipe import Recipe

if TYPE_CHECKING:
    from penstock.engine.engine import Engine


class MetricsFile(Watcher):
    """Writes each row as a line of JSON. A resumed run goes on behind the rows that its checkpoint knows."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def check(self, rows: object) -> None:
        """Raises CheckpointError where the file lacks some of the rows that a checkpoint knows."""
        found = len(self._lines())
        if not isinstance(rows, int) or found < rows:
            raise CheckpointError(
                self.path, f"it has {found} rows, the checkpoint knows {rows}", "restore it, or train again"
            )

    def started(self, engine: Engine) -> None:
        """Drop the rows written after the checkpoint. Raises CheckpointError where some before it are gone."""
        self.check(engine.rows)
        write_bytes(self.path, b"".join(self._lines()[: engine.rows]))

    def measured(self, row: Row) -> None:
        """One more line. Raises ResourceError where the disk refuses, and leaves no part of a line."""
        line = (json.dumps(finite(row), allow_nan=False) + "\n").encode()
        try:
            with self.path.open("ab", buffering=0) as file:
                end = file.tell()
                try:
                    while line:
                        line = line[file.write(line) :]
                except OSError:
                    file.truncate(end)
                    raise
        except OSError as error:
            raise disk_error(self.path, error, len(line)) from error

    def saving(self) -> None:
        """Flush the rows to the disk: after a power cut, a checkpoint must find those that it knows."""
        try:
            with self.path.open("rb") as file:
                os.fsync(file.fileno())
        except OSError as error:
            raise disk_error(self.path, error, 0) from error

    def _lines(self) -> list[bytes]:
        """Whole lines only: the last may have been cut off by a kill."""
        try:
            return [line for line in self.path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise CheckpointError(self.path, f"cannot be read ({error.strerror})", "check its permissions") from error


class RecipeFile(Watcher):
    """Keeps the recipe of a run, with every choice that was made by rule, so that a resumed run makes the same."""

    def __init__(self, path: Path, recipe: Recipe) -> None:
        self._path, self._recipe = path, recipe

    def settled(self, engine: Engine) -> None:
        """Write it anew. Raises ResourceError where the disk refuses."""
        write_json(self._path, self._recipe.model_copy(update=settled_choices(engine.plan)).dump())


class ProgressBar(Watcher):
    """Shows loss, metric, throughput and time left, drawn by a thread of its own: training does not wait for it.

    Where the output is no terminal, a line now and then takes its place.
    """

    QUIET_SECONDS = 10.0

    def __init__(self, console: Console, monitor: str) -> None:
        self._console, self._monitor = console, monitor
        self._progress: Progress | None = None
        self._latest: dict[str, float] = {}
        self._spoken = time.monotonic()

    def started(self, engine: Engine) -> None:
        """Begin to draw."""
        if not self._console.is_terminal:
            return
        columns = (BarColumn(10), _Standing(engine, self._latest, self._monitor))
        self._progress = Progress(*columns, console=self._console, refresh_per_second=5, expand=True, transient=True)
        self._progress.add_task("", total=1.0)
        self._progress.start()

    def settled(self, engine: Engine) -> None:
        """Say how it is computed."""
        self._console.print(f"{'computed in':<12}{described(engine.plan)}", highlight=False)

    def measured(self, row: Row) -> None:
        """Keep the newest numbers."""
        if row["split"] == "train":
            self._latest |= {"loss": row["loss"]} if "loss" in row else {}
        else:
            self._latest |= {f"val {self._monitor}": row[self._monitor]} if self._monitor in row else {}
        if self._progress is None and time.monotonic() - self._spoken > self.QUIET_SECONDS:
            self._spoken = time.monotonic()
            numbers = "  ".join(f"{name} {value:.4g}" for name, value in self._latest.items())
            self._console.print(f"epoch {row['epoch']:.2f}  step {row['step']}  {numbers}", highlight=False)

    def noticed(self, line: str) -> None:
        """Say it, above the bar."""
        self._console.print(Text(harmless(line), style="yellow"))

    def finished(self, engine: Engine) -> None:
        """Stop drawing."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


class _Standing(ProgressColumn):
    """Reads the engine's clock whenever the bar is drawn."""

    def __init__(self, engine: Engine, latest: dict[str, float], monitor: str) -> None:
        super().__init__(table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1))
        self._engine, self._latest = engine, latest
        self._first_step, self._since = engine.clock.step, time.monotonic()

    def render(self, task: Task) -> Text:
        """Epoch, numbers, steps per second, time left; moves the bar as well."""
        clock = self._engine.clock
        task.completed = min(clock.progress, 1.0)
        elapsed = max(time.monotonic() - self._since, 1e-9)
        rate = (clock.step - self._first_step) / elapsed
        done = clock.progress
        left = clock.seconds * (1 - done) / done if clock.step else 0.0
        numbers = "  ".join(f"{name} {value:.4g}" for name, value in self._latest.items())
        return Text(f"epoch {clock.epoch:.1f}  {numbers}  {rate:.3g} steps/s  {_clock(left)} left")


def _clock(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
