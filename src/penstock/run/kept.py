"""Runs that other runs need, kept in the user's cache, so that the next that needs the same takes it at once."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from penstock.core.errors import PenstockError, ResourceError
from penstock.core.files import folder_in_one_piece
from penstock.core.temporary import remove_leftovers
from penstock.recipes.job import Part
from penstock.run.folder import CHECKPOINTS, MODEL, RECIPE


def take_kept(part: Part, place: Path) -> bool:
    """Copy what was kept of a part to its place in a run; False where nothing whole was kept, or one is begun there."""
    if part.kept is None or (place / RECIPE).exists() or not (part.kept / MODEL).is_dir():
        return False
    try:
        part.take(part.kept)  # reads every file of it that matters
        with folder_in_one_piece(place) as folder:
            shutil.copytree(part.kept, folder, dirs_exist_ok=True)
    except (PenstockError, OSError):  # it is trained then, which says what is wrong with the disk
        return False
    return True


def keep(part: Part, place: Path) -> None:
    """Keep a part that is trained, without its checkpoints; a disk that refuses costs time the next time, no more."""
    if part.kept is None:
        return
    with contextlib.suppress(ResourceError, OSError):
        part.kept.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(part.kept.parent)
        with folder_in_one_piece(part.kept) as folder:
            shutil.copytree(
                place, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(CHECKPOINTS, "events.*", ".*")
            )
