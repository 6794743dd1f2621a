"""Tables as users have them: text with separators, Parquet, JSON lines."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from penstock.core.errors import DataError, RecipeError
from penstock.data.encoding import read_text
from penstock.data.paths import existing_file
from penstock.data.records import read_json_lines, read_parquet

MISSING = ("", "?", "NA", "#N/A", "n/a", "nan", "null", "none")
"""Cells that mean "no value": those written in small letters match in any case, the others as they stand."""

_DELIMITERS = (",", ";", "\t", "|")
_NAMES = {"\\t": "\t", "tab": "\t"}
_TEXT = (".csv", ".tsv", ".tab", ".txt")
_PARQUET = (".parquet", ".pq")
_JSON_LINES = (".jsonl", ".ndjson")
_KEPT = 1 << 16  # distinct cells remembered while reading; beyond it each cell is cleaned anew

_LONGEST_LINE = 64 << 20  # bytes

Record = tuple[int, list[str]]
"""The line on which a record starts, and its cells."""


def read_table(
    path: Path, *, delimiter: str | None = None, encoding: str = "utf-8", missing: Sequence[str] = MISSING
) -> pd.DataFrame:
    """A table whose index says where each row stands, as "housing.csv:17".

    Text cells are stripped, or None where missing; numbers and dates of Parquet and JSON lines keep their types. Blank
    lines are passed over. Raises DataError that names the file and line, and RecipeError for an impossible flag.
    """
    existing_file(path)
    _refuse_endless_line(path)
    name = path.name.lower().removesuffix(".gz")
    if name.endswith(_TEXT):
        if delimiter is None and name.endswith((".tsv", ".tab")):
            delimiter = "\t"
        frame, lines = _read_separated(path, read_text(path, encoding), delimiter, missing)
    elif name.endswith(_JSON_LINES):
        frame, lines = read_json_lines(path, read_text(path, encoding))
        frame = clean_cells(frame, missing)
    elif name.endswith(_PARQUET):
        frame, lines = read_parquet(path)
        frame = clean_cells(frame, missing)
    else:
        known = ", ".join(suffix[1:] for suffix in (*_TEXT, *_PARQUET, *_JSON_LINES))
        raise DataError(path, "is not a kind of table that can be read", f"export it as one of: {known}")
    frame.columns = pd.Index(_column_names(path, list(frame.columns)), dtype=object)
    if frame.empty:
        raise DataError(path, "there are no rows below the column names", "give a table with rows")
    frame.index = pd.Index([f"{path.name}:{line}" for line in lines], dtype=object)
    return frame


def _refuse_endless_line(path: Path) -> None:
    """Raises DataError for a line that no table has, before it is held in memory."""
    packed = path.suffix.lower() == ".gz"
    least = _LONGEST_LINE // (1000 if packed else 1)  # gzip packs a thousandfold
    if path.suffix.lower() in _PARQUET or path.stat().st_size <= least:
        return
    line, length = 1, 0
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            while chunk := file.read(1 << 20):
                breaks = chunk.count(b"\n")
                if length + (chunk.find(b"\n") if breaks else len(chunk)) > _LONGEST_LINE:
                    problem = f"a line of more than {_LONGEST_LINE >> 20} MiB"
                    raise DataError(
                        f"{path}:{line}", problem, "a table has its rows on lines of their own: export anew"
                    )
                line += breaks
                length = len(chunk) - chunk.rfind(b"\n") - 1 if breaks else length + len(chunk)
    except (OSError, EOFError, zlib.error):
        return  # `read_text` says what is wrong


def _read_separated(
    path: Path, text: str, delimiter: str | None, missing: Sequence[str]
) -> tuple[pd.DataFrame, list[int]]:
    chosen = _NAMES.get(delimiter or "", delimiter) or _sniff(text)
    if len(chosen) != 1 or chosen in '"\r\n ':
        raise RecipeError("--delimiter", f"{delimiter!r} cannot separate cells", "give one character, such as ;")
    records = _records(path, text, chosen)
    line, header = next(records, (1, []))
    if not header:
        raise DataError(path, "the file holds nothing but blank lines", "give a table with a header row")
    if all(_is_number(cell) for cell in header):
        problem = f"the first row holds only numbers ({', '.join(header[:3])}, ...) where column names are needed"
        raise DataError(f"{path}:{line}", problem, "put a header row with the column names above the data")
    clean = _Cleaner(missing)
    lines: list[int] = []
    rows: list[list[str | None]] = []
    width = len(header)
    for line, cells in records:
        if len(cells) != width:
            raise _ragged(path, line, cells, width)
        lines.append(line)
        rows.append([clean[cell] for cell in cells])
    columns = list(zip(*rows)) if rows else [()] * width
    series = [pd.Series(_objects(column), dtype=object) for column in columns]
    frame = pd.DataFrame(dict(enumerate(series)), columns=range(width))
    frame.columns = pd.Index(header, dtype=object)
    return frame, lines


def clean_cells(frame: pd.DataFrame, missing: Sequence[str]) -> pd.DataFrame:
    """The same frame with its text cells stripped, and None where they mean a missing value."""
    cleaner = _Cleaner(missing)
    changed = {
        name: pd.Series(
            _objects([cleaner[cell] if isinstance(cell, str) else cell for cell in column]), column.index, dtype=object
        )
        for name, column in frame.items()
        if any(isinstance(cell, str) for cell in column)
    }
    return frame.assign(**{str(name): column for name, column in changed.items()}) if changed else frame


def _objects(values: Sequence[object]) -> np.ndarray:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


class _Cleaner(dict[str, str | None]):
    """Raw cell to clean cell: stripped, None where missing; a table repeats its cells, so they are remembered."""

    def __init__(self, missing: Sequence[str]) -> None:
        super().__init__()
        self._exact = frozenset(missing)
        self._folded = frozenset(token for token in missing if token == token.lower())

    def __missing__(self, cell: str) -> str | None:
        stripped = cell.strip()
        value = None if stripped in self._exact or stripped.lower() in self._folded else stripped
        if len(self) < _KEPT:
            self[cell] = value
        return value


def _records(path: Path, text: str, delimiter: str) -> Iterator[Record]:
    """Every record with the line on which it starts; blank lines are passed over."""
    # skipinitialspace lets a quote after ", " open a field, as people write it by hand
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    start = 1
    try:
        for cells in reader:
            if len(cells) > 1 or (cells and cells[0].strip()):
                yield start, cells
            start = reader.line_num + 1
    except csv.Error as error:
        raise _bad_quote(path, text, delimiter, start, str(error)) from None


def _ragged(path: Path, line: int, cells: list[str], expected: int) -> DataError:
    within = sum(cell.count("\n") for cell in cells)
    problem = f"expected {expected} fields as in the header, got {len(cells)}"
    if within:
        problem += f" (a quoted field runs on over {within} more lines)"
    remedy = "close its quote" if within else "complete the row, or quote a field that holds the delimiter"
    return DataError(f"{path}:{line}", problem, remedy)


def _bad_quote(path: Path, text: str, delimiter: str, start: int, reason: str) -> DataError:
    if "unexpected end" in reason:
        line = _open_quote(text, delimiter, start)
        return DataError(f"{path}:{line}", "a quote opens here and is never closed", "close it, or double it inside")
    if "field limit" in reason:
        limit = f"a field is longer than {csv.field_size_limit():,} characters"
        return DataError(f"{path}:{start}", limit, "look on this line for a quote that is not closed")
    problem = "a quoted field goes on after its closing quote"
    return DataError(f"{path}:{start}", problem, "close the quote that opens on this line, or double the quotes inside")


def _open_quote(text: str, delimiter: str, start: int) -> int:
    """The line of the quote that stays open, looking from the record on line `start`."""
    quoted = re.compile(r' *"(?:[^"]|"")*"')
    rest = re.compile(rf"[^{re.escape(delimiter)}\r\n]*(?:{re.escape(delimiter)}|\r\n|\r|\n|$)")
    ends = re.finditer(r"\r\n|\r|\n", text)
    at = next(islice(ends, start - 2, None)).end() if start > 1 else 0
    line = start
    while at < len(text):
        field = quoted.match(text, at)
        if field is None and text[at:].lstrip(" ").startswith('"'):
            return line
        end = rest.match(text, field.end() if field else at)
        after = end.end() if end else len(text)
        line += len(re.findall(r"\r\n|\r|\n", text[at:after]))
        at = after
    return start


def _sniff(text: str) -> str:
    """The delimiter with which most of the first records have as many cells as the first one; a comma when none has."""
    best, winner = (0, 1), ","
    for delimiter in _DELIMITERS:
        reader = csv.reader(io.StringIO(text[: 1 << 16], newline=""), delimiter=delimiter, skipinitialspace=True)
        counts = [len(cells) for cells in islice(reader, 20) if cells]
        width = counts[0] if counts else 0
        score = (sum(count == width for count in counts), width)
        if width > 1 and score > best:
            best, winner = score, delimiter
    return winner


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return cell.strip().lower() not in ("nan", "inf", "infinity")


def _column_names(path: Path, names: Sequence[object]) -> list[str]:
    """Stripped names. Raises DataError where one is empty or comes twice."""
    clean = [str(name).strip() for name in names]
    if not clean:
        raise DataError(path, "the table has no columns", "give a table with named columns")
    for number, name in enumerate(clean, 1):
        if not name:
            raise DataError(path, f"column {number} of {len(clean)} has no name", "name it in the header or delete it")
        first = clean.index(name) + 1
        if first != number:
            raise DataError(path, f"columns {first} and {number} are both named {name!r}", "rename or delete one")
    return clean
