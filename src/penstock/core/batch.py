"""What flows from a source to an objective."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


class Batch(dict[str, Tensor]):
    """Named tensors whose first dimension counts the same B examples."""

    @property
    def size(self) -> int:
        """B, the number of examples; 0 where it holds nothing."""
        return len(next(iter(self.values()), ()))

    def to(self, device: torch.device) -> Batch:
        """The same batch on `device`; itself when it is there already."""
        if all(value.device == device for value in self.values()):
            return self
        return Batch({name: value.to(device, non_blocking=True) for name, value in self.items()})

    def split(self, parts: int) -> Iterator[Batch]:
        """At most `parts` batches of nearly equal size, in order; together they are this one."""
        pieces = {name: value.tensor_split(min(parts, self.size)) for name, value in self.items()}
        for row in zip(*pieces.values(), strict=True):
            yield Batch(zip(pieces, row, strict=True))
