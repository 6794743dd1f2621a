"""Stretches of a series and what came after them. N rows in time, T steps back, F steps ahead, C columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import final

import numpy as np
import torch
from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.errors import DataError
from penstock.data.examples import Examples
from penstock.data.splits import PARTS, Splits


@final
class Windows(Examples):
    """Example i is row i with those before it: "series" (B, T, C), and "target" (B, F, K), what came after.

    `values` (N, C) are kept once, however much the windows overlap; `targets` are the K columns to tell.
    """

    def __init__(self, values: Tensor, *, context: int, ahead: int, targets: Sequence[int]) -> None:
        self.values, self.context, self.ahead, self.targets = values, context, ahead, list(targets)

    def to(self, device: torch.device) -> Windows:
        """On another device."""
        return Windows(self.values.to(device), context=self.context, ahead=self.ahead, targets=self.targets)

    def stream(self, wanted: Iterable[Tensor]) -> Iterator[tuple[Tensor, Batch]]:
        """One gather a batch."""
        device = self.values.device
        back = torch.arange(1 - self.context, 1, device=device)
        on = torch.arange(1, self.ahead + 1, device=device)
        targets = torch.tensor(self.targets, device=device)
        for indices in wanted:
            rows = indices.to(device).unsqueeze(1)
            told = self.values[rows + on].index_select(2, targets)
            yield indices, Batch(series=self.values[rows + back], target=told)


def split_by_time(count: int, *, context: int, ahead: int, validation: float, test: float) -> Splits:
    """Which rows a window may end at, for each part: what comes after it must lie in that part altogether.

    The last share of the rows is for the test, the one before it for validation. What comes before a window's end may
    lie in the part before: it is known by then. Raises DataError where a part would be empty.
    """
    part = np.zeros(count, dtype=np.int64)
    part[round(count * (1 - validation - test)) :] = 1
    part[round(count * (1 - test)) :] = 2
    ends = np.arange(context - 1, count - ahead)
    found: Splits = {}
    for number, name in enumerate(PARTS):
        of = np.concatenate([[0], (part == number).cumsum()])
        inside = of[ends + ahead + 1] - of[ends + 1] == ahead if len(ends) else np.zeros(0, dtype=bool)
        found[name] = ends[inside]
    empty = [name for name, rows in found.items() if not len(rows)]
    if empty:
        sizes = ", ".join(f"{name} {int((part == number).sum()):,}" for number, name in enumerate(PARTS))
        raise DataError(
            "windows",
            f"no window of {context:,} rows back and {ahead:,} ahead fits {' and '.join(empty)} "
            f"(of {count:,} rows: {sizes})",
            "use more rows, or lower --window.horizon or --window.context",
        )
    return found
