"""A folder's manifest: the version of its format, and the size and SHA-256 of each of its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from penstock.core.errors import CheckpointError
from penstock.core.files import json_text, read_json, sha256, write_text

MANIFEST = "manifest.json"
_LARGEST = 1 << 20  # bytes; ours have a few hundred
_MISSING, _FOREIGN = "this file is missing", "not what was written for it"


def write_manifest(folder: Path, files: Sequence[str], form: int, **facts: Any) -> None:
    """Describe files that are in the folder already. `form` is the version of the folder's format."""
    prints = {name: _fingerprint(folder / name) for name in files}
    write_text(folder / MANIFEST, _text(form, facts, prints))


def check_manifest(folder: Path, files: Sequence[str], form: int, remedy: str, **facts: Any) -> None:
    """Compare a folder's files with its manifest, and that with what this version writes, to the last byte.

    Raises CheckpointError, with `remedy` as what to do, for the first file that is not as it was written; for another
    version of the format, with both numbers.
    """
    place = folder / MANIFEST
    try:
        if not place.is_file():
            raise CheckpointError(place, _MISSING, remedy)
        if place.stat().st_size > _LARGEST:
            raise CheckpointError(place, "too large for a manifest", remedy)
        found = read_json(place)
        if not isinstance(found, dict) or "format" not in found:
            raise CheckpointError(place, "not a manifest", remedy)
        if found["format"] != form:
            problem = f"its format is {found['format']!r}, this version reads {form}"
            raise CheckpointError(folder, problem, "use the version that wrote it")
        told = found.get("files")
        if not isinstance(told, dict) or told.keys() != set(files):
            raise CheckpointError(place, _FOREIGN, remedy)
        prints = {}
        for name in files:
            if not (folder / name).is_file():
                raise CheckpointError(folder / name, _MISSING, remedy)
            prints[name] = _fingerprint(folder / name)
            if told[name] != prints[name]:
                raise CheckpointError(folder / name, "its content is not what was written", remedy)
        if place.read_bytes() != _text(form, facts, prints).encode():
            raise CheckpointError(place, _FOREIGN, remedy)
    except OSError as error:
        raise CheckpointError(folder, f"cannot be read ({error})", remedy) from error


def _text(form: int, facts: Mapping[str, Any], prints: Mapping[str, Any]) -> str:
    return json_text({"format": form, **facts, "files": prints})


def _fingerprint(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": sha256(path)}
