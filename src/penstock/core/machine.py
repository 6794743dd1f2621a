"""What this process may use of the machine."""

from __future__ import annotations

import os
import sys


def cores() -> int:
    """The number of processor cores that this process may run on."""
    if sys.platform == "linux":  # elsewhere a process cannot be confined to some cores
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
