"""Some of the examples, by what is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from penstock.core.errors import RecipeError, suggest
from penstock.kinds.kind import Material
from penstock.kinds.told import FOLDERS, about


def chosen(material: Material, only: Sequence[str], without: Sequence[str]) -> np.ndarray:
    """Which examples are meant, (N,) bool: each of `only` and `without` is COLUMN=VALUE.

    Several values of one column are alternatives. Raises RecipeError for a column or a value that does not occur, and
    where none is left.
    """
    keep = np.ones(len(material.labels), dtype=bool)
    for setting, words in (("only", only), ("without", without)):
        wanted: dict[str, np.ndarray] = {}
        for word in words:
            column, found = _found(setting, word, material)
            wanted[column] = wanted.get(column, False) | found
        for found in wanted.values():
            keep &= found if setting == "only" else ~found
    if not keep.any():
        raise RecipeError("only", f"of {len(keep):,} examples none is left", "ask for less")
    return keep


def knows(material: Material, words: Sequence[str]) -> bool:
    """Whether the columns in COLUMN=VALUE are known of all examples: of other data they need not be."""
    columns = [] if material.about is None else [str(name) for name in material.about.columns]
    return columns == [FOLDERS] or all(word.partition("=")[0] in columns for word in words)


def _found(setting: str, word: str, material: Material) -> tuple[str, np.ndarray]:
    """The column that is meant, and which examples have the value."""
    column, equals, value = word.partition("=")
    if not equals or not column:
        raise RecipeError(setting, f"{word!r} does not say what is what", "write COLUMN=VALUE, e.g. class=3")
    words = about(setting, column, material).map(_plain).to_numpy()
    if value not in words:
        there = list(dict.fromkeys(found for found in words if found is not None))
        raise RecipeError(setting, f"no example has {value!r} for {column!r}", suggest(value, there[:1000]))
    return column, words == value


def _plain(cell: Any) -> str | None:
    """A cell as it is written: 3.0 is 3."""
    if pd.isna(cell):
        return None
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
