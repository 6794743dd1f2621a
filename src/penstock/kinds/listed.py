"""Tables that list files beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from penstock.core.errors import DataError, RecipeError, suggest
from penstock.data.opened import SoundData, Sounds, TableData
from penstock.kinds.columns import infer_columns


def listed_files(data: TableData, column: str) -> tuple[list[str], list[Path]]:
    """The names in a column of files, relative to the table's own folder, and where they lie.

    Raises DataError for a name that is missing or leads elsewhere.
    """
    origin = Path(data.origin)
    root = origin if origin.is_dir() else origin.parent
    names = [str(name) for name in data.frame[column]]
    for place, name, missing in zip(data.frame.index, names, data.frame[column].isna(), strict=True):
        if missing:
            raise DataError(place, f"column {column!r} names no file", "fill it in, or take the row out")
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise DataError(place, f"{name!r} leads out of the table's folder", "give names relative to the table")
    return names, [root / name for name in names]


def listed_sounds(data: TableData, target: str | None, split_column: str | None) -> SoundData:
    """Sounds with transcripts: a column of sound files, and that of the `target`, which need not be named where there
    is but one other column.

    Raises DataError where there is no such column, RecipeError for the name of one that does not exist.
    """
    names = [str(name) for name in data.frame.columns]
    for setting, name in (("target", target), ("split.column", split_column)):
        if name is not None and name not in names:
            raise RecipeError(setting, f"there is no column {name!r} in {data.origin}", suggest(name, names))
    sounds = [column.name for column in infer_columns(data.frame) if column.kind == "audio"]
    if not sounds:
        remedy = "name a wav or flac file in each row, relative to the table"
        raise DataError(data.origin, f"none of its columns ({', '.join(names)}) lists sound files", remedy)
    rest = [name for name in names if name not in (sounds[0], split_column)]
    if target is None and len(rest) != 1:
        problem = f"which column of {data.name} has the transcripts?"
        raise RecipeError("target", problem, f"give --target, {suggest('', rest)}")
    chosen = rest[0] if target is None else target
    given = data.splits if split_column is None else np.asarray(data.frame[split_column].astype(str))
    places, files = listed_files(data, sounds[0])
    left_out = [name for name in rest if name != chosen]
    labels = data.frame[chosen].set_axis(places, axis=0)
    return SoundData(data.name, data.origin, Sounds(files), labels, given, listed=True, left_out=left_out)
