"""Which rows are for training, for validation and for the final test: disjoint, reproducible, balanced by class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import DataError, suggest

Splits = dict[str, NDArray[np.int64]]
"""Sorted row numbers under "train", "validation" and "test"; together they are all rows, each once."""

PARTS = ("train", "validation", "test")

_NAMES = {"train": 0, "training": 0, "val": 1, "valid": 1, "validation": 1, "dev": 1, "test": 2}


def split(
    count: int,
    *,
    seed: int,
    validation: float,
    test: float,
    strata: NDArray[Any] | None = None,
    given: NDArray[Any] | None = None,
) -> Splits:
    """Split `count` rows at random, the same way for the same seed.

    `validation` and `test` are fractions of the rows that are divided. `strata` (count,) names each row's class: every
    class is divided alike, to within one row, and keeps a row in training; a class of one row is for training.
    `given` (count,) is the user's own part of each row (train, val, valid, validation, dev, test; any case): it is
    respected, and only a part that it does not have is cut from its training rows.
    Raises DataError where a part would be empty, or a given name is unknown.
    """
    part = np.zeros(count, dtype=np.int64) if given is None else _given_parts(given)
    fractions = np.array([0.0, 0.0 if (part == 1).any() else validation, 0.0 if (part == 2).any() else test])
    fractions[0] = 1 - fractions.sum()
    pool = np.flatnonzero(part == 0)
    if fractions[0] < 1e-9:
        raise DataError(
            "splits",
            f"validation {validation:g} and test {test:g} of {len(pool)} rows leave none for train",
            "lower --validation or --test",
        )
    if fractions[0] < 1:
        classes = np.zeros(len(pool), dtype=np.int64)
        if strata is not None:
            classes = np.unique(strata[pool], return_inverse=True)[1].reshape(-1)
        part[pool] = _divide(classes, fractions, np.random.default_rng(seed))
    splits = {name: np.flatnonzero(part == number) for number, name in enumerate(PARTS)}
    empty = [name for name, rows in splits.items() if not len(rows)]
    if empty:
        counts = ", ".join(f"{name} {len(rows)}" for name, rows in splits.items())
        raise DataError(
            "splits",
            f"of {count} rows none are left for {' and '.join(empty)} "
            f"({counts}; validation {validation:g} and test {test:g} of {len(pool)} rows to divide)",
            "use more rows, or change --validation and --test",
        )
    return splits


def _given_parts(given: NDArray[Any]) -> NDArray[np.int64]:
    """The number of each row's part."""
    names, inverse = np.unique(np.array([str(name).strip().casefold() for name in given]), return_inverse=True)
    for number, name in enumerate(names):
        if str(name) not in _NAMES:
            row = int((inverse == number).argmax())
            raise DataError(
                f"row {row + 1} of the splits",
                f"{str(given[row])!r} is no name of a part",
                suggest(str(given[row]), ("train", "validation", "test")),
            )
    numbers = np.array([_NAMES[str(name)] for name in names], dtype=np.int64)
    return numbers[inverse.reshape(-1)] if len(given) else np.zeros(0, dtype=np.int64)


def _divide(
    classes: NDArray[np.int64], fractions: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.int64]:
    """The part of each row, given its class (0, 1, ...), at random within the class."""
    sizes = np.bincount(classes)
    counts = np.zeros((len(sizes), len(fractions)), dtype=np.int64)
    counts[:, 0] = sizes
    several = sizes > 1
    if several.any():
        counts[several] = _rounded(sizes[several], fractions, random)
    shuffled = random.permutation(len(classes))
    order = shuffled[np.argsort(classes[shuffled], kind="stable")]
    rank = np.arange(len(classes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    of = classes[order]
    part = np.zeros(len(classes), dtype=np.int64)
    part[order] = (rank >= counts[of, 0]).astype(np.int64) + (rank >= counts[of, 0] + counts[of, 1])
    return part


def _rounded(
    sizes: NDArray[np.int64], fractions: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.int64]:
    """How many rows of each class go to each part: (K,) sizes to (K, parts) counts.

    Both the classes' counts and the parts' totals are the exact shares rounded up or down, the totals by largest
    remainder. The rows that rounding down leaves over are dealt part by part to the classes with the most of them left,
    which always comes out even (Ryser 1957, "Combinatorial properties of matrices of zeros and ones", section 2).
    """
    exact = sizes[:, None] * fractions[None]
    counts = np.floor(exact + 1e-9).astype(np.int64)  # a share such as 0.29 * 100 is 28.999...
    rest = exact - counts
    left = sizes - counts.sum(axis=1)
    total = sizes.sum() * fractions
    wanted = np.floor(total + 1e-9).astype(np.int64)
    largest = np.argsort(wanted - total, kind="stable")[: int(sizes.sum() - wanted.sum())]
    wanted[largest] += 1
    tie = random.random(len(sizes))
    for part in (1, 2, 0):
        need = int(wanted[part] - counts[:, part].sum())
        chosen = np.lexsort((tie, -rest[:, part], -left))[:need]
        counts[chosen, part] += 1
        left[chosen] -= 1
    bare = np.flatnonzero(counts[:, 0] == 0)
    counts[bare, counts[bare].argmax(axis=1)] -= 1
    counts[bare, 0] = 1
    return counts
