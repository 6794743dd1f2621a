"""Tables: rows with named columns of numbers, categories, truth values and dates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch

from penstock.core.errors import DataError, RecipeError, suggest
from penstock.data.cells import shell, texts
from penstock.data.examples import Examples, InMemory
from penstock.data.features import TableEncoder
from penstock.data.opened import ImageData, Pictures, ReadOptions, SoundData, Sounds, TableData, TextData
from penstock.data.ragged import Stored
from penstock.data.sources import Transform
from penstock.kinds.audit import asked, audit
from penstock.kinds.columns import Column, infer_columns
from penstock.kinds.kind import Kind, Material, Shown
from penstock.kinds.listed import listed_files


class TableKind(Kind):
    """Numbers (B, F), and categories (B, C) where there are any."""

    word = "table"
    default_model = "mlp"

    def __init__(self, encoder: TableEncoder, reading: ReadOptions) -> None:
        self.encoder, self.reading = encoder, reading
        self.inputs = ("numbers", "categories") if encoder.cardinalities else ("numbers",)

    def sizes(self) -> dict[str, Any]:
        """How many numbers, and how many values of each category."""
        return {"numbers": len(self.encoder.number_names), "cardinalities": self.encoder.cardinalities}

    def transform(self, *, training: bool) -> Transform | None:
        """Nothing: rows are encoded once."""
        return None

    def read(self, given: Sequence[object]) -> tuple[list[str], Examples]:
        """Table files, JSON objects as text, dicts, or DataFrames, one after the other."""
        frames = [self._frame(item) for item in given]
        encoded = [self.encoder.encode(frame) for frame in frames]  # each by itself: a column that one lacks is missed
        tensors = {name: torch.cat([part[name] for part in encoded]) for name in encoded[0]}
        return [str(place) for frame in frames for place in frame.index], InMemory(tensors)

    def _frame(self, item: object) -> pd.DataFrame:
        if isinstance(item, pd.DataFrame):
            return self.reading.clean(item)
        if isinstance(item, np.ndarray | torch.Tensor):
            rows = np.atleast_2d(np.asarray(item))
            names = [f"row {i}" for i in range(len(rows))]
            return pd.DataFrame(rows, columns=[f"x{i}" for i in range(rows.shape[1])], index=names)
        if isinstance(item, str) and item.lstrip().startswith("{"):
            try:
                item = json.loads(item)
            except ValueError as error:
                raise DataError("input", f"not valid JSON ({error})", 'write {"column": value, ...}') from None
        if isinstance(item, Mapping):
            return self.reading.clean(pd.DataFrame([dict(item)], index=["input"], dtype=object))
        if isinstance(item, str | Path):
            return self.reading.read(Path(item))
        raise DataError(
            "input", f"cannot read {type(item).__name__} as rows", "give a table file, a dict, a DataFrame or an array"
        )

    def to_json(self) -> dict[str, Any]:
        """The fitted columns, and how files of rows are read."""
        return {"kind": self.word, "encoder": self.encoder.to_json(), "reading": self.reading.to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TableKind:
        """The reverse of `to_json`."""
        return cls(TableEncoder.from_json(value["encoder"]), ReadOptions(**value["reading"]))


class TableMaterial(Material):
    """A table of which one column is the target."""

    word: ClassVar[str] = "table"
    foreign = ("image", "audio", "text", "series")

    def __init__(
        self,
        data: TableData,
        target: str,
        columns: Sequence[Column],
        given: np.ndarray | None,
        *,
        scaling: Literal["standard", "quantile"],
        reading: ReadOptions,
    ) -> None:
        self.name, self.origin, self.given = data.name, data.origin, given
        self.labels, self.about = data.frame[target], data.frame
        self.columns = list(columns)
        self.frame = data.frame[[column.name for column in columns]]
        self._scaling, self._reading = scaling, reading

    def fit(self, rows: np.ndarray) -> TableKind:
        """Scaling, imputation and categories, from these rows."""
        train = self.frame.iloc[rows]
        empty = {c.name for c in self.columns if not c.by_hand and c.missing and train[c.name].isna().all()}
        kinds = {column.name: column.kind for column in self.columns if column.name not in empty}
        return TableKind(TableEncoder.fit(train, kinds, scaling=self._scaling), self._reading)

    def examples(self, kind: Kind, columns: Mapping[str, Stored]) -> Examples:
        """All rows, encoded, in memory."""
        assert isinstance(kind, TableKind)
        return InMemory({**kind.encoder.encode(self.frame), **columns})

    def facts(self) -> dict[str, Any]:
        """The columns."""
        fields = ("name", "kind", "missing", "distinct", "detail")
        return {"columns": [{field: getattr(column, field) for field in fields} for column in self.columns]}

    def audit(self, task: str, splits: Mapping[str, np.ndarray]) -> list[str]:
        """Constant columns, rows in two splits, give-aways, imbalance."""
        return audit(self.frame, self.columns, self.labels, asked(task), splits)

    def show(self, row: int) -> Shown:
        """The row's cells."""
        cells = {str(name): None if pd.isna(value) else str(value) for name, value in self.frame.iloc[row].items()}
        return {"place": str(self.frame.index[row]), "picture": None, "row": cells}

    def fingerprint(self) -> str:
        """Over all cells, labels, and the split that the data bring along."""
        table = self.frame.assign(**{"target of the task": self.labels}).astype(str)
        if self.given is not None:
            table["split of the data"] = self.given
        return hashlib.sha256(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes()).hexdigest()[:16]


