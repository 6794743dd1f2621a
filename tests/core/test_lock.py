"""One writer a folder: refused with the number of the other, free again however that one ended."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from penstock.core import lock
from penstock.core.errors import RecipeError, ResourceError
from penstock.core.lock import LOCK, holder, locked

HOLD = """
import os, sys, time
from pathlib import Path
from penstock.core.lock import locked
with locked(Path(sys.argv[1])):
    if len(sys.argv) > 2 and os.fork() > 0:  # its worker, which does not see it go, tells when it has begun
        time.sleep(60)
    print("held", flush=True)
    time.sleep(60)
"""


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), *words], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.parametrize("worker", [False, True])
def test_it_goes_with_its_process(tmp_path: Path, worker: bool) -> None:
    """Killed, with a worker that outlives it, a process has no lock."""
    process = start(tmp_path, *["worker"] * worker)
    try:
        for _ in range(3):
            assert holder(tmp_path) == f"process {process.pid}"
            with (
                pytest.raises(RecipeError, match=rf"process {process.pid} is at work in it; wait") as caught,
                locked(tmp_path),
            ):
                pytest.fail("two have it")
            assert caught.value.code == 2
        process.kill()
        process.wait()
        assert holder(tmp_path) is None
        with locked(tmp_path):
            assert holder(tmp_path) == f"process {os.getpid()}"
        assert os.listdir(tmp_path) == []
    finally:
        with contextlib.suppress(ProcessLookupError):  # there is no worker
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_one_thread_of_a_process_at_a_time(tmp_path: Path) -> None:
    found: list[str] = []

    def work() -> None:
        try:
            with locked(tmp_path):
                found.append("two have it")
        except RecipeError as error:
            found.append(str(error))

    with locked(tmp_path):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert f"process {os.getpid()} is at work" in found[0]
    with locked(tmp_path):
        pass


def test_it_is_free_after_an_exception(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="x"), locked(tmp_path):
        raise ValueError("x")
    with locked(tmp_path):
        pass
    assert os.listdir(tmp_path) == []


def test_a_lock_on_a_file_that_went_away_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one who had it removes the file between our opening it and our getting the lock."""
    original, calls = lock._try, []

    def late(handle: int, **how: bool) -> bool | None:
        calls.append(handle)
        if len(calls) == 1:
            (tmp_path / LOCK).unlink()
        return original(handle, **how)

    monkeypatch.setattr(lock, "_try", late)
    with locked(tmp_path):
        assert len(calls) == 2
        assert holder(tmp_path) == f"process {os.getpid()}"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert holder(tmp_path / "no") is None
    with pytest.raises(ResourceError, match="no: cannot be written"), locked(tmp_path / "no"):
        pytest.fail("locked")


def test_a_file_that_a_dead_process_left(tmp_path: Path) -> None:
    for content in ("1\n", "", "not a number", "9" * 99):
        (tmp_path / LOCK).write_text(content)
        assert holder(tmp_path) is None
        with locked(tmp_path):
            assert (tmp_path / LOCK).read_text() == f"{os.getpid()}\n"


@pytest.mark.parametrize("system", ["no locks", "no locks there"])
def test_without_locks_the_file_itself_is_the_lock(
    tmp_path: Path, system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system without flock, and a file system without (some network file systems)."""

    def refuse(handle: int, operation: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    if system == "no locks":
        monkeypatch.setattr(lock, "fcntl", None)
    else:
        monkeypatch.setattr(lock.fcntl, "flock", refuse)
    with locked(tmp_path):
        assert holder(tmp_path) == f"process {os.getpid()}"
        with pytest.raises(RecipeError, match=rf"process {os.getpid()} is at work.* remove .*\.lock"), locked(tmp_path):
            pytest.fail("two have it")
        assert (tmp_path / LOCK).exists()
    assert os.listdir(tmp_path) == []
    with locked(tmp_path):
        pass
