"""Ctrl-C and SIGTERM: the first asks the engine to save and leave, the second leaves at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

ASKED = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def stopping(stop: Callable[[int], None]) -> Iterator[list[int]]:
    """Inside, a first signal calls `stop` with its number, which the list then holds.

    Only the main thread may handle signals; elsewhere nothing changes.
    """
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if asked:
            os._exit(128 + number)
        asked.append(number)
        stop(number)

    before = {number: signal.signal(number, handle) for number in ASKED}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
