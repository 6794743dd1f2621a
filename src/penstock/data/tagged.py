"""Sentences with a tag for every word: files in the columns of CoNLL, a word a line, blank lines between sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from penstock.core.errors import DataError, RecipeError
from penstock.data.encoding import read_text
from penstock.data.paths import existing_folder

SUFFIXES = (".conll", ".conllu", ".bio", ".iob", ".iob2", ".tsv", ".tab", ".txt")
LONGEST = 5000
"""Words of a sentence; more, and the blank lines are missing."""

_PARTS = {"train": "train", "dev": "validation", "valid": "validation", "val": "validation", "validation": "validation"}
_PARTS |= {"test": "test"}
_NO_TOKEN = re.compile(r"[0-9]+[-.][0-9]+")  # in CoNLL-U, the number of a contraction or of an empty node


@dataclass(frozen=True)
class Columns:
    """Which column, from 1, holds the words and which the tags; below 0 they count from the last."""

    word: int = 1
    tag: int = -1


@dataclass(frozen=True)
class Tagged:
    """Sentences by their `places`: `words` and as many `tags` each; `splits` where the data bring them along."""

    name: str
    origin: str
    words: pd.Series[list[str]]
    tags: pd.Series[list[str]]
    splits: np.ndarray | None = None


def open_tagged(path: Path, columns: Columns, encoding: str = "utf-8") -> Tagged:
    """A file, or a folder with files that are called train, dev (or valid, validation) and test.

    Raises DataError for what is not there or not in columns.
    """
    if path.is_dir():
        return _from_folder(existing_folder(path), columns, encoding)
    return _tagged(path.stem, str(path), [(path, None)], columns, encoding)


def _from_folder(folder: Path, columns: Columns, encoding: str) -> Tagged:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        part = _PARTS.get(path.name.split(".")[0].casefold())
        if part is None or path.suffix.lower() not in SUFFIXES:
            continue
        if part in found:
            raise DataError(folder, f"{found[part].name} and {path.name} are both for {part}", "take one away")
        found[part] = path
    if "train" not in found:
        kinds = " ".join(suffix[1:] for suffix in SUFFIXES)
        raise DataError(folder, "there is no train file in it", f"name the files train, dev and test; formats: {kinds}")
    return _tagged(
        folder.resolve().name, str(folder), [(path, part) for part, path in found.items()], columns, encoding
    )


def _tagged(
    name: str, origin: str, files: Sequence[tuple[Path, str | None]], columns: Columns, encoding: str
) -> Tagged:
    words: list[list[str]] = []
    tags: list[list[str]] = []
    places: list[str] = []
    splits: list[str] = []
    for path, part in files:
        sentences = read_columns(path, encoding)
        word, tag = (
            column_at(path, sentences[0], at, what) for at, what in ((columns.word, "word"), (columns.tag, "tag"))
        )
        if word == tag:
            problem = f"column {word + 1} of {len(sentences[0].rows[0])} would be both word and tag"
            raise DataError(path, problem, "give a word and its tag on every line, or say --tag-column")
        for sentence in sentences:
            places.append(f"{path.name}:{sentence.line}")
            words.append([row[word] for row in sentence.rows])
            tags.append([row[tag] for row in sentence.rows])
            splits.append(part or "")
    return Tagged(
        name,
        origin,
        pd.Series(words, index=places, name="words", dtype=object),
        pd.Series(tags, index=places, name="tag", dtype=object),
        None if files[0][1] is None else np.array(splits),
    )


@dataclass(frozen=True)
class Sentence:
    """The line it begins on, and the fields of each of its words."""

    line: int
    rows: list[list[str]]


def read_columns(path: Path, encoding: str = "utf-8") -> list[Sentence]:
    """The sentences of a file whose fields are parted by tabs, where its first line has one, else by spaces.

    Left out are the lines of comments that CoNLL-U knows ("# text = ..."), its contractions, and the sentence
    "-DOCSTART-". Raises DataError with the line of a word that has more or fewer fields than the first.
    """
    lines = read_text(path, encoding).splitlines()
    first = next((line for line in lines if line.strip() and not _is_comment(line)), None)
    if first is None:
        raise DataError(path, "the file holds nothing but blank lines", "give a word and its tag on each line")
    tabs = "\t" in first
    width = len(_fields(first, tabs))
    sentences: list[Sentence] = []
    rows: list[list[str]] = []
    start = 1
    for number, line in enumerate([*lines, ""], 1):
        if not line.strip():
            if rows and rows[0][0] != "-DOCSTART-":
                sentences.append(Sentence(start, rows))
            rows = []
            continue
        fields = _fields(line, tabs)
        if len(fields) != width:
            if _is_comment(line):
                continue
            by = "tabs" if tabs else "spaces"
            problem = f"expected {width} fields parted by {by}, as on the first line, got {len(fields)}"
            raise DataError(f"{path}:{number}", problem, "complete the line, or leave it blank to end a sentence")
        if width == 10 and _NO_TOKEN.fullmatch(fields[0]):
            continue
        if "" in fields:
            raise DataError(f"{path}:{number}", f"field {fields.index('') + 1} of {width} is empty", "fill it in")
        start = start if rows else number
        rows.append(fields)
        if len(rows) > LONGEST:
            problem = f"a sentence of more than {LONGEST:,} words begins here"
            raise DataError(f"{path}:{start}", problem, "put a blank line between sentences")
    if not sentences:
        raise DataError(path, "there is no sentence in it", "give a word and its tag on each line")
    return sentences


def _fields(line: str, tabs: bool) -> list[str]:
    return [field.strip() for field in line.split("\t")] if tabs else line.split()


def _is_comment(line: str) -> bool:
    return line.startswith("#") and "\t" not in line


def column_at(path: Path, sentence: Sentence, at: int, what: str) -> int:
    """The index of a column that is counted from 1, or backwards from -1."""
    width = len(sentence.rows[0])
    index = at - 1 if at > 0 else width + at
    if at == 0 or not 0 <= index < width:
        where = f"--{what}-column"
        raise RecipeError(where, f"there is no column {at} in {path}, which has {width}", f"give 1 to {width}")
    return index
