"""Files that are either wholly there or not at all, JSON read with a clear error, and digests."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from penstock.core.errors import CheckpointError, ResourceError
from penstock.core.temporary import beside, done_with, remove


def write_text(path: Path, text: str) -> None:
    """Write a whole file: beside its place, flushed to the disk, then renamed.

    Raises ResourceError where the disk is full or the folder cannot be written.
    """
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """As `write_text`, for bytes."""
    place, part = path, beside(path, "part")
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # /dev/stdout is written to, not replaced
            path.write_bytes(content)
            return
        if path.is_symlink():
            place = Path(os.path.realpath(path))
            part = beside(place, "part")
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(place)
    except OSError as error:
        raise disk_error(path, error, len(content)) from error
    finally:  # a signal's exception leaves nothing behind either
        done_with(part)


def write_json(path: Path, value: Any) -> None:
    """Write JSON that people can read: indented, any alphabet, numbers that are not finite as null."""
    write_text(path, json_text(value))


def json_text(value: Any) -> str:
    """What `write_json` writes."""
    return json.dumps(finite(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def read_json(path: Path) -> Any:
    """Read a JSON file of ours. Raises CheckpointError where it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(path, "this file is missing", "check the path of the run, or train again") from None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(path, f"cannot be read as JSON ({error})", "restore it, or train again") from error


def finite(value: Any) -> Any:
    """The same JSON value with numbers that are not finite replaced by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of names to the disk, so that a rename in it survives a power cut."""
    if sys.platform == "win32":  # there a folder cannot be opened, and renames are journalled
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def folder_in_one_piece(path: Path, needed: int = 0) -> Iterator[Path]:
    """Yields a folder to write into; it becomes `path` when the block ends well and vanishes when it does not.

    The block flushes its own files. Raises ResourceError with needed and free bytes where the disk refuses.
    """
    part, old = beside(path, "part"), beside(path, "old")
    try:
        remove(part)  # of a process that had this one's number
        part.mkdir(parents=True)
        yield part
        sync_folder(part)
        if path.exists():
            path.rename(old)
        part.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        raise disk_error(path, error, needed) from error
    except ResourceError as error:  # of a file within
        raise (disk_error(path, error.__cause__, needed) if isinstance(error.__cause__, OSError) else error) from error
    finally:
        if os.path.exists(old) and not os.path.exists(path):
            with contextlib.suppress(OSError):
                old.rename(path)
        done_with(part)
        done_with(old)


def disk_error(path: Path, error: OSError, needed: int) -> ResourceError:
    """A refusal of the disk as one line, with the bytes that were needed and those that are free."""
    standing = next((folder for folder in [path, *path.parents] if os.path.exists(folder)), Path("/"))
    free = shutil.disk_usage(standing).free
    reason = error.strerror or str(error)
    return ResourceError(
        path,
        f"cannot be written ({reason}; {needed:,} bytes needed, {free:,} free)",
        "make room or choose another folder with --runs",
    )
