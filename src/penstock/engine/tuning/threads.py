"""The number of processor threads that torch uses."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from penstock.core.machine import cores


def set_threads(threads: int | None) -> int:
    """Set, and return, the number of processor threads; all that this process may use if not given."""
    torch.set_num_threads(threads or cores())
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
