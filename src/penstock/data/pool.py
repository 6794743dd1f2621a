"""Processes that decode pictures ahead, and the memory through which they hand them over."""

from __future__ import annotations

import json
import math
import mmap
import os
import selectors
import subprocess
import sys
import weakref
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from penstock.core.children import death, nameless_file, start, stop
from penstock.core.errors import DataError, PenstockError, RecipeError, WorkerError
from penstock.core.machine import cores, place
from penstock.data.worker import LAUNCH

BUFFER_BYTES = 64 << 20
"""Shared memory of a pool, unless the pictures are so large that two a worker need more."""
PIECE_BYTES, PIECE_ROWS = 1 << 20, 32
PIECES_EACH = 16
"""Pieces that a worker may have before it at once: their requests always fit into its pipe."""
MOST_WORKERS = 8

_AGAIN = "go on with: penstock resume; if it happens again, train with fewer --image.workers"


def usual_workers() -> int:
    """How many processes read ahead where the user does not say: one a core, up to 8.

    The cores are divided among the ranks on this machine.
    """
    return 0 if sys.platform == "win32" else min(max(cores() // place().local_size, 1), MOST_WORKERS)


@dataclass(eq=False)
class Pending:
    """Pictures on their way into `pixels` (B, C, H, W)."""

    pixels: np.ndarray
    pieces: int = 0
    """Those that have not arrived."""
    error: tuple[int, PenstockError] | None = None
    """The first row that cannot be had."""
    wanted: bool = True
    """Unset by whoever gives up waiting."""


@dataclass(eq=False)
class _Worker:
    process: subprocess.Popen[bytes]
    stdin: Any
    stdout: Any
    busy: int = 0
    """Pieces before it."""
    rest: bytes = b""
    """The beginning of an answer."""


@dataclass(eq=False)
class _Piece:
    """Some files of a batch, and the rows for which they are."""

    pending: Pending
    files: list[str]
    rows: np.ndarray


class DecoderPool:
    """`workers` processes that decode pictures to uint8 of one `shape` (C, H, W), in pieces of a few pictures.

    The pieces come through shared memory of a fixed size, and are copied from there to where they were asked for: how
    much is read ahead while nobody waits is bounded by that memory. The processes are started afresh, not forked (so
    that threads here do no harm), in groups of their own (so that Ctrl-C does not reach them). They end with `close`,
    with the pool as an object, and with this process, even where it is killed. Raises WorkerError where one cannot be
    started.
    """

    def __init__(self, workers: int, shape: tuple[int, int, int]) -> None:
        if sys.platform == "win32":
            raise RecipeError("image.workers", "worker processes need a POSIX system", "give 0")
        row = math.prod(shape)
        self._rows = max(min(PIECE_BYTES // row, PIECE_ROWS), 1)
        count = max(min(BUFFER_BYTES // (row * self._rows), PIECES_EACH * workers), 2 * workers)
        self.rows_ahead = count * self._rows
        self.processes: list[subprocess.Popen[bytes]] = []
        self._failure: WorkerError | None = None
        self._queue: deque[_Piece] = deque()
        self._flying: dict[int, _Piece] = {}
        self._free = list(range(count))
        self._selector = selectors.DefaultSelector()
        self._finalizer = weakref.finalize(self, _stop, os.getpid(), self.processes, self._selector)
        whole = (count, self._rows, *shape)
        try:
            with nameless_file(math.prod(whole)) as handle:
                self._slots = np.ndarray(whole, np.uint8, mmap.mmap(handle, math.prod(whole)))
                self._workers = [self._start(handle, whole) for _ in range(workers)]
        except OSError as error:
            self._finalizer()
            problem = f"a worker process cannot be started ({error.strerror or error})"
            raise WorkerError("loader", problem, "give fewer --image.workers") from None

    def request(self, pixels: np.ndarray, files: Sequence[Path], rows: np.ndarray) -> Pending:
        """Ask for `files` (n,) in the given rows (n,) of `pixels` (B, C, H, W)."""
        pending = Pending(pixels)
        names = [os.fspath(file) for file in files]
        for at in range(0, len(names), self._rows):
            self._queue.append(_Piece(pending, names[at : at + self._rows], rows[at : at + self._rows]))
            pending.pieces += 1
        self._hand_out()
        return pending

    def wait(self, pending: Pending) -> None:
        """Wait until the pictures have arrived. Raises the DataError of the first that is bad.

        Raises WorkerError where a process has died or the pool is closed.
        """
        self._receive(0)  # what has come meanwhile makes room for more
        while pending.pieces:
            self._receive(None)
        if pending.error is not None:
            raise pending.error[1]

    def close(self) -> None:
        """End the processes and give their memory back. What is still on its way never arrives."""
        self._failure = self._failure or WorkerError("loader", "its processes were ended", "ask for the batch again")
        self._queue.clear()
        self._flying.clear()
        self._slots = np.empty(0, np.uint8)
        self._finalizer()

    def _start(self, handle: int, whole: tuple[int, ...]) -> _Worker:
        process = start(LAUNCH, handle, whole)
        self.processes.append(process)
        worker = _Worker(process, process.stdin, process.stdout)
        self._selector.register(worker.stdout, selectors.EVENT_READ, worker)
        return worker

    def _hand_out(self) -> None:
        """Give pieces to the workers with least to do, as long as there is room for the pictures."""
        while self._queue and self._free:
            piece = self._queue.popleft()
            if not piece.pending.wanted:
                continue
            worker = min(self._workers, key=lambda worker: worker.busy)
            slot = self._free.pop()
            worker.busy += 1
            self._flying[slot] = piece
            try:
                worker.stdin.write(json.dumps([slot, piece.files]).encode() + b"\n")
                worker.stdin.flush()
            except BrokenPipeError:
                raise self._failed(death(worker.process)) from None

    def _receive(self, seconds: float | None) -> None:
        """Take what has arrived; where `seconds` is None, wait until something has."""
        if self._failure is not None:
            raise self._failure
        for key, _ in self._selector.select(seconds):
            worker: _Worker = key.data
            received = os.read(worker.stdout.fileno(), 1 << 16)
            if not received:
                raise self._failed(death(worker.process))
            *lines, worker.rest = (worker.rest + received).split(b"\n")
            for line in lines:
                worker.busy -= 1
                self._arrived(json.loads(line))
        self._hand_out()

    def _arrived(self, answer: dict[str, Any]) -> None:
        slot = answer["slot"]
        piece = self._flying.pop(slot)
        pending = piece.pending
        if "fault" in answer:
            raise self._failed(f"a worker process failed at {piece.files[answer['row']]} ({answer['fault']})")
        if "error" in answer:
            row = int(piece.rows[answer["row"]])
            if pending.error is None or row < pending.error[0]:
                pending.error = row, DataError(*answer["error"])
        elif pending.wanted:
            pending.pixels[piece.rows] = self._slots[slot, : len(piece.rows)]
        pending.pieces -= 1
        self._free.append(slot)

    def _failed(self, problem: str) -> WorkerError:
        self._failure = WorkerError("loader", problem, _AGAIN)
        self.close()
        return self._failure


def _stop(owner: int, processes: Sequence[subprocess.Popen[bytes]], selector: selectors.BaseSelector) -> None:
    """End the processes, and listen to them no more."""
    if os.getpid() == owner:
        selector.close()
    stop(owner, processes)
