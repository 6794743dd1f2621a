"""The number of processor threads that torch uses."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from penstock.core.machine import cores


def set_threads(threads: int | None, processes: int = 1) -> int:
    """Set, and return, the number of processor threads.

    If not given, all that this process may use, divided among the `processes` that share them.
    """
    torch.set_num_threads(threads or max(cores() // processes, 1))
    return torch.get_num_threads()


@contextlib.contextmanager
def using_threads(threads: int | None) -> Iterator[None]:
    """Inside, torch uses so many threads; as many as before where None is given."""
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
