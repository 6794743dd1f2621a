"""Checkpoints: a folder each, written beside its place and renamed, with a manifest by which it is verified."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from penstock.core.errors import CheckpointError
from penstock.core.files import folder_in_one_piece, read_json, sha256, write_json
from penstock.core.tensors import load_tensors, save_tensors

FORMAT = 1
TENSORS, STATE, MANIFEST = "tensors.safetensors", "state.json", "manifest.json"


class Checkpoints:
    """The checkpoints of one run, in `folder`: named by step, at most `keep` of them."""

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder, self._keep = folder, keep

    def save(self, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> Path:
        """Write a checkpoint, then remove those that are too old.

        Raises ResourceError where the disk refuses; what was there before stays.
        """
        place = self.folder / _name(step)
        needed = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
        self.folder.mkdir(parents=True, exist_ok=True)
        self._clear(place.name)
        with folder_in_one_piece(place, needed) as folder:
            save_tensors(folder / TENSORS, tensors)
            write_json(folder / STATE, state)
            files = {name: _fingerprint(folder / name) for name in (TENSORS, STATE)}
            write_json(folder / MANIFEST, {"format": FORMAT, "step": step, "files": files})
        for old in self.names()[: -self._keep]:
            shutil.rmtree(self.folder / old, ignore_errors=True)
        return place

    def _clear(self, name: str) -> None:
        """Remove what a killed process left half written, and what lies ahead where an older checkpoint was resumed."""
        for entry in os.listdir(self.folder):
            if entry.startswith(".step-") or (entry.startswith("step-") and entry > name):
                shutil.rmtree(self.folder / entry, ignore_errors=True)

    def names(self) -> list[str]:
        """The checkpoints there are, oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(entry for entry in os.listdir(self.folder) if entry.startswith("step-"))

    def load(self, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and state of one checkpoint. Raises CheckpointError unless every byte is as it was written."""
        place = self.folder / name
        if not place.is_dir():
            there = ", ".join(self.names()) or "none"
            raise CheckpointError(place, "there is no such checkpoint", f"those of this run are: {there}")
        manifest = read_json(place / MANIFEST)
        if not isinstance(manifest, dict) or "format" not in manifest:
            raise CheckpointError(place / MANIFEST, "not a manifest of a checkpoint", "resume from another checkpoint")
        if manifest["format"] != FORMAT:
            raise CheckpointError(
                place,
                f"its format is {manifest['format']!r}, this version reads {FORMAT}",
                "use the version that wrote it",
            )
        files = manifest.get("files")
        sound = manifest.keys() == {"format", "step", "files"} and _name(manifest["step"]) == name
        if not sound or not isinstance(files, dict) or files.keys() != {TENSORS, STATE}:
            raise CheckpointError(place / MANIFEST, "not what was written for it", "resume from another checkpoint")
        for file in (TENSORS, STATE):
            if not (place / file).is_file() or _fingerprint(place / file) != files[file]:
                raise CheckpointError(
                    place / file, "its content is not what was written", "resume from another checkpoint"
                )
        state = read_json(place / STATE)
        return load_tensors(place / TENSORS), state

    def newest(self) -> tuple[str, dict[str, Tensor], dict[str, Any], list[str]]:
        """The newest checkpoint that verifies: name, tensors, state, and a line on each one skipped.

        Raises CheckpointError where there is none.
        """
        skipped: list[str] = []
        for name in reversed(self.names()):
            try:
                return name, *self.load(name), skipped
            except CheckpointError as error:
                skipped.append(str(error))
        found = f"none of {len(skipped)} verifies: {skipped[0]}" if skipped else "there is none"
        raise CheckpointError(self.folder, f"no checkpoint to resume from ({found})", "train again")


def _name(step: object) -> str:
    return f"step-{step!s:0>9}"


def _fingerprint(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": sha256(path)}
