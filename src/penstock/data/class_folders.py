"""Folders with a sub-folder a class, or with train, val and test folders of such, whatever the files in them are."""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from penstock.core.errors import DataError
from penstock.data.paths import existing_folder

_SPLITS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}


@dataclass(frozen=True)
class Sort:
    """What is looked for: what one is called, and how the names of the files end; `usual` is the ending shown."""

    noun: str
    suffixes: tuple[str, ...]
    usual: str

    def layout(self, root: str) -> str:
        """How such a folder is to be laid out."""
        return f"make one folder a class, as in {root}/cat/1.{self.usual} and {root}/dog/2.{self.usual}"

    def has(self, name: str) -> bool:
        """Whether a file is one of these, by its name."""
        return name.lower().endswith(self.suffixes)


@dataclass(frozen=True)
class Listing:
    """Files in natural order, with the class of each.

    `splits` says "train", "validation" or "test" for each where the folder is laid out so, else None. `empty` names the
    class folders that hold none.
    """

    files: list[Path]
    labels: list[str]
    splits: list[str] | None
    root: Path
    empty: list[str] = field(default_factory=list)


def list_classes(folder: Path, sort: Sort) -> Listing:
    """The files of one sort in a folder with a sub-folder a class, or with train, val and test folders of such.

    Raises DataError where some lie outside class folders, where fewer than two classes have any, and where a class is
    missing in training.
    """
    root = existing_folder(folder)
    tops = _folders(root)
    _refuse_loose(root, root, sort)
    known = {unicodedata.normalize("NFC", top.name).casefold() for top in tops}
    if "train" in known and known <= _SPLITS.keys():
        return _with_splits(root, tops, sort)
    files, labels, empty = _classes(root, sort)
    _check_classes(root, root, labels, empty, sort)
    return Listing(files, labels, None, root, empty)


def list_files(folder: Path, sort: Sort) -> Listing:
    """The files of one sort in a folder and below, whether in class folders or not, in train, val and test or not.

    The class of a file is the sub-folder that it lies in; all are "" where some lie in none. Raises DataError where
    there is no file.
    """
    root = existing_folder(folder)
    tops = {unicodedata.normalize("NFC", top.name).casefold(): top for top in _folders(root)}
    divided = "train" in tops and tops.keys() <= _SPLITS.keys() and not _files(root, sort)
    parts = {top: _SPLITS[name] for name, top in tops.items()} if divided else {root: ""}
    files: list[Path] = []
    labels: list[str] = []
    splits: list[str] = []
    for top in sorted(parts, key=lambda top: list(_SPLITS.values()).index(parts[top]) if divided else 0):
        inside = find_files(top, sort)
        places = [file.relative_to(top).parts for file in inside]
        files += inside
        labels += [unicodedata.normalize("NFC", place[0]) if len(place) > 1 else "" for place in places]
        splits += [parts[top]] * len(inside)
    known = all(labels)
    return Listing(files, labels if known else [""] * len(files), splits if divided else None, root)


def find_files(folder: Path, sort: Sort) -> list[Path]:
    """Every file of a sort in a folder and below, in natural order. Raises DataError where there is none."""
    found = _files_below(existing_folder(folder), set(), sort)
    if not found:
        named = f"{sort.noun}s are files named {', '.join(sort.suffixes)}"
        raise DataError(folder, f"no {sort.noun} in it or below", named)
    return found


def holds(folder: Path, sort: Sort) -> bool:
    """Whether a file of that sort is in the folder or below."""
    return bool(_files_below(existing_folder(folder), set(), sort))


def natural(name: str) -> tuple[list[int | str], str]:
    """A sort key in which "10.png" comes after "9.png", whatever the alphabet."""
    parts = re.split(r"([0-9]+)", name)
    return [int(part) if at % 2 else part.casefold() for at, part in enumerate(parts)], name


def _with_splits(root: Path, tops: list[Path], sort: Sort) -> Listing:
    files: list[Path] = []
    labels: list[str] = []
    splits: list[str] = []
    empty: list[str] = []
    for top in sorted(tops, key=lambda top: list(_SPLITS).index(top.name.casefold())):
        _refuse_loose(top, top, sort)
        inside, classes, vacant = _classes(top, sort)
        split = _SPLITS[top.name.casefold()]
        if split == "train":
            _check_classes(root, top, classes, vacant, sort)
        unknown = sorted(set(classes) - set(labels), key=natural)
        if split != "train" and unknown:
            problem = f"class {unknown[0]!r} is in {top.name} but has no {sort.noun} in train"
            raise DataError(top / unknown[0], problem, f"add {sort.noun}s of it to train, or remove it here")
        files += inside
        labels += classes
        splits += [split] * len(inside)
        empty += [f"{top.name}/{name}" for name in vacant]
    return Listing(files, labels, splits, root, empty)


def _classes(folder: Path, sort: Sort) -> tuple[list[Path], list[str], list[str]]:
    """Files, their classes, and the classes without any."""
    files: list[Path] = []
    labels: list[str] = []
    empty: list[str] = []
    for sub in _folders(folder):
        # macOS stores accents apart from their letters; two copies of a folder should still be one class
        name = unicodedata.normalize("NFC", sub.name)
        inside = _files_below(sub, set(), sort)
        files += inside
        labels += [name] * len(inside)
        if not inside:
            empty.append(name)
    return files, labels, empty


def _files_below(folder: Path, seen: set[tuple[int, int]], sort: Sort) -> list[Path]:
    """All such files in a folder and those below it; a link back to a folder above is not followed again."""
    status = folder.stat()
    if (status.st_dev, status.st_ino) in seen:
        return []
    seen.add((status.st_dev, status.st_ino))
    found = _files(folder, sort)
    for sub in _folders(folder):
        found += _files_below(sub, seen, sort)
    return found


def _files(folder: Path, sort: Sort) -> list[Path]:
    named = [entry for entry in _visible(folder) if sort.has(entry.name)]
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


def _refuse_loose(folder: Path, root: Path, sort: Sort) -> None:
    loose = _files(folder, sort)
    if loose:
        problem = f"{len(loose)} {sort.noun}s lie outside any class folder, {loose[0].name} first"
        raise DataError(folder, problem, sort.layout(root.name))


def _check_classes(root: Path, folder: Path, labels: list[str], empty: list[str], sort: Sort) -> None:
    """Raises DataError where `folder` has no such file, or files of one class only."""
    vacant = f" (empty: {', '.join(empty[:10])})" if empty else ""
    layout = sort.layout(folder.name)
    if not labels:
        kinds = " ".join(suffix[1:] for suffix in sort.suffixes)
        raise DataError(folder, f"there is no {sort.noun} in any class folder{vacant}", f"{layout}; formats: {kinds}")
    if len(set(labels)) == 1:
        inner = folder / labels[0]
        nested = folder == root and inner.is_dir() and len(_folders(inner)) > 1
        remedy = f"if its sub-folders are the classes, name {inner} instead" if nested else layout
        raise DataError(folder, f"there is only one class folder with {sort.noun}s, {labels[0]!r}{vacant}", remedy)
