"""What is known of a set that goes by a short name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from penstock.data.cifar import CifarLayout
from penstock.data.download import RemoteFile


@dataclass(frozen=True)
class NamedSet:
    """A public set under a short name; `files` is empty where it is brought along, generated, or put there by hand.

    Every file is checked against a published SHA-256 when it is downloaded. `target` is the column to predict, None for
    pictures, whose labels stand beside them, and for text. `rows` of text that runs on are its characters.
    """

    name: str
    task: Literal["classify", "regress", "language", "transcribe", "forecast", "tag", "translate"]
    kind: Literal["image", "table", "text", "audio", "series", "words", "pairs"]
    summary: str
    rows: int
    licence: str
    home: str
    target: str | None
    files: tuple[RemoteFile, ...] = ()
    classes: tuple[str, ...] = ()
    """The names of the labels 0, 1, ... of idx files."""
    cifar: CifarLayout | None = None
    """What the archive holds that is the only file."""
    runs_on: bool = False
    """Whether its texts are one that runs on, not examples each."""
    by_hand: str | None = None
    """What must be in the set's folder, where nobody has published a digest by which a download could be checked."""
