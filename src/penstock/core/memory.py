"""The ways in which torch, NumPy and Python say that memory has run out, and ours."""

from __future__ import annotations

from penstock.core.errors import ResourceError

SIGNS = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory", "bad_alloc")
"""What stands in the text of a RuntimeError where an allocator of a processor or a device gave up."""
NAMES = ("ALLOC_FAILED", "OutOfMemory")
"""Status codes of CUDA's libraries, which torch passes on as texts."""


class OutOfMemory(ResourceError):
    """A step or an evaluation that did not fit into memory."""


def ran_out(error: BaseException) -> bool:
    """Whether the error says that memory has run out."""
    if isinstance(error, MemoryError):
        return True
    if not isinstance(error, RuntimeError):
        return False
    if any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__):  # torch's, which need not be imported
        return True
    text = str(error)
    return any(sign in text.lower() for sign in SIGNS) or any(name in text for name in NAMES)
