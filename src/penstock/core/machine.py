"""What this process may use of the machine."""

from __future__ import annotations

import os
import sys


def cores() -> int:
    """The number of processor cores that this process may run on."""
    if sys.platform == "linux":  # elsewhere a process cannot be confined to some cores
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def share_cores() -> None:
    """Let threads that wait for one another give way early; to be called before torch is imported.

    OpenMP's threads otherwise spin while they wait: a small gain on an idle machine, and many times slower beside a
    busy neighbour, whose core they hold. A value of the user's own is respected.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
