"""Stored examples that can be fetched by index, and those that are in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import torch
from torch import Tensor

from penstock.core.batch import Batch
from penstock.data.ragged import LENGTH, Ragged, Stored

CHUNK_BYTES = 1 << 22
"""How much is gathered from memory at once: many small batches for the price of one gather, yet within the caches."""


class Examples(ABC):
    """A set of examples, of which batches are asked for by their indices."""

    @property
    def lengths(self) -> Tensor | None:
        """How long each example is (N,), on the processor; None where all are alike."""
        return None

    def to(self, device: torch.device) -> Examples:
        """The same examples where they will be used; those that come from files are moved batch by batch."""
        return self

    @abstractmethod
    def stream(self, wanted: Iterable[Tensor]) -> Iterator[tuple[Tensor, Batch]]:
        """For each tensor of indices (B,), those indices and their batch, in order; may read ahead."""

    def close(self) -> None:  # noqa: B027 - most have nothing to give back
        """Give back what reading ahead holds; it is taken again when it is needed."""

    def __getitem__(self, indices: Tensor) -> Batch:
        """One batch."""
        ((_, batch),) = self.stream([indices])
        return batch


class InMemory(Examples):
    """Examples as tensors of their raw type, on the device where they will be used.

    A ragged field NAME is padded to the longest row of each batch, and NAME_length (B,) says how long the rows are.
    """

    def __init__(self, columns: Mapping[str, Stored]) -> None:
        self.columns = dict(columns)
        held = [column.values if isinstance(column, Ragged) else column for column in columns.values()]
        count = max(len(next(iter(columns.values()))), 1)
        self._bytes = sum(values.numel() * values.element_size() for values in held) // count

    @property
    def lengths(self) -> Tensor | None:
        """Those of the first ragged field."""
        ragged = [column for column in self.columns.values() if isinstance(column, Ragged)]
        return ragged[0].lengths.cpu() if ragged else None

    def to(self, device: torch.device) -> InMemory:
        """On another device."""
        return InMemory({name: column.to(device) for name, column in self.columns.items()})

    def gather(self, indices: Tensor) -> dict[str, Tensor]:
        """The fields of equal rows of the examples with these indices (B,)."""
        rows = indices.to(self._device)
        equal = [(name, column) for name, column in self.columns.items() if isinstance(column, Tensor)]
        return {name: column.index_select(0, rows) for name, column in equal}

    def stream(self, wanted: Iterable[Tensor]) -> Iterator[tuple[Tensor, Batch]]:
        """Batches are views of larger gathered chunks, but for ragged fields, which are padded batch by batch."""
        wanted = iter(wanted)
        batches = 1
        while chunk := list(islice(wanted, batches)):
            sizes = [len(indices) for indices in chunk]
            gathered = self.gather(torch.cat(chunk) if len(chunk) > 1 else chunk[0])
            parts = {name: torch.split(values, sizes) for name, values in gathered.items()} | self._padded(chunk)
            for indices, *values in zip(chunk, *parts.values(), strict=True):
                yield indices, Batch(zip(parts, values, strict=True))
            batches = min(max(CHUNK_BYTES // max(self._bytes * max(sizes), 1), 1), 64)

    def _padded(self, chunk: Sequence[Tensor]) -> dict[str, tuple[Tensor, ...]]:
        """The ragged fields of several batches, and their lengths."""
        found = {}
        for name, column in self.columns.items():
            if isinstance(column, Ragged):
                rows = [column.padded(indices.to(self._device)) for indices in chunk]
                found[name], found[name + LENGTH] = zip(*rows, strict=True)
        return found

    @property
    def _device(self) -> torch.device:
        first = next(iter(self.columns.values()))
        return first.values.device if isinstance(first, Ragged) else first.device
