"""What this process may use of the machine."""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

from penstock.core.errors import RecipeError


class Place(NamedTuple):
    """Where this process stands among those that `torchrun` started: of all, and of those on this machine."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1


_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


def place() -> Place:
    """By the variables that `torchrun` sets; without all of them this process is alone.

    Raises RecipeError where they contradict one another.
    """
    texts = [os.environ.get(name, "") for name in _VARIABLES]
    if not all(texts):
        return Place()
    problem = " ".join(f"{name}={text}" for name, text in zip(_VARIABLES, texts, strict=True))
    if not all(text.isdecimal() for text in texts):
        raise RecipeError("environment", f"{problem} are not four numbers", "start with torchrun, or unset them")
    found = Place(*map(int, texts))
    if not (found.rank < found.size and found.local_rank < found.local_size <= found.size):
        raise RecipeError("environment", f"{problem} do not fit together", "start with torchrun, or unset them")
    return found


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
