"""Where a verb writes what it found."""

from __future__ import annotations

from pathlib import Path

from penstock.core.errors import RecipeError


def place_for(output: str, *, folder: bool = False) -> Path:
    """The path to write to; a `folder` may be meant. Raises RecipeError where nothing can be written there."""
    target = Path(output)
    if (target.is_dir() and not folder) or not target.parent.is_dir():
        problem = "is a folder" if target.is_dir() else f"there is no folder {str(target.parent)!r}"
        raise RecipeError("--output", f"{output}: {problem}", "give a file in a folder that exists")
    return target
