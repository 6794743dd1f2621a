"""Names of what is being written beside its place, and the removal of what dead processes left under such names."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import time
from pathlib import Path

_NAMES = re.compile(r"\.(.+)\.(\d+)\.(part|old)", re.DOTALL)
_STALE_SECONDS = 3600  # where nobody can be asked whether a process lives
_in_use: set[str] = set()


def beside(path: Path, ending: str) -> Path:
    """Where this process keeps `path` while it is "part" of what it will be, or the "old" one while it is replaced."""
    place = path.with_name(f".{path.name}.{os.getpid()}.{ending}")
    _in_use.add(str(place))
    return place


def done_with(place: Path) -> None:
    """Remove what is left of a file or folder that `beside` named."""
    remove(place)
    _in_use.discard(str(place))


def remove(place: Path) -> None:
    """Remove a file or a folder as well as it can be done."""
    if os.path.isdir(place) and not os.path.islink(place):
        shutil.rmtree(place, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            place.unlink()


def discard(folder: Path) -> None:
    """Remove a folder in such a way that a kill leaves it whole or leaves what `remove_leftovers` takes away."""
    place = beside(folder, "part")
    try:
        with contextlib.suppress(OSError):
            folder.rename(place)
    finally:
        done_with(place)


def remove_leftovers(folder: Path) -> None:
    """Remove what processes that are no more left half done in a folder, and put back what they were replacing.

    What a living process is writing stays.
    """
    if not folder.is_dir():
        return
    for entry in sorted(os.listdir(folder)):
        found = _NAMES.fullmatch(entry)
        if found is None or _is_alive(folder / entry, int(found[2])):
            continue
        if found[3] == "old" and not (folder / found[1]).exists():
            with contextlib.suppress(OSError):
                (folder / entry).rename(folder / found[1])
        else:
            remove(folder / entry)


def _is_alive(place: Path, pid: int) -> bool:
    """Whether the process that made a temporary lives; one with this process's number may have been another's."""
    if pid == os.getpid():
        return str(place) in _in_use
    if sys.platform == "win32":  # there, to signal a process is to end it
        return time.time() - place.stat().st_mtime < _STALE_SECONDS
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
