"""Pictures that are decoded from their files as they are asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.errors import WorkerError
from penstock.data.decode import decode
from penstock.data.examples import Examples, InMemory
from penstock.data.kept import Kept
from penstock.data.pool import DecoderPool, Pending
from penstock.data.ragged import Stored


class ImageFiles(Examples):
    """Pictures decoded when they are asked for, by `workers` processes that read ahead, or here where there are none.

    Batches have "image" (B, C, H, W) uint8 and the given columns. The first pictures that come are kept decoded, within
    `memory` bytes. Raises DataError for a file that has gone or cannot be decoded, WorkerError where a worker process
    died. To `close` ends the processes, which start again when they are needed; they end with this process in any case.
    """

    def __init__(
        self,
        files: Sequence[Path],
        shape: tuple[int, int, int],
        columns: Mapping[str, Stored],
        *,
        workers: int = 0,
        memory: int = 0,
    ) -> None:
        self._rest = InMemory(columns) if columns else None
        self._reader = _Reader(list(files), shape, workers, Kept(len(files), shape, memory))

    def beside(self, columns: Mapping[str, Stored]) -> ImageFiles:
        """The same pictures, with the same processes and the same memory, beside other columns."""
        other = ImageFiles([], self._reader.shape, columns)
        other._reader = self._reader
        return other

    def stream(self, wanted: Iterable[Tensor]) -> Iterator[tuple[Tensor, Batch]]:
        """Batches in order, whatever the number of workers."""
        for indices, pixels in self._reader.stream(wanted):
            rest = self._rest[indices] if self._rest is not None else Batch()
            yield indices, Batch(image=torch.from_numpy(pixels), **rest)

    def close(self) -> None:
        """End the worker processes."""
        self._reader.close()


@dataclass(frozen=True)
class _Asked:
    """A batch on its way: its rows (B,), where its pixels go, and the positions of those that have to be decoded."""

    indices: Tensor
    rows: np.ndarray
    pixels: np.ndarray
    missing: np.ndarray
    pool: DecoderPool | None
    pending: Pending | None


class _Reader:
    """Files, the processes that decode them, and what is kept of them."""

    def __init__(self, files: Sequence[Path], shape: tuple[int, int, int], workers: int, kept: Kept) -> None:
        self.files, self.shape, self.workers, self.kept = files, shape, workers, kept
        self.pool: DecoderPool | None = None

    def stream(self, wanted: Iterable[Tensor]) -> Iterator[tuple[Tensor, np.ndarray]]:
        """For each tensor of indices (B,), those and their pixels (B, C, H, W), in order."""
        wanted = iter(wanted)
        ahead: deque[_Asked] = deque()
        try:
            self._read_on(wanted, ahead)
            while ahead:
                pixels = self._receive(ahead[0])
                asked = ahead.popleft()
                self._read_on(wanted, ahead)  # before the batch is worked on, so that the processes work too
                yield asked.indices, pixels
        finally:
            for asked in ahead:
                if asked.pending is not None:
                    asked.pending.wanted = False

    def close(self) -> None:
        """End the processes."""
        if self.pool is not None:
            self.pool.close()
            self.pool = None

    def _read_on(self, wanted: Iterator[Tensor], ahead: deque[_Asked]) -> None:
        """Ask for more batches: with processes, for as many as their memory holds, and two at least."""
        while True:
            enough = len(ahead) >= 2 and sum(len(asked.rows) for asked in ahead) >= self._running().rows_ahead
            if (enough if self.workers else ahead) or (indices := next(wanted, None)) is None:
                return
            ahead.append(self._ask(indices))

    def _ask(self, indices: Tensor) -> _Asked:
        rows = indices.numpy()
        pixels = np.empty((len(rows), *self.shape), np.uint8)
        missing = self.kept.missing(rows)
        if not self.workers or not len(missing):
            return _Asked(indices, rows, pixels, missing, None, None)
        pool = self._running()
        try:
            pending = pool.request(pixels, [self.files[row] for row in rows[missing]], missing)
        except WorkerError:
            self.pool = None
            raise
        return _Asked(indices, rows, pixels, missing, pool, pending)

    def _receive(self, asked: _Asked) -> np.ndarray:
        if asked.pool is not None and asked.pool is not self.pool:
            asked = self._ask(asked.indices)  # that pool was closed
        if asked.pool is not None and asked.pending is not None:
            try:
                asked.pool.wait(asked.pending)
            except WorkerError:
                self.pool = None
                raise
        else:
            channels, height, width = self.shape
            for at in asked.missing:
                asked.pixels[at] = decode(self.files[asked.rows[at]], height, width, channels)
        self.kept.fill(asked.pixels, asked.rows, asked.missing)
        self.kept.add(asked.pixels, asked.rows, asked.missing)
        return asked.pixels

    def _running(self) -> DecoderPool:
        if self.pool is None:
            self.pool = DecoderPool(self.workers, self.shape)
        return self.pool
