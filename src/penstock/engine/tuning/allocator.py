"""Memory that the processor's allocator has freed, kept for the next step."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Callable, Iterator
from typing import Any

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Names of mallopt(3)'s settings in glibc."""
_USUAL = 128 << 10
_LARGEST = (1 << 31) - 1


@contextlib.contextmanager
def keeping_freed_memory(*, enabled: bool) -> Iterator[None]:
    """Inside, glibc gives freed memory back to the system no more, where enabled.

    Otherwise each large tensor of a step is mapped anew, and every page of it is zeroed by the system at its first
    touch: a quarter of the step of a small convolutional network. Elsewhere than with glibc nothing changes.
    """
    mallopt = _mallopt() if enabled else None
    if mallopt is None:
        yield
        return
    mallopt(_MMAP_THRESHOLD, 1 << 30)
    mallopt(_TRIM_THRESHOLD, _LARGEST)
    try:
        yield
    finally:
        mallopt(_MMAP_THRESHOLD, _USUAL)
        mallopt(_TRIM_THRESHOLD, _USUAL)
        ctypes.CDLL(None).malloc_trim(0)


def _mallopt() -> Callable[[int, int], Any] | None:
    if sys.platform != "linux":
        return None
    try:
        ctypes.CDLL(None).gnu_get_libc_version  # noqa: B018 - other libraries have settings of their own
        found: Callable[[int, int], Any] = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return None
    return found
