"""Stored examples that can be fetched by index: in memory, or decoded from files as they are needed."""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_all_start_methods, get_context
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.errors import WorkerError
from penstock.data.decode import decode

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

    def stream(self, wanted: Iterable[Tensor]) -> Iterator[tuple[Tensor, Batch]]:
        """Batches are views of larger gathered chunks."""
        wanted = iter(wanted)
        device = next(iter(self.tensors.values())).device
        batches = 1
        while chunk := list(islice(wanted, batches)):
            sizes = [len(indices) for indices in chunk]
            rows = torch.cat(chunk).to(device) if len(chunk) > 1 else chunk[0].to(device)
            parts = [torch.split(tensor.index_select(0, rows), sizes) for tensor in self.tensors.values()]
            for indices, *values in zip(chunk, *parts, strict=True):
                yield indices, Batch(zip(self.tensors, values, strict=True))
            batches = min(max(CHUNK_BYTES // max(self._bytes * max(sizes), 1), 1), 64)


class ImageFiles(Examples):
    """Pictures decoded when they are asked for, by `workers` processes that read ahead, or here where there are none.

    Batches have "image" (B, C, H, W) uint8 and the given tensors. Raises DataError for a file that has gone or
    cannot be decoded, WorkerError where a worker process died.
    """

    def __init__(
        self, files: Sequence[Path], shape: tuple[int, int, int], tensors: Mapping[str, Tensor], *, workers: int = 0
    ) -> None:
        self.files, self.shape, self.tensors, self.workers = list(files), shape, dict(tensors), workers
        self._pool: Executor | None = None

    def stream(self, wanted: Iterable[Tensor]) -> Iterator[tuple[Tensor, Batch]]:
        """Batches in order, whatever the number of workers."""
        if not self.workers:
            for indices in wanted:
                yield indices, self._batch(indices, _decode_all(self._paths(indices), self.shape))
            return
        pool = self._running_pool()
        ahead: deque[tuple[Tensor, Future[np.ndarray]]] = deque()
        wanted = iter(wanted)
        try:
            while True:
                for indices in islice(wanted, 2 * self.workers - len(ahead)):
                    ahead.append((indices, pool.submit(_decode_all, self._paths(indices), self.shape)))
                if not ahead:
                    return
                indices, future = ahead.popleft()
                yield indices, self._batch(indices, future.result())
        except BrokenProcessPool as error:
            self._pool = None
            raise WorkerError(
                "loader", "a worker process died (killed, or out of memory)", "resume with fewer --workers"
            ) from error
        finally:
            for _, future in ahead:
                future.cancel()

    def _paths(self, indices: Tensor) -> list[Path]:
        return [self.files[i] for i in indices.tolist()]

    def _batch(self, indices: Tensor, pixels: np.ndarray) -> Batch:
        return Batch(image=torch.from_numpy(pixels), **{name: t[indices] for name, t in self.tensors.items()})

    def _running_pool(self) -> Executor:
        if self._pool is None:
            # Forked where possible: a spawned worker would import the user's main script again.
            method = "fork" if "fork" in get_all_start_methods() else "spawn"
            self._pool = ProcessPoolExecutor(self.workers, get_context(method), initializer=_leave_signals_to_parent)
        return self._pool


def _decode_all(paths: Sequence[Path], shape: tuple[int, int, int]) -> np.ndarray:
    channels, height, width = shape
    return np.stack([decode(path, height, width, channels) for path in paths])


def _leave_signals_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
