"""Named sets: where they are kept on this machine, and their content."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from penstock.core.errors import DataError, RecipeError, suggest
from penstock.data import bundled, stdlib
from penstock.data.arrays import read_idx
from penstock.data.catalogue import NAMED
from penstock.data.cifar import read_cifar
from penstock.data.download import RemoteFile, fetch
from penstock.data.encoding import read_text
from penstock.data.morse import RATE as MORSE_RATE
from penstock.data.morse import messages
from penstock.data.named_set import NamedSet
from penstock.data.spoken import spoken_digits
from penstock.data.tables import read_table
from penstock.data.tides import tides
from penstock.data.tones import RATE as TONES_RATE
from penstock.data.tones import tones

__all__ = ["NAMED", "Loaded", "NamedSet", "RemoteFile", "cache_folder", "describe", "download", "load", "locate"]

_SPLITS = {"train": "train", "t10k": "test"}  # how the files of MNIST and its kin begin
_PYTHON: Mapping[str, Callable[[], pd.DataFrame]] = {
    "pydoc": bundled.pydoc,
    "python-topics": stdlib.topics,
    "python-roles": stdlib.roles,
}
_AGAIN = "delete the file to have it downloaded again"


@dataclass(frozen=True)
class Recordings:
    """Sounds with a label and a place each: files, or `samples` (S,) taken `rate` times a second."""

    places: list[str]
    labels: Sequence[str]
    files: list[Path] = field(default_factory=list)
    samples: list[np.ndarray] | None = None
    rate: int | None = None
    about: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What else is known of each, by columns."""


@dataclass(frozen=True)
class Loaded:
    """The content of a named set: a `frame` whose index is the place of each row, `images` (N, C, H, W) uint8, or
    `sounds`.

    `labels` are the class names of the images; `splits` says "train" or "test" for each row where the set's authors
    divided it, else None.
    """

    frame: pd.DataFrame | None = None
    images: np.ndarray | None = None
    labels: np.ndarray | None = None
    splits: np.ndarray | None = None
    target: str | None = None
    sounds: Recordings | None = None


def describe(name: str) -> NamedSet:
    """The set of that name. Raises RecipeError with the nearest name where there is none."""
    if name not in NAMED:
        raise RecipeError("--data", f"there is no set named {name!r}", suggest(name, NAMED))
    return NAMED[name]


def cache_folder() -> Path:
    """Where downloads are kept: PENSTOCK_CACHE, else penstock in the user's cache folder."""
    own = os.environ.get("PENSTOCK_CACHE")
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "penstock"


def locate(name: str, progress: Callable[[int, int], None] | None = None) -> Path:
    """The folder with the files of a set: below PENSTOCK_DATA, else in the cache, else downloaded into the cache."""
    given, known = os.environ.get("PENSTOCK_DATA"), describe(name)
    for folder in ([Path(given).expanduser() / name] if given else []) + [cache_folder() / name]:
        if known.by_hand is not None:
            if (folder / known.by_hand).is_dir():
                return folder
        elif not _lacking(known, folder):
            return folder
    return download(name, progress)


def download(name: str, progress: Callable[[int, int], None] | None = None) -> Path:
    """Fetch what the cache lacks of a set, and give its folder.

    `progress` is called with the bytes that have arrived and the bytes in all. Raises DataError where a file cannot be
    had or is not the one that was published.
    """
    folder, known = cache_folder() / name, describe(name)
    if known.by_hand is not None:
        problem = "it is not on this machine, and no digest was published by which a download could be checked"
        raise DataError(name, problem, f"get it from {known.home} and put its folder {known.by_hand} into {folder}")
    lacking = _lacking(known, folder)
    total, arrived = sum(file.size for file in lacking), 0

    for file in lacking:
        if not file.url:
            problem = f"{file.save_as}, of {describe(name).home}, has no lasting address of its own"
            raise DataError(name, problem, f"put the file into {folder}, or name its folder in PENSTOCK_DATA")

    def count(received: int) -> None:
        nonlocal arrived
        arrived += received
        if progress is not None:
            progress(arrived, total)

    for file in lacking:
        fetch(file, folder, count)
    return folder


