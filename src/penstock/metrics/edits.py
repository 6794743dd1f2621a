"""How far sequences are from what they should be, in insertions, deletions and substitutions."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray


def edit_distance(found: Sequence[Hashable], wanted: Sequence[Hashable]) -> int:
    """The least number of insertions, deletions and substitutions from one sequence to another.

    Wagner and Fischer 1974, "The string-to-string correction problem", a row of the table at a time: along a row an
    insertion adds 1, so the least over all runs of insertions is a running minimum.
    """
    codes: dict[Hashable, int] = {}
    across: NDArray[np.int64] = np.array([codes.setdefault(item, len(codes)) for item in wanted], dtype=np.int64)
    place = np.arange(len(across) + 1)
    row = place
    for number, item in enumerate(found, 1):
        without = row[1:] + 1
        replaced = row[:-1] + (across != codes.get(item, -1))
        best = np.concatenate([[number], np.minimum(without, replaced)])
        row = np.minimum.accumulate(best - place) + place
    return int(row[-1])


def error_rate(found: Sequence[Sequence[Hashable]], wanted: Sequence[Sequence[Hashable]]) -> float:
    """Edits from what was found to what was wanted, over the number of items wanted, of all pairs together.

    Of characters it is the character error rate, of words the word error rate; above 1 where much too much was found.
    """
    edits = sum(edit_distance(one, other) for one, other in zip(found, wanted, strict=True))
    return edits / max(sum(map(len, wanted)), 1)


def cer(found: Sequence[str], wanted: Sequence[str]) -> float:
    """The character error rate of texts."""
    return error_rate(found, wanted)


def wer(found: Sequence[str], wanted: Sequence[str]) -> float:
    """The word error rate of texts; words are what white space divides."""
    return error_rate([text.split() for text in found], [text.split() for text in wanted])
