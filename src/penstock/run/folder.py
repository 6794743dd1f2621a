"""Where a run keeps its things."""

from __future__ import annotations

import os
import re
from pathlib import Path

from penstock.core.errors import RecipeError, ResourceError, suggest
from penstock.core.files import disk_error
from penstock.core.lock import holder

RECIPE, DATA, METRICS = "recipe.json", "data.json", "metrics.jsonl"
EVALUATION, SUMMARY, REPORT = "evaluation.json", "summary.json", "report.html"
CHECKPOINTS, MODEL, SKIPPED, PARTS = "checkpoints", "model", "skipped.csv", "parts"
LONGEST_STEM = 60
"""Letters of a name made from the data's: file systems take 255 bytes, and a Chinese letter is three."""


def new_folder(runs: Path, task: str, name: str | None, fallback: str) -> Path:
    """Make `runs/task/name`; without a name, one is made from `fallback` and a number.

    Raises RecipeError where the name is taken, ResourceError where the disk refuses. A folder that a process left which
    was killed before it knew what to train is as good as none.
    """
    above = runs / task
    try:
        above.mkdir(parents=True, exist_ok=True)
        if name is not None:
            place = above / name
            if place.exists() and not _is_abandoned(place):
                living = holder(place)
                raise RecipeError(
                    "name",
                    f"{place} exists already" + (f", and {living} is at work in it" if living else ""),
                    f"choose another name, or: penstock resume {place}",
                )
            place.mkdir(exist_ok=True)
            return place
        stem = re.sub(r"[^\w.-]+", "-", fallback).strip("-.")[:LONGEST_STEM] or task
        number = 1
        while True:
            place = above / (stem if number == 1 else f"{stem}-{number}")
            try:
                place.mkdir()
            except FileExistsError:
                number += 1
            else:
                return place
    except OSError as error:
        raise _refused(above, error) from error


def find_run(where: str | Path, runs: Path = Path("runs")) -> Path:
    """A run's folder by its path, or by its name within the folder of all runs.

    Raises RecipeError, with the nearest name, where there is none.
    """
    path = Path(where)
    if (path / RECIPE).is_file():
        return path
    named = [folder for folder in all_runs(runs) if str(where) in (folder.name, f"{folder.parent.name}/{folder.name}")]
    if len(named) == 1:
        return named[0]
    if len(named) > 1:
        raise RecipeError(
            "run", f"{str(where)!r} names {len(named)} runs", "give the path: " + ", ".join(map(str, named))
        )
    if path.is_dir():
        raise RecipeError(path, "this folder is not a run: it has no recipe.json", "see: penstock runs")
    names = [folder.name for folder in all_runs(runs)]
    raise RecipeError(
        "run", f"there is no run {str(where)!r}", suggest(str(where), names) if names else "train one first"
    )


def all_runs(runs: Path) -> list[Path]:
    """Every run's folder, oldest first."""
    return sorted((file.parent for file in runs.glob(f"*/*/{RECIPE}")), key=lambda folder: folder.stat().st_mtime)


def _is_abandoned(place: Path) -> bool:
    """Whether nothing is there but what is written before recipe.json, and nobody is at it."""
    if not place.is_dir() or holder(place) is not None:
        return False
    return all(entry in (DATA, SKIPPED) or entry.startswith(".") for entry in os.listdir(place))


def _refused(path: Path, error: OSError) -> ResourceError:
    return disk_error(path, error, 0)
