"""Text as a user has it: files, folders, a column of a table, a named set; one that runs on, or examples each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pandas.api import types

from penstock.core.errors import DataError, suggest
from penstock.data.cells import place, texts
from penstock.data.named import NAMED
from penstock.data.opened import ReadOptions, TableData
from penstock.data.opening import open_data
from penstock.data.paths import missing
from penstock.data.splits import PARTS, split
from penstock.data.texts import read_texts

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")

NEAR = 2000
"""Characters within which the end of a line is looked for where a text is cut."""

Unit = Literal["auto", "running", "lines", "texts"]


@dataclass(frozen=True)
class Corpus:
    """`texts` with the `place` of each; `fields` are what is known about each; `splits` what each is for.

    `runs_on`: the texts are one, which runs on; else each is an example by itself.
    """

    name: str
    origin: str
    texts: list[str]
    places: list[str]
    runs_on: bool
    fields: dict[str, list[str]] = field(default_factory=dict)
    splits: np.ndarray | None = None

    def fingerprint(self) -> str:
        """A digest of all of it."""
        digest = hashlib.sha256()
        for column in (self.texts, *self.fields.values(), [] if self.splits is None else self.splits.tolist()):
            for text in column:
                digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
            digest.update(b"\1")
        return digest.hexdigest()


def open_corpus(
    where: str,
    *,
    reading: ReadOptions = ReadOptions(),  # noqa: B008 - frozen
    column: str | None = None,
    fields: Sequence[str] = (),
    unit: Unit = "auto",
    most: int = 1 << 28,
    supplied: object = None,
) -> Corpus:
    """The text that `where` names, or the one or more texts `supplied` in its place; at most `most` bytes of files.

    Of a table, `column` has the texts, by default the one named "text" or the only one that is no number, and `fields`
    are further columns to be kept. Raises DataError for what cannot be read.
    """
    if supplied is not None:
        found = _from_object(where, supplied, column, fields)
    elif where in NAMED and not Path(where).exists():
        data = open_data(where, reading)
        if not isinstance(data, TableData):
            raise DataError(where, "this set holds pictures, not text", "name a set of text (see: penstock data)")
        found = _from_table(data, column, fields)
        found = replace(found, runs_on=NAMED[where].runs_on)
    elif Path(where).name.lower().removesuffix(".gz").endswith(TABLES):
        _refuse_large(Path(where), most)
        found = _from_table(TableData(Path(where).stem, where, reading.read(Path(where))), column, fields)
    else:
        if not Path(where).exists() and len(Path(where).parts) == 1 and not Path(where).suffix:
            problem = "neither a file or folder that exists nor the name of a data set"
            near = suggest(where, [*NAMED, *(entry.name for entry in Path().iterdir() if entry.name[:1] != ".")])
            raise DataError(where, problem, near)
        read = read_texts(Path(where), reading.encoding, most)
        name = Path(where).resolve().name
        found = Corpus(name.split(".")[0] or name, where, [t for _, t in read], [p for p, _ in read], runs_on=True)
    for name in fields:
        if name not in found.fields:
            raise DataError(found.origin, f"there is no field {name!r}", suggest(name, found.fields))
    return _in_units(found, unit)


def _in_units(corpus: Corpus, unit: Unit) -> Corpus:
    """The corpus with the examples that were asked for."""
    if unit == "auto":
        return corpus
    if unit != "lines":
        return replace(corpus, runs_on=unit == "running")
    rows = [
        (at, number, line)
        for at, text in enumerate(corpus.texts)
        for number, line in enumerate(text.split("\n"), 1)
        if line.strip()
    ]
    return Corpus(
        corpus.name,
        corpus.origin,
        [line for _, _, line in rows],
        [f"{corpus.places[at]}:{number}" for at, number, _ in rows],
        runs_on=False,
        fields={name: [values[at] for at, _, _ in rows] for name, values in corpus.fields.items()},
        splits=None if corpus.splits is None else corpus.splits[[at for at, _, _ in rows]],
    )


def _from_table(data: TableData, column: str | None, fields: Sequence[str]) -> Corpus:
    frame = data.frame
    chosen = _text_column(data, column)
    for name in fields:
        if name not in frame.columns:
            raise DataError(data.origin, f"there is no column {name!r}", suggest(name, map(str, frame.columns)))
    columns = {name: texts(frame[name]) for name in (chosen, *fields)}
    for name, values in columns.items():
        for row, value in enumerate(values):
            if not value:
                problem = f"there is nothing in column {name!r}"
                raise DataError(place(frame[name], row), problem, "fill it in, or take the row out")
    return Corpus(
        data.name,
        data.origin,
        list(columns[chosen]),
        [place(frame[chosen], row) for row in range(len(frame))],
        runs_on=False,
        fields={name: list(columns[name]) for name in fields},
        splits=data.splits,
    )


def _text_column(data: TableData, column: str | None) -> str:
    names = [str(name) for name in data.frame.columns]
    if column is not None:
        if column not in names:
            raise DataError(data.origin, f"there is no column {column!r}", suggest(column, names))
        return column
    wordy = [name for name in names if not types.is_numeric_dtype(data.frame[name].dtype)]
    found = [name for name in names if name.casefold() == "text"] or wordy
    if len(found) != 1:
        listed = ", ".join(names[:20])
        raise DataError(data.origin, f"which column has the text? ({listed})", "say so with --text.column NAME")
    return found[0]


def _from_object(name: str, supplied: object, column: str | None, fields: Sequence[str]) -> Corpus:
    if isinstance(supplied, pd.DataFrame):
        frame = supplied.rename(columns=str)
        return _from_table(TableData(name, name, frame), column, fields)
    if isinstance(supplied, str):
        return Corpus(name, name, [supplied], [name], runs_on=True)
    if isinstance(supplied, Sequence) and supplied and all(isinstance(text, str) for text in supplied):
        return Corpus(name, name, list(supplied), [f"{name}[{i}]" for i in range(len(supplied))], runs_on=False)
    problem = f"cannot learn a language from {type(supplied).__name__}"
    raise DataError("data", problem, "give a path, a name, a text, a list of texts, or a DataFrame")


def _refuse_large(path: Path, most: int) -> None:
    if not path.exists():
        raise missing(path)
    size = path.stat().st_size
    if size > most:
        problem = f"{size:,} bytes of text, and at most {most:,} are held in memory"
        raise DataError(path, problem, "give less text, or raise --text.memory")


def divided(corpus: Corpus, *, seed: int, validation: float, test: float) -> dict[str, Corpus]:
    """The corpus by "train", "validation" and "test".

    What each text is for is respected where it is said. A text that runs on is cut near its end, at a line's end if one
    is near; examples are divided at random, as follows from the seed. Raises DataError where a part would be empty.
    """
    if corpus.runs_on:
        return _cut(corpus, validation, test)
    rows = split(len(corpus.texts), seed=seed, validation=validation, test=test, given=corpus.splits)
    return {part: _picked(corpus, chosen.tolist()) for part, chosen in rows.items()}


def _picked(corpus: Corpus, rows: Sequence[int]) -> Corpus:
    return replace(
        corpus,
        texts=[corpus.texts[row] for row in rows],
        places=[corpus.places[row] for row in rows],
        fields={name: [values[row] for row in rows] for name, values in corpus.fields.items()},
        splits=None,
    )


def _cut(corpus: Corpus, validation: float, test: float) -> dict[str, Corpus]:
    """Given parts, or the last `test` of all, and before it the last `validation`."""
    given = np.full(len(corpus.texts), "train") if corpus.splits is None else np.char.lower(corpus.splits.astype(str))
    if odd := sorted(set(given.tolist()) - set(PARTS)):
        raise DataError(corpus.origin, f"a part is called {odd[0]!r}", f"call it one of {', '.join(PARTS)}")
    parts = {part: _picked(corpus, np.flatnonzero(given == part).tolist()) for part in PARTS}
    whole = sum(map(len, parts["train"].texts))
    for part, share in (("test", test), ("validation", validation)):
        if not parts[part].texts:
            parts["train"], parts[part] = _ending(parts["train"], round(share * whole))
    for part, found in parts.items():
        if not any(found.texts):
            problem = f"{whole:,} characters leave none for {part}"
            raise DataError(corpus.origin, problem, "give more text, or change --validation and --test")
    return parts


def _ending(corpus: Corpus, characters: int) -> tuple[Corpus, Corpus]:
    """A corpus without about so many characters at its end, and these."""
    first, texts_, places = len(corpus.texts), list[str](), list[str]()
    while first and characters > 0:
        first -= 1
        text, place_ = corpus.texts[first], corpus.places[first]
        at = max(len(text) - characters, 0)
        line = text.find("\n", at, at + NEAR) + 1
        at = line if at and line else at
        texts_.insert(0, text[at:])
        places.insert(0, place_)
        characters -= len(text)
        if at:
            kept = [*corpus.texts[:first], text[:at]]
            return (
                replace(corpus, texts=kept, places=corpus.places[: first + 1]),
                replace(corpus, texts=texts_, places=places),
            )
    return (
        replace(corpus, texts=corpus.texts[:first], places=corpus.places[:first]),
        replace(corpus, texts=texts_, places=places),
    )
