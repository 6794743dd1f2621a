"""The memory through which environments and who acts in them speak, N environments side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

Held = tuple[Sequence[int], str]
"""Shape and type of what each environment has there."""


class Arrays(NamedTuple):
    """What is done and what it leads to, (N, ...) each."""

    action: np.ndarray
    observation: np.ndarray
    final: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray


def _parts(observation: Held, action: Held, count: int) -> list[tuple[tuple[int, ...], np.dtype[Any]]]:
    """Shape and type of each array, from the forms of observation and action: (shape, type)."""
    seen = (count, *observation[0]), np.dtype(observation[1])
    done = (count, *action[0]), np.dtype(action[1])
    flag = (count,), np.dtype(bool)
    return [done, seen, seen, ((count,), np.dtype(np.float32)), flag, flag]


def size_of(observation: Held, action: Held, count: int) -> int:
    """The bytes that they need."""
    return sum(_rounded(math.prod(shape) * dtype.itemsize) for shape, dtype in _parts(observation, action, count))


def arrays_in(memory: Any, observation: Held, action: Held, count: int) -> Arrays:
    """The arrays, laid out in a buffer."""
    found, at = [], 0
    for shape, dtype in _parts(observation, action, count):
        found.append(np.ndarray(shape, dtype, memory, at))
        at += _rounded(math.prod(shape) * dtype.itemsize)
    return Arrays(*found)


def _rounded(size: int) -> int:
    """So that each begins on a line of its own in the processor's cache: processes write side by side."""
    return -(-size // 64) * 64
