"""The rows of metrics.jsonl."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from penstock.core.errors import CheckpointError

Row = dict[str, float]


def read_rows(path: Path) -> dict[str, list[Row]]:
    """The finite numbers of every row, by split; nothing where there is no file.

    A last line without its line end is still being written: it is left out. Raises CheckpointError for a damaged one.
    """
    if not path.exists():
        return {}
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise CheckpointError(path, f"cannot be read ({error.strerror})", "check its permissions") from error
    rows: dict[str, list[Row]] = {}
    for place, line in enumerate(lines[:-1], start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            numbers = {key: float(item) for key, item in row.items() if _is_finite(item)}
        except (ValueError, AttributeError, OverflowError) as error:
            problem = "is not a row of metrics in JSON"
            raise CheckpointError(f"{path}:{place}", problem, "remove the line, or train again") from error
        rows.setdefault(str(row.get("split", "train")), []).append(numbers)
    return rows


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
