"""Raw labelled data as they have been read: a table, pictures, texts or sounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from penstock.core.errors import RecipeError, suggest
from penstock.data.tables import MISSING, clean_cells, read_table


@dataclass(frozen=True)
class ReadOptions:
    """How text tables are to be read."""

    delimiter: str | None = None
    encoding: str = "utf-8"
    missing: Sequence[str] = ()
    present: Sequence[str] = ()

    def read(self, path: Path) -> pd.DataFrame:
        """A table, with these options."""
        return read_table(path, delimiter=self.delimiter, encoding=self.encoding, missing=self._tokens())

    def clean(self, frame: pd.DataFrame) -> pd.DataFrame:
        """A table that did not come as text, with the same cells missing as if it had."""
        return clean_cells(frame, self._tokens())

    def _tokens(self) -> list[str]:
        """The texts that mean a missing value."""
        present = {text.casefold() for text in self.present}
        return [text for text in (*MISSING, *self.missing) if text.casefold() not in present]

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "delimiter": self.delimiter,
            "encoding": self.encoding,
            "missing": list(self.missing),
            "present": list(self.present),
        }


@dataclass(frozen=True)
class TableData:
    """Rows with named columns. `splits` says which part each row is for, where the data bring that along."""

    name: str
    origin: str
    frame: pd.DataFrame
    target: str | None = None
    splits: np.ndarray | None = None


@dataclass(frozen=True)
class Pictures:
    """Pictures as pixels (N, C, H, W) uint8, or as files that are still to be decoded."""

    places: list[str]
    pixels: np.ndarray | None = None
    files: list[Path] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.places)


@dataclass(frozen=True)
class ImageData:
    """Pictures with a label each."""

    name: str
    origin: str
    pictures: Pictures
    labels: pd.Series[Any]
    splits: np.ndarray | None = None
    empty: Sequence[str] = ()
    listed: bool = False
    """By a table, of which the columns `left_out` play no part."""
    left_out: Sequence[str] = ()
    about: pd.DataFrame | None = None
    """What else is known of each, by columns."""


@dataclass(frozen=True)
class TextData:
    """Texts with a label each, by the places in the index of `labels`; those of a table from its `column`."""

    name: str
    origin: str
    texts: list[str]
    labels: pd.Series[Any]
    splits: np.ndarray | None = None
    empty: Sequence[str] = ()
    column: str | None = None
    left_out: Sequence[str] = ()


@dataclass(frozen=True)
class Sounds:
    """Sounds as files that are still to be read, or as `samples` (S,) float32 each, taken `rate` times a second."""

    files: list[Path] = field(default_factory=list)
    samples: list[np.ndarray] | None = None
    rate: int | None = None

    def only(self, rows: Sequence[int]) -> Sounds:
        """Some of those that are files."""
        return Sounds([self.files[row] for row in rows])


@dataclass(frozen=True)
class SoundData:
    """Sounds with a label each, by the places in the index of `labels`."""

    name: str
    origin: str
    sounds: Sounds
    labels: pd.Series[Any]
    splits: np.ndarray | None = None
    empty: Sequence[str] = ()
    listed: bool = False
    """By a table, of which the columns `left_out` play no part."""
    left_out: Sequence[str] = ()
    about: pd.DataFrame | None = None
    """What else is known of each, by columns."""

    @property
    def choices(self) -> list[str]:
        """The columns that can be its labels, where there are several."""
        names = [] if self.about is None or self.listed else [str(name) for name in self.about.columns]
        return names if len(names) > 1 else []

    def labelled(self, target: str) -> SoundData:
        """With another column of what is known for the labels. Raises RecipeError where there is no such column."""
        if self.about is None or target not in self.choices:
            problem = f"there is no column {target!r} in {self.origin}"
            raise RecipeError("target", problem, suggest(target, self.choices))
        return replace(self, labels=self.about[target])


Opened = TableData | ImageData | TextData | SoundData
