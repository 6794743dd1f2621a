"""A process that decodes pictures for the one that started it; of heavy libraries it imports NumPy and Pillow alone."""

from __future__ import annotations

import json
import math
import mmap
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np

from penstock.core.children import launch, send_line
from penstock.core.errors import DataError
from penstock.data.decode import decode

LAUNCH = launch("penstock.data.worker")
"""What such a process runs."""


def main() -> None:
    """Answer requests until the parent closes the pipe; its death, of whatever kind, closes it too.

    The arguments are, as JSON, the parent's module path, the handle of the shared memory and its shape: (slots,
    pictures, C, H, W). A line of standard input asks for files in a slot; a line on standard output says that they are
    there, or what is wrong with the first that is bad.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this process when it is done
    handle, shape = json.loads(sys.argv[2]), json.loads(sys.argv[3])
    slots: np.ndarray = np.ndarray(shape, np.uint8, mmap.mmap(handle, math.prod(shape)))
    os.close(handle)
    answers = os.dup(1)
    os.dup2(2, 1)  # what a library may print is no answer
    for line in sys.stdin.buffer:
        slot, files = json.loads(line)
        send_line(answers, {"slot": slot, **_decode(files, slots[slot])})


def _decode(files: list[str], slot: np.ndarray) -> dict[str, Any]:
    """Fill a slot; what to add to the answer where that fails."""
    channels, height, width = slot.shape[1:]
    row = 0
    try:
        for row, file in enumerate(files):
            slot[row] = decode(Path(file), height, width, channels)
    except DataError as error:
        return {"row": row, "error": [error.where, error.problem, error.remedy]}
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
        return {"row": row, "fault": f"{type(error).__name__}: {error}"}
    return {}
