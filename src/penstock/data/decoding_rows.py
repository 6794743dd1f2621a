"""Numbers of a model back to the cells of a table. N rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from penstock.data.features import TableEncoder
from penstock.data.fitted import CategoryColumn, NumericColumn

_DAY = 86_400_000_000  # microseconds


def rows_of(encoder: TableEncoder, expected: Tensor, places: list[str]) -> pd.DataFrame:
    """What `Rows.mean` expects, (N, F + sum K), in the units of the table: the numbers, and the likeliest categories.

    A cell is missing where that is likelier than not.
    """
    values = expected.double().cpu().numpy()
    columns: dict[str, NDArray[np.object_]] = {}
    at = 0
    for column in encoder.numeric:
        width = len(column.feature_names)
        columns[column.name] = _cells(column, values[:, at : at + width])
        at += width
    for category in encoder.categories:
        columns[category.name] = _words(category, values[:, at : at + category.cardinality])
        at += category.cardinality
    return pd.DataFrame(columns, index=places)


def _cells(column: NumericColumn, values: NDArray[np.float64]) -> NDArray[np.object_]:
    """One column, from its number and, where there is one, the mark of a gap."""
    scale, scaled = column.scale, values[:, 0]
    if scale.quantiles:
        level = torch.special.ndtr(torch.from_numpy(scaled)).numpy()
        plain = np.interp(level, np.linspace(0, 1, len(scale.quantiles)), np.array(scale.quantiles))
    else:
        plain = scaled * scale.std + scale.mean
    cells: NDArray[np.object_] = np.empty(len(plain), dtype=object)
    if column.kind == "boolean":
        cells[:] = [bool(value >= 0.5) for value in plain]
    elif column.kind == "date":
        cells[:] = [_moment(days, clock=column.clock) for days in plain]
    else:
        cells[:] = [float(f"{value:.7g}") for value in plain]
    if scale.indicator:
        cells[values[:, 1] > 0.5] = None
    return cells


def _moment(days: float, *, clock: bool) -> str:
    """A date, with the time of day to the second where the column has one."""
    near = min(max(days, -719_162.0), 2_932_896.0)  # the years 1 to 9999
    moment = np.datetime64(round(near * _DAY) if clock else round(near) * _DAY, "us")
    return str(moment.astype("datetime64[s]" if clock else "datetime64[D]")).replace("T", " ")


def _words(column: CategoryColumn, shares: NDArray[np.float64]) -> NDArray[np.object_]:
    """The likeliest of the values of training, or None; 0, never seen, is no answer."""
    names = np.array([None, *column.values], dtype=object)
    found: NDArray[np.object_] = names[shares[:, 1:].argmax(1)]
    return found
