"""Named sets: where they are kept on this machine, and their content."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from penstock.core.errors import DataError, RecipeError, suggest
from penstock.data import bundled
from penstock.data.arrays import read_idx
from penstock.data.catalogue import CLOTHES, NAMED, NamedSet
from penstock.data.download import RemoteFile, fetch
from penstock.data.tables import read_table

__all__ = ["NAMED", "Loaded", "NamedSet", "RemoteFile", "cache_folder", "describe", "download", "load", "locate"]

_SPLITS = {"train": "train", "t10k": "test"}  # how the files of Fashion-MNIST begin


@dataclass(frozen=True)
class Loaded:
    """The content of a named set: a `frame` whose index is the place of each row, or `images` (N, C, H, W) uint8.

    `labels` are the class names of the images; `splits` says "train" or "test" for each row where the set's authors
    divided it, else None.
    """

    frame: pd.DataFrame | None = None
    images: np.ndarray | None = None
    labels: np.ndarray | None = None
    splits: np.ndarray | None = None
    target: str | None = None


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
    given = os.environ.get("PENSTOCK_DATA")
    for folder in ([Path(given).expanduser() / name] if given else []) + [cache_folder() / name]:
        if not _lacking(describe(name), folder):
            return folder
    return download(name, progress)


def download(name: str, progress: Callable[[int, int], None] | None = None) -> Path:
    """Fetch what the cache lacks of a set, and give its folder.

    `progress` is called with the bytes that have arrived and the bytes in all. Raises DataError where a file cannot be
    had or is not the one that was published.
    """
    folder = cache_folder() / name
    lacking = _lacking(describe(name), folder)
    total, arrived = sum(file.size for file in lacking), 0

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
    if not known.files:
        return _bundled(known)
    folder = locate(name, progress)
    if known.kind == "image":
        return _fashion(folder)
    frames = [read_table(folder / file.save_as) for file in known.files]
    splits = None
    if len(frames) > 1:
        stems = [file.save_as.removesuffix(".csv") for file in known.files]
        splits = np.repeat(stems, [len(frame) for frame in frames])
    return Loaded(frame=pd.concat(frames), splits=splits, target=known.target)


def _lacking(known: NamedSet, folder: Path) -> list[RemoteFile]:
    return [file for file in known.files if not (folder / file.save_as).is_file()]


def _bundled(known: NamedSet) -> Loaded:
    """A set that scikit-learn brings along."""
    if known.target is None:
        images, labels = bundled.digits()
        return Loaded(images=images[:, None], labels=labels)
    frame = bundled.table(known.name, known.target)
    frame.index = pd.Index([f"{known.name}:{row}" for row in range(1, len(frame) + 1)], dtype=object)
    return Loaded(frame=frame, target=known.target)


def _fashion(folder: Path) -> Loaded:
    """Images and labels from the four idx files. Raises DataError where they do not belong together."""
    images, labels, splits = [], [], []
    for stem, split in _SPLITS.items():
        pictures = read_idx(folder / f"{stem}-images-idx3-ubyte.gz")
        classes = read_idx(folder / f"{stem}-labels-idx1-ubyte.gz")
        if pictures.ndim != 3 or classes.shape != pictures.shape[:1] or classes.max(initial=0) >= len(CLOTHES):
            problem = f"{stem}: images {pictures.shape} and labels {classes.shape} do not belong together"
            raise DataError(folder, problem, "delete the folder to have the files downloaded again")
        images.append(pictures.astype(np.uint8, copy=False))
        labels.append(np.asarray(CLOTHES)[classes])
        splits.append(np.full(len(classes), split))
    return Loaded(images=np.concatenate(images)[:, None], labels=np.concatenate(labels), splits=np.concatenate(splits))
