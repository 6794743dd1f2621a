"""From what a user points at, a path, a name or an object, to raw labelled data: a table, pictures, texts or sounds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from penstock.core.errors import DataError, suggest
from penstock.data.arrays import read_idx, read_npz
from penstock.data.audio import SOUNDS
from penstock.data.class_folders import Listing, Sort, holds, list_classes, list_files
from penstock.data.download import show_progress
from penstock.data.encoding import read_text
from penstock.data.images import PICTURES
from penstock.data.named import NAMED, load
from penstock.data.opened import ImageData, Opened, Pictures, ReadOptions, SoundData, Sounds, TableData, TextData
from penstock.data.paths import missing
from penstock.data.texts import TEXTS

TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".jsonl", ".ndjson", ".gz")
ARRAY_SUFFIXES = (".npz", ".npy")
MOST_OF_A_TEXT = 1 << 24
"""Bytes of a text file that is one example."""
PARTS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}


_IDX = re.compile(rf"({'|'.join(PARTS)}|t10k)-(images|labels)[-.]idx[0-9]-ubyte(?:\.gz)?")
_NOT_LABELLED = {"words": "a tag for every word", "pairs": "a text for every text"}


def open_data(where: str, options: ReadOptions, supplied: object = None, *, labelled: bool = True) -> Opened:
    """Read the data named by `where`, or the object `supplied` in its place: a DataFrame, or (inputs, targets) arrays.

    Where they need not be `labelled`, files may lie in any folder, arrays come without targets, and labels are missing.
    Raises DataError for what does not exist or cannot be understood.
    """
    if supplied is not None:
        return _from_object(where, supplied, options, labelled)
    path = Path(where)
    if where in NAMED and not path.exists():
        return _named(where)
    if not path.exists():
        if len(path.parts) > 1 or path.suffix:
            raise missing(path)
        there = [*NAMED, *(entry.name for entry in Path().iterdir() if not entry.name.startswith("."))]
        problem = "neither a file or folder that exists nor the name of a data set"
        raise DataError(where, problem, suggest(where, there))
    if path.is_dir():
        return _from_folder(path, options, labelled)
    if path.name.endswith(ARRAY_SUFFIXES):
        return _from_arrays(path.stem, str(path), read_npz(path), labelled)
    return TableData(path.stem, str(path), options.read(path))


def _named(name: str) -> TableData | ImageData | SoundData:
    if NAMED[name].kind in _NOT_LABELLED:
        problem, task = _NOT_LABELLED[NAMED[name].kind], NAMED[name].task
        raise DataError(name, f"it has {problem}, not a label for each example", f"penstock train {task} takes it")
    loaded = load(name, show_progress)
    if loaded.sounds is not None:
        found = loaded.sounds
        labels = pd.Series(found.labels, index=found.places, name=loaded.target or "class", dtype=object)
        about = labels.to_frame().assign(**found.about)
        sounds = Sounds(found.files, found.samples, found.rate)
        return SoundData(name, name, sounds, labels, loaded.splits, about=about)
    if loaded.frame is not None:
        return TableData(name, name, loaded.frame, loaded.target, loaded.splits)
    assert loaded.images is not None
    assert loaded.labels is not None
    return _pictures(name, name, loaded.images, loaded.labels, loaded.splits)


def _from_folder(folder: Path, options: ReadOptions, labelled: bool) -> Opened:
    """A folder of tables named by split, of idx files, or of a sub-folder for each class."""
    tables: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        part = PARTS.get(path.name.split(".")[0].lower())
        if part is not None and path.name.endswith(TABLE_SUFFIXES) and tables.setdefault(part, path) != path:
            raise DataError(folder, f"{tables[part].name} and {path.name} are both for {part}", "take one away")
    if "train" in tables:
        frames = {part: options.read(path) for part, path in tables.items()}
        columns = list(frames["train"].columns)
        for part, frame in frames.items():
            if set(frame.columns) != set(columns):
                odd = sorted(set(frame.columns) ^ set(columns))
                raise DataError(
                    tables[part], f"its columns differ from {tables['train'].name}: {odd}", "make them the same"
                )
        splits = np.repeat(list(frames), [len(frame) for frame in frames.values()])
        joined = pd.concat([frame[columns] for frame in frames.values()])
        return TableData(folder.name, str(folder), joined, None, splits)
    if any(_IDX.fullmatch(path.name) for path in folder.iterdir()):
        return _from_idx(folder)
    if not holds(folder, PICTURES) and holds(folder, SOUNDS):
        return _from_sounds(folder, labelled)
    if not holds(folder, PICTURES) and holds(folder, TEXTS):
        return _from_texts(folder, options.encoding)
    return _from_listing(folder.resolve().name, str(folder), _listed(folder, PICTURES, labelled))


def _listed(folder: Path, sort: Sort, labelled: bool) -> Listing:
    return list_classes(folder, sort) if labelled else list_files(folder, sort)


def _from_sounds(folder: Path, labelled: bool) -> SoundData:
    """A folder of sound files, with a sub-folder for each class."""
    listing = _listed(folder, SOUNDS, labelled)
    labels, splits = _labels_of(listing), None if listing.splits is None else np.array(listing.splits)
    sounds = Sounds(listing.files)
    about = labels.to_frame()
    return SoundData(folder.resolve().name, str(folder), sounds, labels, splits, listing.empty, about=about)


def _labels_of(listing: Listing) -> pd.Series[Any]:
    """The classes, None where there are none, by the place of each file."""
    places = [str(file.relative_to(listing.root)) for file in listing.files]
    labels = [label or None for label in listing.labels]
    return pd.Series(labels, index=places, name="class", dtype=object)


def _from_texts(folder: Path, encoding: str) -> TextData:
    """A folder of text files, with a sub-folder for each class."""
    listing = list_classes(folder, TEXTS)
    texts = [read_text(file, encoding, MOST_OF_A_TEXT) if file.stat().st_size else "" for file in listing.files]
    places = [str(file.relative_to(listing.root)) for file in listing.files]
    labels = pd.Series(listing.labels, index=places, name="class", dtype=object)
    splits = None if listing.splits is None else np.array(listing.splits)
    return TextData(folder.resolve().name, str(folder), texts, labels, splits, listing.empty)


def _from_listing(name: str, origin: str, listing: Listing) -> ImageData:
    labels, splits = _labels_of(listing), None if listing.splits is None else np.array(listing.splits)
    pictures = Pictures([str(place) for place in labels.index], files=listing.files)
    return ImageData(name, origin, pictures, labels, splits, listing.empty, about=labels.to_frame())


def _from_idx(folder: Path) -> ImageData:
    """The layout of MNIST: {train,t10k}-{images,labels}-idx{3,1}-ubyte, gzipped or not, also with a dot before idx."""
    parts: dict[str, dict[str, np.ndarray]] = {}
    for path in sorted(folder.iterdir()):
        if found := _IDX.fullmatch(path.name):
            part, what = found.groups()
            parts.setdefault("test" if part == "t10k" else PARTS[part], {})[what] = read_idx(path)
    for part, arrays in parts.items():
        if set(arrays) != {"images", "labels"} or len(arrays["images"]) != len(arrays["labels"]):
            sizes = ", ".join(f"{len(array):,} {name}" for name, array in arrays.items())
            raise DataError(folder, f"split {part!r} has {sizes}", "give as many labels as images")
    if "train" not in parts:
        raise DataError(folder, f"idx files for {', '.join(parts) or 'no split'} only", "add train-images-idx3-ubyte")
    images = _joined(str(folder), [arrays["images"] for arrays in parts.values()])
    labels = _joined(str(folder), [arrays["labels"] for arrays in parts.values()])
    splits = np.repeat(list(parts), [len(arrays["labels"]) for arrays in parts.values()]) if len(parts) > 1 else None
    return _pictures(folder.resolve().name, str(folder), images, labels, splits)


def _from_arrays(
    name: str, origin: str, arrays: Mapping[str, np.ndarray], labelled: bool = True
) -> TableData | ImageData:
    """x_train, y_train, x_test, y_test (and x_val, y_val), or x and y, as in the archives of Keras and MedMNIST."""
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for first, second in (("x", "y"), ("images", "labels"), ("data", "target"), ("X", "Y"), ("X", "y")):
        for part in (*PARTS, ""):
            for names in ((f"{first}_{part}", f"{second}_{part}"), (f"{part}_{first}", f"{part}_{second}")):
                inputs, targets = (name.strip("_") for name in names)
                if inputs in arrays and targets in arrays:
                    found.setdefault(PARTS.get(part, "train"), (arrays[inputs], arrays[targets]))
                elif inputs in arrays and not labelled:
                    found.setdefault(PARTS.get(part, "train"), (arrays[inputs], np.full(len(arrays[inputs]), None)))
    if "train" not in found:
        there = ", ".join(arrays)
        raise DataError(
            origin,
            f"no inputs and targets for training among its arrays ({there})",
            "name them x and y, or x_train, y_train, ...",
        )
    for x, y in found.values():
        if x.ndim == 0 or y.ndim == 0 or len(x) != len(y) or len(x) == 0:
            raise DataError(origin, f"inputs {x.shape} but targets {y.shape}", "give one target an input")
    splits = np.repeat(list(found), [len(x) for x, _ in found.values()]) if len(found) > 1 else None
    x, y = (_joined(origin, [pair[i] for pair in found.values()]) for i in (0, 1))
    return _labelled(name, origin, x, y, splits)


def _from_object(name: str, supplied: object, options: ReadOptions, labelled: bool) -> TableData | ImageData:
    if isinstance(supplied, pd.DataFrame):
        frame = supplied.rename(columns=str)
        if not all(isinstance(place, str) for place in frame.index):
            frame = frame.set_axis([f"row {i}" for i in range(len(frame))], axis=0)
        return TableData(name, name, options.clean(frame))
    if isinstance(supplied, Mapping):
        arrays = {str(key): _array(str(key), value) for key, value in supplied.items()}
        return _from_arrays(name, name, arrays, labelled)
    if isinstance(supplied, Sequence) and len(supplied) == 2:
        return _from_arrays(name, name, {"x": _array("x", supplied[0]), "y": _array("y", supplied[1])})
    if isinstance(supplied, np.ndarray | Tensor) and not labelled:
        return _from_arrays(name, name, {"x": np.asarray(supplied)}, labelled)
    raise DataError("data", f"cannot train on {type(supplied).__name__}", "give a path, a name, a DataFrame, or (x, y)")


def _array(name: str, value: object) -> np.ndarray:
    try:
        return np.asarray(value)
    except ValueError as error:  # lists within a list that are not equally long
        raise DataError(f"array {name}", f"not an array ({error})", "make all its rows equally long") from None


def _joined(origin: str, arrays: Sequence[np.ndarray]) -> np.ndarray:
    """The examples of all splits, one after the other."""
    shapes = list(dict.fromkeys(array.shape[1:] for array in arrays))
    if len(shapes) > 1:
        problem = f"examples of shape {shapes[0]} in one split, {shapes[1]} in another"
        raise DataError(origin, problem, "make the splits alike")
    return np.concatenate(arrays)


def _labelled(name: str, origin: str, x: np.ndarray, y: np.ndarray, splits: np.ndarray | None) -> TableData | ImageData:
    y = y.reshape(len(y), -1)
    if y.shape[1] != 1:
        raise DataError(
            origin, f"{y.shape[1]} targets an example", "give one target an example (class numbers, not one-hot)"
        )
    if x.ndim == 1:
        raise DataError(origin, f"inputs of shape {x.shape}", "give (N, F) for a table, (N, H, W) or more for pictures")
    if x.ndim == 2:
        frame = pd.DataFrame(x, columns=[f"x{i}" for i in range(x.shape[1])])
        target = None if pd.isna(y).all() else "y"
        frame = frame if target is None else frame.assign(y=y[:, 0])
        return TableData(name, origin, frame.set_axis([f"row {i}" for i in range(len(frame))], axis=0), target, splits)
    return _pictures(name, origin, x, y[:, 0], splits)


def _pictures(name: str, origin: str, images: np.ndarray, labels: np.ndarray, splits: np.ndarray | None) -> ImageData:
    places = [f"{name}[{i}]" for i in range(len(images))]
    pictures = Pictures(places, pixels=as_pixels(images, origin))
    known = pd.Series(labels, index=places, name="class")
    return ImageData(name, origin, pictures, known, splits, about=known.to_frame())


def as_pixels(images: np.ndarray, where: str) -> np.ndarray:
    """Pictures of shape (N, H, W), (N, H, W, C) or (N, C, H, W), bytes or 0..1, to (N, C, H, W) uint8.

    Raises DataError for other shapes and values.
    """
    if images.ndim == 3:
        images = images[:, None]
    if images.ndim == 4 and images.shape[1] not in (1, 3) and images.shape[3] in (1, 3):
        images = images.transpose(0, 3, 1, 2)
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        shape = tuple(images.shape)
        raise DataError(
            where, f"pictures of shape {shape}", "give (N, H, W), (N, H, W, C) or (N, C, H, W) with C = 1 or 3"
        )
    if images.dtype == np.uint8:
        return np.ascontiguousarray(images)
    low, high = (float(images.min()), float(images.max())) if images.size else (0.0, 0.0)
    if np.issubdtype(images.dtype, np.floating) and low >= 0 and high <= 1:
        images = np.rint(images * 255)
    elif not (low >= 0 and high <= 255):
        raise DataError(
            where, f"pixels from {low:g} to {high:g}", "give bytes from 0 to 255, or brightness from 0 to 1"
        )
    return np.ascontiguousarray(images.astype(np.uint8))
