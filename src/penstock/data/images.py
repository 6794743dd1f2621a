"""A folder of pictures, one sub-folder a class: what is in it, and how large the pictures are."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from penstock.core.errors import DataError
from penstock.data.decode import Picture, peek
from penstock.data.paths import existing_folder

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")

_SPLITS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}
_LAYOUT = "make one folder a class, as in {root}/cat/1.jpg and {root}/dog/2.jpg"


@dataclass(frozen=True)
class ImageListing:
    """Pictures in natural order, with the class of each.

    `splits` says "train", "validation" or "test" for each where the folder is laid out so, else None. `empty` names the
    class folders that hold no picture.
    """

    files: list[Path]
    labels: list[str]
    splits: list[str] | None
    root: Path
    empty: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Sizes:
    """What the pictures of a set measure, as (height, width) in pixels; `channels` is 1 when all are grey."""

    common: tuple[int, int]
    smallest: tuple[int, int]
    largest: tuple[int, int]
    equal: bool
    channels: int


def list_images(folder: Path) -> ImageListing:
    """The pictures of a folder with a sub-folder a class, or with train, val and test folders of such.

    Raises DataError where pictures lie outside class folders, where fewer than two classes have any, and where a class
    is missing in training.
    """
    root = existing_folder(folder)
    tops = _folders(root)
    _refuse_loose(root, root)
    known = {unicodedata.normalize("NFC", top.name).casefold() for top in tops}
    if "train" in known and known <= _SPLITS.keys():
        return _with_splits(root, tops)
    files, labels, empty = _classes(root)
    _check_classes(root, root, labels, empty)
    return ImageListing(files, labels, None, root, empty)


def find_files(folder: Path) -> list[Path]:
    """Every picture in a folder and below, in natural order. Raises DataError where there is none."""
    found = _pictures_below(existing_folder(folder), set())
    if not found:
        raise DataError(folder, "no picture in it or below", f"pictures are files named {', '.join(SUFFIXES)}")
    return found


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
        raise DataError(first.where, count, f"replace them, or pass --skip-bad {len(bad)} to go on without them")
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


def natural(name: str) -> tuple[list[int | str], str]:
    """A sort key in which "10.png" comes after "9.png", whatever the alphabet."""
    parts = re.split(r"([0-9]+)", name)
    return [int(part) if at % 2 else part.casefold() for at, part in enumerate(parts)], name


def _with_splits(root: Path, tops: list[Path]) -> ImageListing:
    files: list[Path] = []
    labels: list[str] = []
    splits: list[str] = []
    empty: list[str] = []
    for top in sorted(tops, key=lambda top: list(_SPLITS).index(top.name.casefold())):
        _refuse_loose(top, top)
        inside, classes, vacant = _classes(top)
        split = _SPLITS[top.name.casefold()]
        if split == "train":
            _check_classes(root, top, classes, vacant)
        unknown = sorted(set(classes) - set(labels), key=natural)
        if split != "train" and unknown:
            problem = f"class {unknown[0]!r} is in {top.name} but has no picture in train"
            raise DataError(top / unknown[0], problem, "add pictures of it to train, or remove it here")
        files += inside
        labels += classes
        splits += [split] * len(inside)
        empty += [f"{top.name}/{name}" for name in vacant]
    return ImageListing(files, labels, splits, root, empty)


def _classes(folder: Path) -> tuple[list[Path], list[str], list[str]]:
    """Pictures, their classes, and the classes without a picture."""
    files: list[Path] = []
    labels: list[str] = []
    empty: list[str] = []
    for sub in _folders(folder):
        # macOS stores accents apart from their letters; two copies of a folder should still be one class
        name = unicodedata.normalize("NFC", sub.name)
        inside = _pictures_below(sub, set())
        files += inside
        labels += [name] * len(inside)
        if not inside:
            empty.append(name)
    return files, labels, empty


def _pictures_below(folder: Path, seen: set[tuple[int, int]]) -> list[Path]:
    """All pictures in a folder and those below it; a link back to a folder above is not followed again."""
    status = folder.stat()
    if (status.st_dev, status.st_ino) in seen:
        return []
    seen.add((status.st_dev, status.st_ino))
    found = _pictures(folder)
    for sub in _folders(folder):
        found += _pictures_below(sub, seen)
    return found


def _pictures(folder: Path) -> list[Path]:
    named = [entry for entry in _visible(folder) if entry.name.lower().endswith(SUFFIXES)]
    names = [entry.name for entry in named if not _is_folder(entry)]
    return [folder / name for name in sorted(names, key=natural)]


def _folders(folder: Path) -> list[Path]:
    return [folder / name for name in sorted((e.name for e in _visible(folder) if _is_folder(e)), key=natural)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that may not be followed
        return False


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(folder, f"cannot be listed ({error.strerror})", "check its permissions") from None


def _refuse_loose(folder: Path, root: Path) -> None:
    loose = _pictures(folder)
    if loose:
        problem = f"{len(loose)} pictures lie outside any class folder, {loose[0].name} first"
        raise DataError(folder, problem, _LAYOUT.format(root=root.name))


def _check_classes(root: Path, folder: Path, labels: list[str], empty: list[str]) -> None:
    """Raises DataError where `folder` has no picture, or pictures of one class only."""
    vacant = f" (empty: {', '.join(empty[:10])})" if empty else ""
    layout = _LAYOUT.format(root=folder.name)
    if not labels:
        kinds = " ".join(suffix[1:] for suffix in SUFFIXES)
        raise DataError(folder, f"there is no picture in any class folder{vacant}", f"{layout}; formats: {kinds}")
    if len(set(labels)) == 1:
        inner = folder / labels[0]
        nested = folder == root and inner.is_dir() and len(_folders(inner)) > 1
        remedy = f"if its sub-folders are the classes, name {inner} instead" if nested else layout
        raise DataError(folder, f"there is only one class folder with pictures, {labels[0]!r}{vacant}", remedy)
