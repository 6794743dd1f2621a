"""The Free Spoken Digit Dataset: {digit}_{speaker}_{number}.wav, of which the numbers 0 to 4 are the test."""

from __future__ import annotations

import re
from pathlib import Path

from penstock.core.errors import DataError
from penstock.data.class_folders import natural

FOLDER = "recordings"
TEST = 5  # recordings of each digit and speaker

_NAME = re.compile(r"([0-9])_(\w+)_([0-9]+)\.wav")


def spoken_digits(folder: Path) -> tuple[list[Path], list[str], list[str], list[str]]:
    """Files in natural order, the digit in each, its speaker, and "train" or "test", the split of its authors.

    Raises DataError where the folder has none.
    """
    paths = sorted((folder / FOLDER).glob("*.wav"), key=lambda path: natural(path.name))
    found = [(path, match) for path in paths if (match := _NAME.fullmatch(path.name))]
    if not found:
        raise DataError(folder / FOLDER, "no file in it is named like 7_jackson_32.wav", "unpack the set anew")
    splits = ["test" if int(match[3]) < TEST else "train" for _, match in found]
    return [path for path, _ in found], [match[1] for _, match in found], [match[2] for _, match in found], splits
