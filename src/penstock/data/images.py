"""Picture files: which there are, and what they measure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from penstock.core.errors import DataError
from penstock.data.class_folders import Sort
from penstock.data.decode import Picture, peek

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
PICTURES = Sort("picture", SUFFIXES, "jpg")


@dataclass(frozen=True)
class Sizes:
    """What the pictures of a set measure, as (height, width) in pixels; `channels` is 1 when all are grey."""

    common: tuple[int, int]
    smallest: tuple[int, int]
    largest: tuple[int, int]
    equal: bool
    channels: int


def read_headers(files: Sequence[Path], skip_bad: int = 0) -> tuple[list[Picture], list[tuple[Path, str]]]:
    """What the headers of the good files declare, and the bad files with the reason.

    Raises DataError where more than `skip_bad` are bad, or none is good.
    """
    good: list[Picture] = []
    bad: list[tuple[Path, str]] = []
    first: DataError | None = None
    for file in files:
        try:
            good.append(peek(file))
        except DataError as error:
            first = first or error
            bad.append((file, error.problem))
    if first is not None and (len(bad) > skip_bad or not good):
        count = f"{first.problem}; {len(bad)} of {len(files)} pictures are bad"
        raise DataError(first.where, count, f"replace them, or pass --image.skip-bad {len(bad)} to go on without them")
    if not good:
        raise DataError("images", "there is no picture to measure", "give a folder of pictures")
    return good, bad


def measure(pictures: Sequence[Picture]) -> Sizes:
    """The sizes of some pictures, at least one."""
    sizes = Counter((picture.height, picture.width) for picture in pictures)
    by_area = sorted(sizes, key=lambda size: (size[0] * size[1], size))
    common = min(sizes, key=lambda size: (-sizes[size], -size[0] * size[1], size))  # of equals, the larger
    channels = max(picture.channels for picture in pictures)
    return Sizes(common, by_area[0], by_area[-1], len(sizes) == 1, channels)
