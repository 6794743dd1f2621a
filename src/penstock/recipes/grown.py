"""The files of a run in which one sees how its model grew: texts, and sheets of pictures with the film of them."""

from __future__ import annotations

import re
from pathlib import Path

TEXTS = "samples.jsonl"
SHEETS, FILM = "samples", "training.gif"
EPISODE = "best-episode.gif"
"""The best episode of the test."""
_NAME = re.compile(r"step-(\d+)\.png")


def sheets_in(folder: Path) -> list[tuple[int, Path]]:
    """The sheets of a run with their steps, in order."""
    found = [(_NAME.fullmatch(path.name), path) for path in (folder / SHEETS).glob("step-*.png")]
    return sorted((int(match[1]), path) for match, path in found if match)
