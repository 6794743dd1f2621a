"""Whether one column alone gives the target away."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_FEW = 20  # rows, below which a perfect fit is likely to be chance


def tells_class(values: NDArray[Any], labels: NDArray[np.int64]) -> bool:
    """Whether a column's value predicts the class of at least 99.9 % of the rows, though the commonest has under 99 %.

    `values` (N,) are float64 where they have an order, else codes; missing (-1, NaN) counts as a value of its own.
    Numbers are taken in quantile bins, or parted exactly by thresholds. `labels` (N,) are codes, -1 missing. A column
    with nearly as many values as there are rows tells nothing.
    """
    there = labels >= 0
    values, labels = values[there], labels[there]
    count, sizes = len(labels), np.bincount(labels)
    sizes = sizes[sizes > 0]
    if count < _FEW or len(sizes) < 2 or sizes.max() >= 0.99 * count:
        return False
    if values.dtype == np.float64 and sizes.min() >= 5 and _separates(values, labels, len(sizes)):
        return True
    groups = _bins(values) if values.dtype == np.float64 else values + 1
    if len(np.unique(groups)) >= 0.5 * count:
        return False
    classes = int(labels.max()) + 1
    pairs, times = np.unique(groups * classes + labels, return_counts=True)
    starts = np.flatnonzero(np.diff(pairs // classes, prepend=-1))
    return bool(np.maximum.reduceat(times, starts).sum() >= 0.999 * count)


def _separates(values: NDArray[np.float64], labels: NDArray[np.int64], classes: int) -> bool:
    """Whether thresholds on the value, one fewer than classes, part the classes exactly."""
    if np.isnan(values).any():
        return False
    order = np.lexsort((labels, values))
    turns = np.flatnonzero(np.diff(labels[order]))
    return len(turns) == classes - 1 and bool((np.diff(values[order])[turns] > 0).all())


def _bins(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Groups, at most 64 and of 20 rows or more on average, so that they are not pure by chance; 0 is missing.

    A group is one value where that gives few enough, else the values between two quantiles.
    """
    present = values[~np.isnan(values)]
    most = min(64, max(2, len(present) // 20))
    edges = np.unique(present)
    if len(edges) > most:
        edges = np.unique(np.quantile(present, np.linspace(0, 1, most + 1)[1:-1]))
    return np.where(np.isnan(values), 0, 1 + np.searchsorted(edges, values))


def tells_number(values: NDArray[np.float64], target: NDArray[np.float64]) -> bool:
    """Whether |correlation| of the values, or of their ranks, with the target is at least 0.9999."""
    there = ~np.isnan(values) & ~np.isnan(target)
    if there.sum() < _FEW:
        return False
    x, y = values[there], target[there]
    ranks = pd.DataFrame({"x": x, "y": y}).rank().to_numpy()
    return max(_correlation(x, y), _correlation(ranks[:, 0], ranks[:, 1])) >= 0.9999


def _correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """The absolute value of Pearson's correlation; 0 where one does not vary."""
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    x, y = (x - x.mean()) / np.ptp(x), (y - y.mean()) / np.ptp(y)
    return abs(float((x * y).sum())) / float(np.sqrt((x * x).sum() * (y * y).sum()))