NOTHING = "no class"
"""The name of the target of rows that have none."""


def without_target(data: TableData, target: str | None) -> tuple[TableData, str]:
    """The data and the column that is not learned from: the one named, or the set's own, or one with nothing in it."""
    target = target or data.target
    if target is not None:
        return data, target
    return replace(data, frame=data.frame.assign(**{NOTHING: None})), NOTHING


def table_material(
    data: TableData,
    *,
    target: str | None,
    kinds: Mapping[str, str],
    split_column: str | None,
    scaling: Literal["standard", "quantile"],
    reading: ReadOptions,
    used: Sequence[str] | None = None,
) -> TableMaterial | ImageData | TextData | SoundData:
    """Find the target, the split and the kind of every column; a table that lists picture or sound files is those,
    one with nothing but running text, or where a column was called text by hand, is texts.

    `used` are the columns of a model that there is already: others are left alone. Raises DataError for a target that
    is not there, RecipeError for names that do not exist.
    """
    target = target or data.target
    names = [str(name) for name in data.frame.columns]
    if target is None:
        raise RecipeError(
            "target", f"which column of {data.name} is to be predicted?", f"give --target, {suggest('', names)}"
        )
    if target not in names:
        raise DataError(data.origin, f"there is no column {target!r} to predict", suggest(target, names))
    given = data.splits
    if split_column is not None:
        if split_column not in names:
            raise RecipeError("split.column", f"there is no column {split_column!r}", suggest(split_column, names))
        given = data.frame[split_column].astype(str).to_numpy()
    features = data.frame.drop(columns=[name for name in (target, split_column) if name is not None])
    if used is not None:
        features = features[[name for name in features.columns if name in used]]
    elsewhere = (target, split_column)
    by_hand = {n: kind for n, kind in kinds.items() if (n not in elsewhere if used is None else n in features)}
    columns = infer_columns(features, by_hand)
    if used is None and all(column.kind == "skip" for column in columns):
        left_out = "; ".join(f"{column.name!r} was left out: {column.detail}" for column in columns[:3])
        remedy = f"keep one with --columns.{columns[0].name} KIND" if columns else "add columns to learn from"
        raise DataError(data.origin, f"no column is left beside the target ({left_out or 'there is none'})", remedy)
    text = _text_column(columns, features, known=used is not None)
    if text is not None:
        others = [column.name for column in columns if column is not text and column.kind != "skip"]
        return _texts(data, text.name, target, given, others)
    columns = [_left_out(column) if column.kind == "text" else column for column in columns]
    if listed := next((column for column in columns if column.kind in ("image", "audio")), None):
        others = [column.name for column in columns if column is not listed and column.kind != "skip"]
        names, files = listed_files(data, listed.name)
        about = data.frame.set_axis(names, axis=0)
        labels = about[target]
        if listed.kind == "audio":
            sounds = Sounds(files)
            return SoundData(data.name, data.origin, sounds, labels, given, listed=True, left_out=others, about=about)
        pictures = Pictures(names, files=files)
        return ImageData(data.name, data.origin, pictures, labels, given, listed=True, left_out=others, about=about)
    return TableMaterial(data, target, columns, given, scaling=scaling, reading=reading)


def _text_column(columns: Sequence[Column], frame: pd.DataFrame, known: bool) -> Column | None:
    """The column to read as texts: that called so by hand, else of a table of nothing else the wordiest."""
    found = [column for column in columns if column.kind == "text"]
    by_hand = [column for column in found if column.by_hand]
    if by_hand or known or not found:
        return by_hand[0] if by_hand else None
    alone = all(column.kind in ("text", "skip") for column in columns)
    return max(found, key=lambda column: sum(map(len, frame[column.name].dropna()))) if alone else None


def _left_out(column: Column) -> Column:
    return replace(
        column, kind="skip", detail=f"{column.detail}; to learn from it alone: {shell(f'--columns.{column.name}')} text"
    )


def _texts(data: TableData, column: str, target: str, given: np.ndarray | None, others: Sequence[str]) -> TextData:
    """The cells of one column; a missing one is an empty text."""
    cells = [text or "" for text in texts(data.frame[column])]
    return TextData(data.name, data.origin, cells, data.frame[target], given, column=column, left_out=others)
