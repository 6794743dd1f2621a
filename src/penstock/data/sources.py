"""Sources of stored examples: shuffled and endless for training, in order and finite for evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.errors import RecipeError
from penstock.core.objective import Stacking
from penstock.core.random import derive
from penstock.core.ranks import ALONE, Ranks
from penstock.data.examples import Examples, InMemory
from penstock.data.order import epoch_order

Transform = Callable[[Batch, Tensor, int], Batch]
"""A batch, the indices of its examples (B,), and a seed that is the epoch's: the batch as the model takes it."""


class Shuffled(Stacking):
    """An endless source in an order that depends on (seed, epoch) alone.

    The last batch of an epoch may be smaller; a last batch of one example joins the one before it, for batch
    normalisation has nothing to say about one. `drop_last` leaves a smaller last batch out. By their `lengths` (N,), of
    all examples, sequences of like length are put into one batch. With several `ranks`, the
    batches are the same and each rank gets its share of every one, which may be empty. Raises RecipeError where there
    is no batch.
    """

    def __init__(
        self,
        examples: Examples,
        indices: Tensor,
        *,
        batch_size: int,
        seed: int,
        transform: Transform | None = None,
        drop_last: bool = False,
        lengths: Tensor | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.examples, self.indices, self.seed, self.transform = examples, indices, seed, transform
        self.batch_size, self._lengths = batch_size, lengths
        count = len(indices)
        if batch_size < 1:
            raise RecipeError("batch_size", f"{batch_size} examples are no batch", "give 1 or more")
        ends = list(range(batch_size, count + 1, batch_size))
        if count % batch_size and not drop_last:
            if count % batch_size == 1 and ends:
                ends.pop()
            ends.append(count)
        if not ends:
            raise RecipeError(
                "batch_size",
                f"{count} training examples make no batch of {batch_size}",
                "lower it or keep the last batch",
            )
        self._ranks, self._may_fail = ranks, not isinstance(examples, InMemory)
        self._bounds = [
            (start + share.start, start + share.stop)
            for start, end in zip([0, *ends], ends, strict=False)
            for share in [ranks.share(end - start)]
        ]
        self._epoch, self._position = 0, 0
        self._stream: Iterator[tuple[Tensor, Batch]] | None = None
        self._order: tuple[int, Tensor] = (-1, indices)
        """The last epoch that was put in order, and that order."""

    @property
    def epoch_steps(self) -> int:
        """Batches in an epoch."""
        return len(self._bounds)

    def __next__(self) -> Batch:
        if self._stream is None:
            self._stream = self.examples.stream(self._wanted())
        try:
            batch = self._ranks.attempt(self._fetch, in_step=True) if self._may_fail else self._fetch()
        except BaseException:
            self._stream = None  # it is finished, or one batch ahead; the position still points at this batch
            raise
        self._move(1)
        return batch

    def together(self, count: int) -> dict[str, Tensor] | None:
        """The next batches with one gather, where the examples are in memory and nothing is done to each batch."""
        plain = isinstance(self.examples, InMemory) and self.examples.lengths is None
        if not plain or self.transform is not None or self._ranks.size > 1:
            return None
        wanted = list(islice(self._wanted(), count))
        if any(len(indices) != len(wanted[0]) for indices in wanted):
            return None
        assert isinstance(self.examples, InMemory)
        gathered = self.examples.gather(torch.cat(wanted))
        return {name: values.view(count, -1, *values.shape[1:]) for name, values in gathered.items()}

    def skip(self, count: int) -> None:
        """Go on to the batch after so many."""
        self._move(count)
        self._stream = None

    def _move(self, batches: int) -> None:
        epochs, self._position = divmod(self._position + batches, len(self._bounds))
        self._epoch += epochs

    def _fetch(self) -> Batch:
        """This rank's share of the batch at the position."""
        start, end = self._bounds[self._position]
        if start == end:
            return Batch()
        assert self._stream is not None
        indices, batch = next(self._stream)
        if self.transform is not None:
            batch = self.transform(batch, indices, derive(self.seed, "augment", self._epoch))
        return batch

    def state_dict(self) -> dict[str, Any]:
        """The position."""
        return {"epoch": self._epoch, "position": self._position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to a position."""
        self._epoch, self._position, self._stream = state["epoch"], state["position"], None

    def _wanted(self) -> Iterator[Tensor]:
        """The indices of this rank's share of each batch from the position on, without end."""
        epoch, position = self._epoch, self._position
        while True:
            order = self._order_in(epoch)
            for start, end in self._bounds[position:]:
                if start < end:
                    yield order[start:end]
            epoch, position = epoch + 1, 0

    def _order_in(self, epoch: int) -> Tensor:
        if self._order[0] != epoch:
            seed = derive(self.seed, "order", epoch)
            self._order = epoch, epoch_order(self.indices, self.batch_size, seed, self._lengths)
        return self._order[1]


class InOrder:
    """Examples in the order of `indices`, once for each iteration."""

    def __init__(
        self, examples: Examples, indices: Tensor, *, batch_size: int, transform: Transform | None = None
    ) -> None:
        self.examples, self.indices, self.batch_size, self.transform = examples, indices, batch_size, transform

    def __len__(self) -> int:
        return -(-len(self.indices) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        return self.every(0, 1)

    def every(self, first: int, step: int) -> Iterator[Batch]:
        """The batches numbered `first`, `first + step` and so on, from 0."""
        for indices, batch in self.examples.stream(torch.split(self.indices, self.batch_size)[first::step]):
            yield batch if self.transform is None else self.transform(batch, indices, 0)
