"""Tables with types of their own: Parquet and JSON lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from penstock.core.errors import DataError


def read_parquet(path: Path) -> tuple[pd.DataFrame, list[int]]:
    """A Parquet file and the 1-based number of each row. Raises DataError where it is damaged or has nested columns."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        with parquet.ParquetFile(path) as file:
            table = file.read()
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0][:200]
        raise DataError(
            path, f"cannot be read as Parquet ({reason})", "copy the file again or export it anew"
        ) from None
    # pandas keeps an index without a name as a column of this name; it holds row numbers
    kept = [at for at, name in enumerate(table.column_names) if not name.startswith("__index_level_")]
    names = [table.column_names[at] for at in kept]
    columns = [_arrow_column(path, name, table.column(at)) for at, name in zip(kept, names)]
    frame = pd.DataFrame(dict(enumerate(columns)), columns=range(len(columns)))
    frame.columns = pd.Index(names, dtype=object)
    return frame, list(range(1, len(frame) + 1))


def _arrow_column(path: Path, name: str, column: Any) -> pd.Series[Any]:
    """One column as numbers, booleans, times, or Python strings with None where missing."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise DataError(path, f"column {name!r} holds {kind}, not single values", "spread it over columns or drop it")
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pd.Series(column.to_pylist(), dtype=object)
    series: pd.Series[Any] = column.to_pandas()
    return series


def read_json_lines(path: Path, text: str) -> tuple[pd.DataFrame, list[int]]:
    """One JSON object a line, and the line of each.

    A key that a line lacks is missing there. Raises DataError with file and line for bad JSON, a line that is no
    object, and values that are lists or objects.
    """
    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            rows.append(_json_row(f"{path}:{number}", line))
            lines.append(number)
    if not rows:
        raise DataError(path, "the file holds nothing but blank lines", "give one JSON object a line")
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = [_typed([row.get(name) for row in rows]) for name in names]
    frame = pd.DataFrame(dict(enumerate(columns)), columns=range(len(names)))
    frame.columns = pd.Index(names, dtype=object)
    return frame, lines


def _json_row(place: str, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        problem = f"is not JSON (character {error.pos + 1}: {error.msg})"
        raise DataError(place, problem, "write one whole JSON object on each line") from None
    except (ValueError, RecursionError) as error:
        raise DataError(place, f"is not usable JSON ({error})", "write one flat JSON object on each line") from None
    if not isinstance(row, dict):
        raise DataError(place, f"holds a JSON {_sort(row)}, not an object", 'write {"column": value, ...} on each line')
    for name, value in row.items():
        if isinstance(value, list | dict):
            raise DataError(
                place, f"column {name!r} holds a nested {_sort(value)}", "spread it over columns or drop it"
            )
    return row


def _sort(value: object) -> str:
    sorts = {list: "list", dict: "object", str: "text", bool: "truth value", type(None): "null"}
    return sorts.get(type(value), "number")


def _typed(values: list[Any]) -> pd.Series[Any]:
    """Numbers as numbers, truth values as such, and anything else as the objects they are."""
    kinds = {type(value) for value in values}
    if kinds == {int} and all(-(2**63) <= value < 2**63 for value in values):
        return pd.Series(values, dtype=np.int64)
    if kinds == {bool}:
        return pd.Series(values, dtype=bool)
    if kinds <= {int, float, type(None)} and kinds != {type(None)}:
        return pd.Series([np.nan if value is None else _as_float(value) for value in values], dtype=np.float64)
    return pd.Series(values, dtype=object)


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer of more than 308 digits
        return np.inf if value > 0 else -np.inf
