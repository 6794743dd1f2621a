"""What a recipe builds: everything that the engine and the report need, and nothing that has happened yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from penstock.core.batch import Batch
from penstock.core.objective import Evaluation, Source
from penstock.engine.watcher import Watcher
from penstock.optim.optimizer import Optimizer
from penstock.recipes.recipe import Recipe
from penstock.recipes.trained import Trained


@dataclass(frozen=True)
class Supplied:
    """Objects from Python that take the place of what a recipe can only name."""

    data: object = None
    model: nn.Module | None = None
    trust_env: bool = False
    """Whether the code of an environment of the user's own may be run, where a recipe is read from a file."""

    def names(self) -> list[str]:
        """What was supplied, for the record: it must be supplied again to go on."""
        return [name for name in ("data", "model") if getattr(self, name) is not None]


@dataclass(frozen=True)
class Part:
    """A run that a job needs before it can begin: trained once, into the job's own folder.

    `take` is called with its folder; `words` say what it is for. `kept` is where a copy stays for other jobs that need
    the very same.
    """

    name: str
    recipe: Recipe
    take: Callable[[Path], None]
    words: str
    kept: Path | None = None


def _no_watchers(folder: Path) -> Sequence[Watcher]:
    return ()


def _nothing_to_keep(folder: Path, evaluation: Evaluation) -> None:
    """The numbers are enough."""


def _nothing() -> None:
    """Nothing is to be closed."""


@dataclass(frozen=True)
class Job:
    """A recipe with every choice made, and what was built from it.

    `held_out` has a source for "validation" and one for "test". `facts` say what was understood: "name", "origin",
    "kind", "examples", "splits" (examples of each), "suspicions", "fingerprint", "supplied", and what the task adds.
    """

    recipe: Recipe
    trained: Trained
    source: Source
    held_out: Mapping[str, Iterable[Batch]]
    optimizers: Mapping[str, Optimizer]
    facts: Mapping[str, Any]
    judge: Callable[[Evaluation, str], dict[str, Any]]
    """An evaluation of a split as the report shows it: metrics, a trivial baseline, drawings, the worst mistakes."""
    skipped: Sequence[tuple[str, str]] = ()
    """Files left out, with reasons."""
    watchers: Callable[[Path], Sequence[Watcher]] = _no_watchers
    """Who looks on for this task, given the run's folder."""
    keep: Callable[[Path, Evaluation], None] = _nothing_to_keep
    """Write into the run's folder what the report shows beside the numbers, from the evaluation of the test."""
    close: Callable[[], None] = _nothing
    """End what reads the data ahead."""
    parts: Sequence[Part] = ()
    """Runs that it needs, in order."""
