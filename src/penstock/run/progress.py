"""The progress bar, the file of metrics, and the recipe with what was chosen: three watchers."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task
from rich.table import Column
from rich.text import Text

from penstock.core.errors import CheckpointError, harmless
from penstock.core.files import disk_error, finite, write_json, write_text
from penstock.engine.tuning.rules import described, settled_choices
from penstock.engine.watcher import Row, Watcher
from penstock.recipes.recipe import Recipe

if TYPE_CHECKING:
    from penstock.engine.engine import Engine


class MetricsFile(Watcher):
    """Writes each row as a line of JSON. A resumed run goes on behind the rows that its checkpoint knows."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def started(self, engine: Engine) -> None:
        """Drop the rows written after the checkpoint. Raises CheckpointError where some before it are gone."""
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True) if self.path.exists() else []
        if len(lines) < engine.rows:
            problem = f"it has {len(lines)} rows, the checkpoint knows {engine.rows}"
            raise CheckpointError(self.path, problem, "restore it, or train again")
        write_text(self.path, "".join(lines[: engine.rows]))

    def measured(self, row: Row) -> None:
        """One more line. Raises ResourceError where the disk refuses."""
        line = json.dumps(finite(row), allow_nan=False) + "\n"
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            raise disk_error(self.path, error, len(line)) from error


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