def load(name: str, progress: Callable[[int, int], None] | None = None) -> Loaded:
    """The content of a named set, downloaded first where it is nowhere on this machine."""
    known = describe(name)
    if known.by_hand is not None:
        files, digits, speakers, division = spoken_digits(locate(name))
        recordings = Recordings([file.name for file in files], digits, files, about={"speaker": speakers})
        return Loaded(sounds=recordings, splits=np.array(division), target=known.target)
    if known.kind == "audio":
        return _generated(known)
    if not known.files:
        return _bundled(known)
    folder = locate(name, progress)
    if known.kind == "text":
        return _text_set(known.name, folder / known.files[0].save_as)
    if known.cifar is not None:
        images, labels, splits = read_cifar(folder / known.files[0].save_as, known.cifar)
        return Loaded(images=images, labels=labels, splits=splits)
    if known.classes:
        return _idx_set(folder, known.classes)
    frames = [read_table(folder / file.save_as) for file in known.files]
    stems = [file.save_as.removesuffix(".csv") for file in known.files]
    parts = np.repeat(stems, [len(frame) for frame in frames]) if len(frames) > 1 else None
    return Loaded(frame=pd.concat(frames), splits=parts, target=known.target)


def _lacking(known: NamedSet, folder: Path) -> list[RemoteFile]:
    return [file for file in known.files if not (folder / file.save_as).is_file()]


def _bundled(known: NamedSet) -> Loaded:
    """A set that scikit-learn or Python brings along, or that is generated."""
    if known.kind == "series":
        return Loaded(frame=tides(), target=known.target)
    if known.name in _PYTHON:
        return Loaded(frame=_PYTHON[known.name](), target=known.target)
    if known.target is None:
        images, labels = bundled.digits()
        return Loaded(images=images[:, None], labels=labels)
    frame = bundled.table(known.name, known.target)
    frame.index = pd.Index([f"{known.name}:{row}" for row in range(1, len(frame) + 1)], dtype=object)
    return Loaded(frame=frame, target=known.target)


def _generated(known: NamedSet) -> Loaded:
    """Sounds that are made anew each time, the same ones."""
    if known.name == "morse":
        (names, samples), rate = messages(known.rows, 0), MORSE_RATE
    else:
        (names, samples), rate = tones(known.rows, 0), TONES_RATE
    places = [f"{known.name}:{row}" for row in range(1, len(names) + 1)]
    made = Recordings(places, names, samples=samples, rate=rate)
    splits = np.repeat(["train", "validation", "test"], [known.rows - 600, 200, 400])
    return Loaded(sounds=made, splits=splits, target=known.target)


def _idx_set(folder: Path, names: tuple[str, ...]) -> Loaded:
    """Images and labels from four idx files. Raises DataError, with file and byte, for what does not belong there."""
    images: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    splits: list[np.ndarray] = []
    for stem, split in _SPLITS.items():
        pictures = _bytes(folder / f"{stem}-images-idx3-ubyte.gz", 3)
        file = folder / f"{stem}-labels-idx1-ubyte.gz"
        classes = _bytes(file, 1)
        if len(classes) != len(pictures):
            raise DataError(file, f"{len(classes):,} labels for {len(pictures):,} images", _AGAIN)
        bad = np.flatnonzero(classes >= len(names))
        if len(bad):
            at = 8 + int(bad[0])  # behind the header
            raise DataError(file, f"byte {at:,} is label {classes[bad[0]]}, of {len(names)} classes", _AGAIN)
        if images and pictures.shape[1:] != images[0].shape[1:]:
            raise DataError(folder, f"images of {images[0].shape[1:]} and of {pictures.shape[1:]}", _AGAIN)
        images.append(pictures)
        labels.append(np.asarray(names)[classes])
        splits.append(np.full(len(classes), split))
    return Loaded(images=np.concatenate(images)[:, None], labels=np.concatenate(labels), splits=np.concatenate(splits))


def _bytes(path: Path, dimensions: int) -> np.ndarray:
    """The array of an idx file that must be of bytes and so many dimensions."""
    array = read_idx(path)
    if array.dtype != np.uint8 or array.ndim != dimensions:
        problem = f"byte 2: {array.dtype} of {array.ndim} dimensions, instead of uint8 of {dimensions}"
        raise DataError(path, problem, _AGAIN)
    return array


def _text_set(name: str, path: Path) -> Loaded:
    """A text whose last tenth is the test; or a line for each poem, with the form that its length shows."""
    text = read_text(path, "utf-8")
    if NAMED[name].runs_on:
        cut = len(text) * 9 // 10
        parts = {"train": text[:cut], "test": text[cut:]}
        frame = pd.DataFrame({"text": list(parts.values())}, index=[f"{path.name}:{part}" for part in parts])
        return Loaded(frame=frame, splits=np.array(list(parts)))
    poems = [line for line in text.split("\n") if line]
    forms = ["五言" if len(poem) == 4 * (5 + 1) else "七言" for poem in poems]  # four lines, each with its sign
    places = [f"{path.name}:{row}" for row in range(1, len(poems) + 1)]
    return Loaded(frame=pd.DataFrame({"text": poems, "form": forms}, index=places))
