"""Paths that a user names: they exist and are of the right sort, or one line says what is near them."""

from __future__ import annotations

from pathlib import Path

from penstock.core.errors import DataError, suggest


def existing_file(path: Path) -> Path:
    """The path itself. Raises DataError where it is missing, is a folder, or is empty."""
    if path.is_dir():
        raise DataError(path, "is a folder where a file is needed", "name one of the files in it")
    if not path.exists():
        raise missing(path)
    if path.stat().st_size == 0:
        raise DataError(path, "the file is empty", "give a file with content")
    return path


def on_disk(item: str | Path, *, file: bool = False) -> bool:
    """Whether words are the path of something that is there, or of a `file`, and no text."""
    path = Path(item)
    try:
        return path.is_file() if file else path.exists()
    except (OSError, ValueError):  # too long for a path, or with a NUL
        return False


def existing_folder(path: Path) -> Path:
    """The path itself. Raises DataError where it is missing or is a file."""
    if path.is_file():
        raise DataError(path, "is a file where a folder is needed", "name the folder that holds it")
    if not path.exists():
        raise missing(path)
    return path


def missing(path: Path) -> DataError:
    """The error for a path that does not exist, with the nearest name beside it."""
    folder = path.parent
    if not folder.is_dir():
        return DataError(path, f"the folder {folder} does not exist", "check the path")
    try:
        names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError:
        names = []
    return DataError(path, "does not exist", suggest(path.name, names) if names else f"{folder} is empty")


def unreadable(path: Path, error: OSError) -> DataError:
    """The error for a file that the system refuses to read."""
    return DataError(path, f"cannot be read ({error.strerror or error})", "check the file and its permissions")
