"""A small picture that environments are drawn on, in units of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np
from PIL import Image, ImageDraw

Point = tuple[float, float]
Colour = tuple[int, int, int]

PAPER, INK, GREY, FAINT = (250, 250, 248), (34, 34, 34), (140, 140, 140), (222, 222, 218)
BLUE, ORANGE, GREEN, RED = (0, 104, 168), (199, 83, 0), (0, 128, 90), (190, 40, 50)
_FINER = 2
"""Drawn so many times larger, and made smaller at the end: edges become smooth."""


@final
class Canvas:
    """From `left` to `right` and from `bottom` to `top` in the units of what is drawn; `size` in pixels, width first.

    Points are in these units, widths and radii in pixels.
    """

    def __init__(
        self, left: float, right: float, bottom: float, top: float, *, size: tuple[int, int] = (300, 200)
    ) -> None:
        self._size = size
        self._image = Image.new("RGB", (size[0] * _FINER, size[1] * _FINER), PAPER)
        self._pen = ImageDraw.Draw(self._image)
        self._corner = left, top
        self._scale = self._image.width / (right - left), self._image.height / (top - bottom)

    def line(self, points: Sequence[Point], colour: Colour = INK, width: float = 1.5) -> None:
        """From each point to the next."""
        self._pen.line(self._placed(points), fill=colour, width=max(round(width * _FINER), 1), joint="curve")

    def area(self, points: Sequence[Point], colour: Colour) -> None:
        """A polygon."""
        self._pen.polygon(self._placed(points), fill=colour)

    def box(self, left: float, right: float, bottom: float, top: float, colour: Colour) -> None:
        """A rectangle."""
        self.area([(left, bottom), (right, bottom), (right, top), (left, top)], colour)

    def disc(self, centre: Point, radius: float, colour: Colour) -> None:
        """A circle that is filled."""
        ((x, y),), r = self._placed([centre]), radius * _FINER
        self._pen.ellipse((x - r, y - r, x + r, y + r), fill=colour)

    def pixels(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """The picture, (H, W, 3)."""
        return np.asarray(self._image.resize(self._size, Image.Resampling.BOX))

    def _placed(self, points: Sequence[Point]) -> list[Point]:
        (left, top), (across, down) = self._corner, self._scale
        return [((x - left) * across, (top - y) * down) for x, y in points]
