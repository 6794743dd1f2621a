"""Text of csv files that no spreadsheet takes for formulas."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

_FORMULA = re.compile(r"[=+\-@\t\r](?!(?<=[+-])[\d.]+(e[+-]?\d+)?$)")
"""How a text begins that a spreadsheet computes; a number is what it is."""


def csv_text(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Lines of cells; a text that a spreadsheet would take for a formula gets an apostrophe in front."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    for row in (header, *rows):
        writer.writerow([_inert(cell) for cell in row])
    return file.getvalue()


def _inert(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell
