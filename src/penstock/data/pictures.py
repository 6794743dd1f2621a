"""Pictures to learn from, with or without labels, from what a user points at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from penstock.core.errors import DataError
from penstock.data.class_folders import find_files
from penstock.data.images import PICTURES
from penstock.data.opened import ImageData, Pictures, ReadOptions
from penstock.data.opening import as_pixels, open_data


def open_pictures(where: str, supplied: object = None) -> ImageData:
    """As `open_data`, but pictures alone; of those in a folder without class folders, or in one array (N, H, W) or
    (N, H, W, C), all labels are "". Raises DataError for other data."""
    if isinstance(supplied, np.ndarray) and supplied.dtype != object:
        pixels = as_pixels(supplied, where)
        return _unlabelled(where, where, Pictures([f"{where}[{i}]" for i in range(len(pixels))], pixels))
    path = Path(where)
    if supplied is None and path.is_dir() and _without_classes(path):
        files = find_files(path, PICTURES)
        pictures = Pictures([str(file.relative_to(path)) for file in files], files=files)
        return _unlabelled(path.resolve().name, str(path), pictures)
    found = open_data(where, ReadOptions(), supplied)
    if not isinstance(found, ImageData):
        problem = "these data are no pictures"
        raise DataError(found.origin, problem, "give a folder of pictures, an array of them, or a named set of pictures")
    return found


def are_classes(labels: pd.Series[Any]) -> bool:
    """Whether labels are classes: two or more, with several examples on average."""
    return 1 < labels.nunique() <= max(len(labels) // 2, 2)


def _without_classes(folder: Path) -> bool:
    """Whether pictures lie in the folder itself, or all in one folder within it."""
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    if any(PICTURES.has(entry.name) and entry.is_file() for entry in entries):
        return True
    folders = [entry for entry in entries if entry.is_dir()]
    return len(folders) == 1 and any(PICTURES.has(inner.name) for inner in folders[0].iterdir())


def _unlabelled(name: str, origin: str, pictures: Pictures) -> ImageData:
    labels = pd.Series([""] * len(pictures), index=pictures.places, name="class", dtype=object)
    return ImageData(name, origin, pictures, labels)
