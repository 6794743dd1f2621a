"""Stored examples that can be fetched by index, and those that are in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

import torch
from torch import Tensor

from penstock.core.batch import Batch

CHUNK_BYTES = 1 << 22
"""How much is gathered from memory at once: many small batches for the price of one gather, yet within the caches."""


class Examples(ABC):
    """A set of examples, of which batches are asked for by their indices."""

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
    """Examples as tensors of their raw type, on the device where they will be used."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = dict(tensors)
        self._bytes = sum(t[:1].numel() * t.element_size() for t in self.tensors.values())

    def to(self, device: torch.device) -> InMemory:
        """On another device."""
        return InMemory({name: tensor.to(device) for name, tensor in self.tensors.items()})

    def gather(self, indices: Tensor) -> dict[str, Tensor]:
        """Each field of the examples with these indices (B,)."""
        rows = indices.to(next(iter(self.tensors.values())).device)
        return {name: tensor.index_select(0, rows) for name, tensor in self.tensors.items()}

    def stream(self, wanted: Iterable[Tensor]) -> Iterator[tuple[Tensor, Batch]]:
        """Batches are views of larger gathered chunks."""
        wanted = iter(wanted)
        batches = 1
        while chunk := list(islice(wanted, batches)):
            sizes = [len(indices) for indices in chunk]
            gathered = self.gather(torch.cat(chunk) if len(chunk) > 1 else chunk[0])
            parts = [torch.split(values, sizes) for values in gathered.values()]
            for indices, *values in zip(chunk, *parts, strict=True):
                yield indices, Batch(zip(self.tensors, values, strict=True))
            batches = min(max(CHUNK_BYTES // max(self._bytes * max(sizes), 1), 1), 64)
