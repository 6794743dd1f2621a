"""Checkpoints: a folder each, written beside its place and renamed, with a manifest by which it is verified."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from penstock.core.errors import CheckpointError
from penstock.core.files import disk_error, folder_in_one_piece, json_text, read_json, sync_folder, write_text
from penstock.core.manifest import check_manifest, write_manifest
from penstock.core.temporary import discard, remove_leftovers
from penstock.core.tensors import load_tensors, save_tensors, size_of

FORMAT = 1
TENSORS, STATE = "tensors.safetensors", "state.json"
FILES = (TENSORS, STATE)
_NAME = re.compile(r"step-(\d{9,18})")


def _any(state: Mapping[str, Any]) -> None:
    """Every state will do."""


class Checkpoints:
    """The checkpoints of one run, in `folder`: named by step, at most `keep` of them."""

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder, self._keep = folder, keep

    def save(self, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> Path:
        """Write a checkpoint; then remove those that are too old, and those ahead, where an older one was resumed.

        Raises ResourceError where the disk refuses; what was there before stays.
        """
        place = self.folder / f"step-{step:09d}"
        text = json_text(state)
        needed = size_of(tensors) + len(text)
        try:
            if not self.folder.is_dir():
                self.folder.mkdir(parents=True)
                sync_folder(self.folder.parent)
        except OSError as error:
            raise disk_error(place, error, needed) from error
        with folder_in_one_piece(place, needed) as folder:
            save_tensors(folder / TENSORS, tensors)
            write_text(folder / STATE, text)
            write_manifest(folder, FILES, FORMAT, step=step)
        remove_leftovers(self.folder)
        names = self.names()
        last = names.index(place.name)
        for name in names[: max(last + 1 - self._keep, 0)] + names[last + 1 :]:
            discard(self.folder / name)
        return place

    def names(self) -> list[str]:
        """The checkpoints there are, oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(filter(_NAME.fullmatch, os.listdir(self.folder)), key=_step)

    def load(self, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and state of one checkpoint. Raises CheckpointError unless every byte is as it was written."""
        place = self.folder / name
        if name not in self.names():
            there = ", ".join(self.names()) or "none"
            raise CheckpointError(place, "there is no such checkpoint", f"those of this run are: {there}")
        check_manifest(place, FILES, FORMAT, "resume from another checkpoint", step=_step(name))
        state = read_json(place / STATE)
        if not isinstance(state, dict):
            raise CheckpointError(place / STATE, "not the state of a training", "resume from another checkpoint")
        return load_tensors(place / TENSORS), state

    def newest(
        self, check: Callable[[Mapping[str, Any]], None] = _any
    ) -> tuple[str, dict[str, Tensor], dict[str, Any], list[str]]:
        """The newest checkpoint that verifies: name, tensors, state, and a line on each one skipped.

        `check` raises CheckpointError for a state that will not do. Raises CheckpointError where there is none.
        """
        skipped: list[str] = []
        for name in reversed(self.names()):
            try:
                tensors, state = self.load(name)
                check(state)
            except CheckpointError as error:
                skipped.append(str(error))
            else:
                return name, tensors, state, skipped
        found = f"none of {len(skipped)} verifies: {skipped[0]}" if skipped else "there is none"
        raise CheckpointError(self.folder, f"no checkpoint to resume from ({found})", "train again")


def _step(name: str) -> int:
    return int(name.removeprefix("step-"))
