"""The sets that scikit-learn and Python bring along.

Those of scikit-learn are read from its files: importing it takes longer than a short training.
"""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from penstock.core.errors import DataError

_CELL = (
    "radius",
    "texture",
    "perimeter",
    "area",
    "smoothness",
    "compactness",
    "concavity",
    "concave points",
    "symmetry",
    "fractal dimension",
)
_CELLS = [
    *(f"mean {what}" for what in _CELL),
    *(f"{what} error" for what in _CELL),
    *(f"worst {what}" for what in _CELL),
]
_WINE = (
    "alcohol",
    "malic_acid",
    "ash",
    "alcalinity_of_ash",
    "magnesium",
    "total_phenols",
    "flavanoids",
    "nonflavanoid_phenols",
    "proanthocyanins",
    "color_intensity",
    "hue",
    "od280/od315_of_diluted_wines",
    "proline",
)
_PATIENT = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")


def digits() -> tuple[NDArray[np.uint8], NDArray[np.str_]]:
    """Grey pictures (1797, 8, 8) from 0 to 255, and their labels."""
    rows = np.loadtxt(_lines("digits.csv.gz"), delimiter=",", dtype=np.int64)
    pixels = np.rint(rows[:, :-1] * (255 / 16)).astype(np.uint8)  # they are stored from 0 to 16
    return pixels.reshape(-1, 8, 8), rows[:, -1].astype(str)


def table(name: str, target: str) -> pd.DataFrame:
    """Columns of numbers, and the target: of wine, breast-cancer or diabetes."""
    if name == "diabetes":
        frame = pd.DataFrame(np.loadtxt(_lines("diabetes_data_raw.csv.gz")), columns=list(_PATIENT))
        frame[target] = np.loadtxt(_lines("diabetes_target.csv.gz"))
        return frame
    head, *lines = _lines("wine_data.csv" if name == "wine" else "breast_cancer.csv")
    rows, classes = np.loadtxt(lines, delimiter=","), np.asarray(head.split(",")[2:], dtype=object)
    frame = pd.DataFrame(rows[:, :-1], columns=list(_WINE if name == "wine" else _CELLS))
    frame[target] = pd.Series(classes[rows[:, -1].astype(int)], dtype=object)
    return frame


def pydoc() -> pd.DataFrame:
    """The topics of Python's own help, a text each. Raises DataError where the interpreter came without them."""
    try:
        from pydoc_data.topics import topics
    except ImportError:
        problem = "this Python came without its help texts"
        raise DataError("pydoc", problem, "give a text of your own with --data, or install Python whole") from None
    names = sorted(topics)
    return pd.DataFrame({"text": [topics[name] for name in names]}, index=[f"pydoc:{name}" for name in names])


def _lines(name: str) -> list[str]:
    """The lines of one of its files. Raises DataError where scikit-learn is not installed, or has it no more."""
    found = find_spec("sklearn")
    folder = Path(found.submodule_search_locations[0]) if found and found.submodule_search_locations else Path()
    path = folder / "datasets" / "data" / name
    try:
        content = path.read_bytes()
    except OSError:
        raise DataError(
            path, "this file of scikit-learn is missing", "pip install --force-reinstall scikit-learn"
        ) from None
    return (gzip.decompress(content) if name.endswith(".gz") else content).decode("ascii").splitlines()
