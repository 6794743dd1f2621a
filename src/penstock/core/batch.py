"""What flows from a source to an objective, and what an objective tells the source in return."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor


class Batch(dict[str, Tensor]):
    """Named tensors whose first dimension counts the same B examples."""

    _said: Mapping[str, Tensor] = MappingProxyType({})
    _parts: Sequence[Batch] = ()

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
        self._parts = [Batch(zip(pieces, row, strict=True)) for row in zip(*pieces.values(), strict=True)]
        yield from self._parts

    def feedback(self, **found: Tensor) -> None:
        """Tell a source that listens what was found for the B examples: a state to carry on, an error; (B, ...) each.

        It is detached. Said again, it counts the last time.
        """
        self._parts = ()  # another look at the batch may have split it
        self._said = {**self._said, **{name: value.detach() for name, value in found.items()}}

    @property
    def said(self) -> Mapping[str, Tensor]:
        """The feedback for all B examples, of the batch or of the parts that it was split into."""
        if not self._parts:
            return self._said
        said = [part.said for part in self._parts]
        return {name: torch.cat([part[name] for part in said]) for name in said[0]}
