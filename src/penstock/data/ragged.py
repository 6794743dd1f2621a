"""Rows of unequal length, as one tensor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import final

import torch
from torch import Tensor

LENGTH = "_length"
"""What the name of a field ends in that holds the lengths of another: "tokens" (B, T) has "tokens_length" (B,)."""


@final
class Ragged:
    """N rows of unequal length T: `values` (sum of T, ...) one row after the other, `starts` (N + 1,) their places.

    A batch of rows is padded with `padding` to its longest.
    """

    def __init__(self, values: Tensor, starts: Tensor, *, padding: float = 0) -> None:
        self.values, self.starts, self.padding = values, starts, padding

    @classmethod
    def of(cls, rows: Iterable[Tensor | Sequence[int]], *, padding: float = 0) -> Ragged:
        """From rows (T, ...); lists of numbers become int64."""
        parts = [row if isinstance(row, Tensor) else torch.tensor(row, dtype=torch.int64) for row in rows]
        lengths = torch.tensor([0, *map(len, parts)])
        values = torch.cat(parts) if parts else torch.zeros(0, dtype=torch.int64)
        return cls(values, lengths.cumsum(0), padding=padding)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, row: int) -> Tensor:
        """One row (T, ...), a view."""
        start, end = self.starts[row : row + 2].tolist()
        return self.values[start:end]

    @property
    def lengths(self) -> Tensor:
        """(N,)."""
        return self.starts.diff()

    def padded(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The rows (B,) by index: (B, longest T, ...), and their lengths (B,)."""
        start = self.starts[rows]
        length = self.starts[rows + 1] - start
        longest = int(length.max()) if len(rows) else 0
        step = torch.arange(longest, device=rows.device)
        inside = step < length.unsqueeze(1)  # (B, T)
        if not longest:
            return self.values.new_empty((len(rows), 0, *self.values.shape[1:])), length
        found = self.values[(start.unsqueeze(1) + step).clamp_(max=len(self.values) - 1)]
        outside = ~inside.reshape(*inside.shape, *[1] * (self.values.ndim - 1))
        return found.masked_fill_(outside, self.padding), length

    def to(self, device: torch.device) -> Ragged:
        """On another device."""
        return Ragged(self.values.to(device), self.starts.to(device), padding=self.padding)


Stored = Tensor | Ragged
"""One field of all examples: (N, ...), or N rows of unequal length."""
