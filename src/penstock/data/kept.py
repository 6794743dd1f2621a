"""Decoded pictures that stay in memory, within a budget."""

from __future__ import annotations

import math

import numpy as np


class Kept:
    """The first pictures that come, until `budget` bytes are full; none is given up for another.

    Every epoch asks for each picture once, in a new order: nothing tells which will be asked for next, and what took
    the place of the oldest would often be gone before it is asked for again.
    """

    def __init__(self, count: int, shape: tuple[int, int, int], budget: int) -> None:
        room = min(count, budget // math.prod(shape))
        self._pixels = np.empty((room, *shape), np.uint8)  # the system gives pages as they are filled
        self._place = np.full(count if room else 0, -1, np.int64)
        self._used = 0

    def missing(self, rows: np.ndarray) -> np.ndarray:
        """The positions in `rows` (B,) of the pictures that are not here."""
        return np.flatnonzero(self._place[rows] < 0) if len(self._place) else np.arange(len(rows))

    def fill(self, pixels: np.ndarray, rows: np.ndarray, missing: np.ndarray) -> None:
        """Put the pictures that are here into `pixels` (B, C, H, W), at all positions but the `missing`."""
        if len(missing) == 0:
            np.take(self._pixels, self._place[rows], axis=0, out=pixels, mode="clip")  # "raise" would copy twice
        elif len(missing) < len(rows):
            here = np.delete(np.arange(len(rows)), missing)
            pixels[here] = self._pixels[self._place[rows[here]]]

    def add(self, pixels: np.ndarray, rows: np.ndarray, missing: np.ndarray) -> None:
        """Keep the pictures at the `missing` positions of `pixels` (B, C, H, W), as many as there is room for."""
        room = len(self._pixels) - self._used
        if not room:
            return
        new, first = np.unique(rows[missing], return_index=True)
        new, first = new[self._place[new] < 0][:room], first[self._place[new] < 0][:room]  # another stream was faster
        places = np.arange(self._used, self._used + len(new))
        self._pixels[places] = pixels[missing[first]]
        self._place[new] = places
        self._used += len(new)
