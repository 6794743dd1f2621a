"""Examples with keys, from which an objective draws what it needs for them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.draws import keys_of
from penstock.data.sources import Transform

KEY, INDEX = "key", "index"


@dataclass(frozen=True)
class Keyed:
    """After the transform `first`, adds "key" (B,), a number for each example and epoch, and "index" (B,).

    In a held-out source, whose seed is always the same, an example keeps its key. `places` (N,) int64 tells of all
    examples which index each gets, where it is to be another than its own: its place among those to be learned.
    """

    first: Transform | None = None
    places: Tensor | None = None

    def __call__(self, batch: Batch, indices: Tensor, seed: int) -> Batch:
        """The batch with two fields more."""
        if self.first is not None:
            batch = self.first(batch, indices, seed)
        device = next(iter(batch.values())).device
        indices = indices.to(device)
        index = indices if self.places is None else self.places.to(device)[indices]
        return Batch(batch, key=keys_of(seed, indices), index=index)
