"""A held-out source whose batches are shared out among the ranks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import final

from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.ranks import Ranks

Row = tuple[Tensor, ...]
"""What an objective keeps of one batch."""


@final
class Shared(Iterable[Batch]):
    """Every batch of a source, for who iterates; by `rows`, each rank looks at its own batches only.

    `whole` gives all batches, `part` those of this rank: of `size` ranks, every `size`-th from its own number on.
    """

    def __init__(self, whole: Callable[[], Iterable[Batch]], part: Callable[[], Iterable[Batch]], ranks: Ranks) -> None:
        self._whole, self._part, self._ranks = whole, part, ranks

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._whole())

    def rows(self, function: Callable[[Batch], Row]) -> list[Row]:
        """What the function gives for each batch, in order, on every rank and on the processor.

        Where it fails on one rank, all raise its error.
        """
        own = self._ranks.attempt(lambda: [function(batch) for batch in self._part()])
        named = {f"{at}.{place}": tensor for at, row in enumerate(own) for place, tensor in enumerate(row)}
        counts = self._ranks.gather([len(row) for row in own])
        found = self._ranks.gather_tensors(named)
        total = sum(map(len, counts))
        return [_row(found[i % len(found)], i // len(found), counts[i % len(found)]) for i in range(total)]


def _row(tensors: dict[str, Tensor], at: int, widths: Sequence[int]) -> Row:
    return tuple(tensors[f"{at}.{place}"] for place in range(widths[at]))


def rows(source: Iterable[Batch], function: Callable[[Batch], Row]) -> list[Row]:
    """What a function gives for each batch of a source, in order; the ranks divide the work, where there are several.

    To be used in `Objective.evaluate`: whatever is computed on the rows is then that of one process.
    """
    return source.rows(function) if isinstance(source, Shared) else [function(batch) for batch in source]
