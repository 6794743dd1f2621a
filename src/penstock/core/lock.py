"""One writer in a folder at a time: a lock that vanishes with its process, however that ends."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from penstock.core.errors import RecipeError
from penstock.core.files import disk_error

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"
_NOT_SUPPORTED = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL}
_held: set[int] = set()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Inside, no other process, nor another thread of this one, gets the lock of the folder.

    It is an flock(2) on a file that holds the process's number. Where the system or the file system has no such locks,
    the file itself is the lock, and stays behind when the process is killed. Raises RecipeError with the number of the
    process that has it; ResourceError where the folder cannot be written.
    """
    path, owner = folder / LOCK, os.getpid()
    try:
        handle = _take(path, folder)
    except OSError as error:
        raise disk_error(folder, error, 0) from error
    _held.add(handle)
    try:
        _sign(handle, folder, owner)
        yield
    finally:
        if os.getpid() == owner:  # a fork that comes by here never had it
            _release(handle, path)


def holder(folder: Path) -> str | None:
    """Who has the lock of a folder, as "process 123"; None where it is free."""
    try:
        handle = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return None
    try:
        return None if _try(handle, shared=True) else _named(handle)
    finally:
        os.close(handle)


def _take(path: Path, folder: Path) -> int:
    """An open, locked file."""
    while True:
        ours = True
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            ours = False
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        taken = _try(handle)
        if taken is None:  # no locks here
            taken = ours
            remedy = f"wait for it; if there is no such process any more, remove {path}"
        else:
            remedy = "wait until it has finished, or stop it"
        if not taken:
            name = _named(handle)
            os.close(handle)
            raise RecipeError(folder, f"{name} is at work in it", remedy)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        os.close(handle)  # the one who had it removed this file before we got its lock


def _sign(handle: int, folder: Path, owner: int) -> None:
    text = f"{owner}\n".encode()
    try:
        os.ftruncate(handle, 0)
        os.write(handle, text)
    except OSError as error:
        raise disk_error(folder, error, len(text)) from error


def _release(handle: int, path: Path) -> None:
    _held.discard(handle)
    with contextlib.ExitStack() as last:
        if sys.platform == "win32":  # there, a file that is open cannot be removed
            os.close(handle)
        else:  # while it is locked, so that nobody takes a lock on a file that goes away
            last.callback(os.close, handle)
        with contextlib.suppress(OSError):
            path.unlink()


def _try(handle: int, *, shared: bool = False) -> bool | None:
    """Whether the lock was got; None where there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _NOT_SUPPORTED:
            return None
        raise
    return True


def _named(handle: int) -> str:
    """The process that a lock's file tells of; it may not have written its number yet."""
    told = os.read(handle, 32).strip()
    return f"process {told.decode()}" if told.isdigit() else "another process"


def _forget_in_child() -> None:
    """A worker that outlives its parent must not keep the lock; closing its copy leaves the parent's as it is."""
    for handle in _held:
        os.close(handle)
    _held.clear()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_in_child)
