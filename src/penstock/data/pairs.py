"""Sequences in pairs, a text and what it becomes: from tables, from two parallel files, from objects in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from penstock.core.errors import DataError, RecipeError, suggest
from penstock.data.dates import dates
from penstock.data.download import show_progress
from penstock.data.encoding import read_text
from penstock.data.named import NAMED, locate
from penstock.data.paths import existing_file
from penstock.data.tables import read_table

DATES = "dates"
PARTS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation"}
PARTS |= {"test": "test"}
SEPARATED = (".tsv", ".tab", ".txt")
MOST = 1 << 28
"""Bytes of a file of texts: all of them are held in memory."""
TABLES = (".csv", ".jsonl", ".ndjson", ".parquet", ".pq")


@dataclass(frozen=True)
class ReadPairs:
    """How pairs are to be read: the file with the other half, columns of a table, the encoding, the direction."""

    parallel: str | None = None
    columns: tuple[str | None, str | None] = (None, None)
    encoding: str = "utf-8"
    reverse: bool = False


@dataclass(frozen=True)
class Pairs:
    """N texts and what each becomes. `splits` says which part a pair is for, where the data bring that along."""

    name: str
    origin: str
    places: list[str]
    source: list[str]
    target: list[str]
    splits: np.ndarray | None = None

    def turned_round(self) -> Pairs:
        """The other way."""
        return Pairs(self.name, self.origin, self.places, self.target, self.source, self.splits)


def open_pairs(where: str, how: ReadPairs, supplied: object = None) -> Pairs:
    """The pairs that a path or a name stands for, or those of an object given in its place: rows of two texts.

    Raises DataError with file and line for a row that is no pair, and for parallel files of different length;
    RecipeError for settings that do not go together.
    """
    if supplied is not None:
        found = _from_rows("pairs", "an object", _rows(supplied))
    elif where in NAMED and not Path(where).exists():
        found = _named(where)
    else:
        found = _from_path(Path(where).expanduser(), how)
    return found.turned_round() if how.reverse else found


def _named(name: str) -> Pairs:
    if NAMED[name].kind != "pairs":
        known = [other for other, found in NAMED.items() if found.kind == "pairs"]
        raise RecipeError("data", f"{name} has no pairs, it is for {NAMED[name].task}", suggest(name, known))
    if name == DATES:
        return _from_rows(DATES, "generated: dates in 13 writings of the world, and in ISO 8601", dates())
    return _separated(locate(name, show_progress) / NAMED[name].files[0].save_as, "utf-8", name)


def _from_path(path: Path, how: ReadPairs) -> Pairs:
    if how.parallel is not None:
        return _parallel(path, Path(how.parallel).expanduser(), how.encoding)
    if path.is_dir():
        return _folder(path, how)
    existing_file(path)
    plain = path.name.lower().removesuffix(".gz")
    if plain.endswith(TABLES):
        return _table(path, how)
    if how.columns != (None, None):
        raise RecipeError("source_column", f"{path.name} has no header that names columns", "leave it out")
    if plain.endswith(SEPARATED):
        return _separated(path, how.encoding)
    raise DataError(
        path,
        "whether its lines are pairs is not known by its name",
        "name it .tsv, or give the file with the other half: --parallel FILE",
    )


def _folder(folder: Path, how: ReadPairs) -> Pairs:
    """Files named for the part that they are for."""
    files = [(PARTS[path.stem.lower()], path) for path in sorted(folder.iterdir()) if path.stem.lower() in PARTS]
    if not files:
        raise DataError(folder, "no file in it is named train, validation or test", "name one file of pairs")
    each = [(part, _from_path(path, how)) for part, path in files]
    return Pairs(
        folder.resolve().name,
        str(folder),
        [f"{Path(found.origin).name}:{place.rpartition(':')[2]}" for _, found in each for place in found.places],
        [text for _, found in each for text in found.source],
        [text for _, found in each for text in found.target],
        np.concatenate([np.full(len(found.source), part) for part, found in each]),
    )


def _separated(path: Path, encoding: str, name: str | None = None) -> Pairs:
    """Lines of two texts with a tab between them; what comes after a second tab is not read."""
    rows: list[tuple[str, str, str]] = []
    for number, line in _lines(path, encoding):
        cells = line.split("\t")
        if len(cells) < 2:
            raise DataError(
                f"{path}:{number}", "there is no tab in this line, so no pair", "put a tab between the two texts"
            )
        rows.append((f"{path.name}:{number}", cells[0], cells[1]))
    return _from_rows(name or path.name.split(".")[0], str(path), [row[1:] for row in rows], [row[0] for row in rows])


def _parallel(one: Path, other: Path, encoding: str) -> Pairs:
    """Line by line of two files."""
    left, right = (
        (existing_file(path), read_text(path, encoding, MOST).removesuffix("\n").split("\n")) for path in (one, other)
    )
    (_, source), (_, target) = left, right
    if len(source) != len(target):
        problem = f"{len(source):,} lines, and {other} has {len(target):,}"
        raise DataError(one, problem, "give files of which each line goes with the same line of the other")
    places = [f"{one.name}:{number}" for number in range(1, len(source) + 1)]
    kept = [at for at in range(len(source)) if source[at].strip() or target[at].strip()]
    rows = [(source[at], target[at]) for at in kept]
    return _from_rows(one.name.split(".")[0], f"{one} and {other}", rows, [places[at] for at in kept])


def _table(path: Path, how: ReadPairs) -> Pairs:
    """Two columns of a table."""
    frame = read_table(path, encoding=how.encoding, missing=())
    names = [str(name) for name in frame.columns]
    chosen: list[str] = []
    for name, default in zip(how.columns, names):
        wanted = default if name is None else name
        if wanted not in names:
            raise DataError(path, f"there is no column {wanted!r}", suggest(wanted, names))
        chosen.append(wanted)
    if len(chosen) < 2:
        raise DataError(path, "there is one column where a pair needs two", "give a table of two columns")
    rows = list(zip(frame[chosen[0]].astype(str), frame[chosen[1]].astype(str), strict=True))
    return _from_rows(path.name.split(".")[0], str(path), rows, [str(place) for place in frame.index])


def _lines(path: Path, encoding: str) -> Iterable[tuple[int, str]]:
    """The lines that are not blank, with their numbers."""
    text = read_text(existing_file(path), encoding, MOST)
    return ((number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip())


def _rows(supplied: object) -> list[tuple[str, str]]:
    """Pairs of texts from an object: rows of two, two columns, or two lists."""
    if isinstance(supplied, pd.DataFrame):
        supplied = list(supplied.iloc[:, :2].itertuples(index=False, name=None))
    if isinstance(supplied, tuple) and len(supplied) == 2 and not all(isinstance(part, str) for part in supplied):
        supplied = list(zip(*supplied, strict=True))
    rows = list(supplied) if isinstance(supplied, Iterable) else []
    for number, row in enumerate(rows, 1):
        if not (isinstance(row, Sequence) and len(row) >= 2 and all(isinstance(text, str) for text in row[:2])):
            raise DataError(f"data, row {number}", "it is not a pair of texts", "give rows of two texts")
    return [(row[0], row[1]) for row in rows]


def _from_rows(name: str, origin: str, rows: Sequence[Sequence[Any]], places: list[str] | None = None) -> Pairs:
    """Raises DataError where a text of a pair is empty, or there is no pair at all."""
    places = places if places is not None else [f"{name}:{number}" for number in range(1, len(rows) + 1)]
    if not rows:
        raise DataError(origin, "there are no pairs", "give at least a few pairs of texts")
    for place, (one, other, *_) in zip(places, rows, strict=True):
        if not one.strip() or not other.strip():
            which = "first" if not one.strip() else "second"
            raise DataError(place, f"the {which} text of this pair is empty", "fill it in, or remove the line")
    return Pairs(name, origin, places, [row[0].strip() for row in rows], [row[1].strip() for row in rows])
