"""Sheets of samples with fixed codes, made while a model learns, and the film of them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from penstock.core.files import write_bytes
from penstock.core.objective import Evaluation
from penstock.core.temporary import remove
from penstock.engine.watcher import Watcher
from penstock.kinds.drawing import png
from penstock.recipes.creating import Creating
from penstock.recipes.films import moving
from penstock.recipes.grown import FILM, SHEETS, sheets_in

if TYPE_CHECKING:
    from penstock.engine.engine import Engine

COUNT, FEW = 64, 16
"""Pictures of a sheet; few where each takes many steps."""
MOST_FRAMES = 60
MILLISECONDS, LAST = 250, 2000
"""For which a frame of the film stands, and the last one."""


class SheetFiles(Watcher):
    """After each evaluation writes a sheet, `samples/step-N.png`, by the averaged weights where there are any.

    The codes are those of the seed, the same in all sheets. At the end the sheets make a film, `training.gif`.
    """

    def __init__(self, folder: Path, trained: Creating, *, seed: int, count: int) -> None:
        self._folder, self._trained, self._seed = folder, trained, seed
        classes = trained.classes
        wide = len(classes.names) if classes is not None else 0
        self._count = max(count // wide, 1) * wide if 0 < wide <= count else count

    def started(self, engine: Engine) -> None:
        """Drop what was drawn after the checkpoint that a run goes on from."""
        for step, path in sheets_in(self._folder):
            if step > engine.clock.step:
                remove(path)

    def evaluated(self, engine: Engine, evaluation: Evaluation) -> None:
        """One more sheet; it has random numbers of its own."""
        with engine.average.in_place() if engine.average else contextlib.nullcontext():
            made = self._trained.sample(self._count, seed=self._seed)
        place = self._folder / SHEETS
        place.mkdir(exist_ok=True)
        write_bytes(place / f"step-{engine.clock.step:07}.png", png(made.sheet()))

    def finished(self, engine: Engine) -> None:
        """Make the film."""
        if len(found := sheets_in(self._folder)) > 1:
            write_bytes(self._folder / FILM, film([path for _, path in found]))


def film(paths: list[Path]) -> bytes:
    """An animation of pictures of one size."""
    if len(paths) > MOST_FRAMES:
        chosen = np.linspace(0, len(paths) - 1, MOST_FRAMES).round().astype(int)
        paths = [paths[at] for at in chosen]
    return moving([Image.open(path) for path in paths], MILLISECONDS, LAST)
