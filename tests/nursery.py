"""Forks processes from one in which everything is imported, so that each starts at once. Run as a program.

A request is a line of JSON: the folder to be in; `words` of the command line, or `call`, a file of Python, a function
in it and its arguments; `moments` at which a method's n-th call sends a signal; `deadly`, the n of the write, flush,
rename or removal at which the process is killed. Answered by the process's number, and when it has ended, by its exit
code and the most memory it had, in bytes.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import runpy
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

DEADLY = ("write", "fsync", "ftruncate", "rename", "replace", "mkdir", "unlink", "rmdir", "chmod")


def arrange(owner: str, method: str, call: int, number: int) -> None:
    """At the n-th call of a method, written "module:Class", "method", this process gets a signal."""
    module, _, name = owner.partition(":")
    target = getattr(import_module(module), name) if name else import_module(module)
    original, calls = getattr(target, method), []

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        calls.append(0)
        if len(calls) == call:
            os.kill(os.getpid(), number)
        return original(*args, **kwargs)

    setattr(target, method, wrapped)


def make_deadly(n: int) -> None:
    """SIGKILL before this process's n-th change to the file system; a write is cut off in the middle."""
    left = [n]

    def at_last() -> bool:
        left[0] -= 1
        return left[0] == 0

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def before(original: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if at_last():
                die()
            return original(*args, **kwargs)

        return wrapped

    class Torn:
        """A file whose write may stop half-way."""

        def __init__(self, file: Any) -> None:
            self._file = file

        def __getattr__(self, name: str) -> Any:
            return getattr(self._file, name)

        def __enter__(self) -> Torn:
            return self

        def __exit__(self, *args: object) -> None:
            self._file.close()

        def write(self, content: Any) -> Any:
            if at_last():
                self._file.write(content[: len(content) // 2])
                self._file.flush()
                die()
            return self._file.write(content)

    opened, tensors = io.open, import_module("penstock.core.tensors")
    saved = tensors.save_file

    def torn(path: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        file = opened(path, mode, *args, **kwargs)
        return file if mode in ("r", "rb") else Torn(file)

    def save_file(content: Any, path: Any) -> None:
        if at_last():
            saved(content, path)
            os.truncate(path, os.path.getsize(path) // 2)
            die()
        saved(content, path)

    for name in DEADLY:
        setattr(os, name, before(getattr(os, name)))
    io.open, tensors.save_file = torn, save_file  # type: ignore[assignment]


def live(asked: dict[str, Any], called: Callable[..., Any] | None) -> int:
    """What the forked process does; returns its exit code."""
    resource.setrlimit(resource.RLIMIT_CPU, (30, 30))  # seconds: a training without end is killed
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests were started in the background
    os.chdir(asked["folder"])
    os.environ["PENSTOCK_CACHE"] = f"{asked['folder']}-cache"
    nothing = os.open(os.devnull, os.O_RDWR)
    errors = os.open("stderr.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for handle, number in ((nothing, 0), (nothing, 1), (errors, 2)):
        os.dup2(handle, number)
    for moment in asked["moments"]:
        arrange(*moment)
    if asked["deadly"] is not None:
        make_deadly(asked["deadly"])
    if called is not None:
        called(*asked["call"][2:])
        return 0
    sys.argv = ["penstock", *asked["words"]]
    try:
        import_module("penstock.cli.main").main()
    except SystemExit as left:
        return int(left.code or 0)
    return 0


def serve() -> None:
    """Answer requests until there are no more."""
    files: dict[str, dict[str, Any]] = {}
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        called = None
        if asked["call"]:
            file, name = asked["call"][:2]
            called = files.setdefault(file, runpy.run_path(file) if file not in files else {})[name]
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = live(asked, called)
            finally:  # leave at once: to take this interpreter apart costs more than the run
                with contextlib.suppress(OSError):
                    if sys.exc_info()[0] is not None:
                        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
                    sys.stderr.flush()
                os._exit(code)
        print(pid, flush=True)
        _, status, usage = os.wait4(pid, 0)
        print(os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024, flush=True)


if __name__ == "__main__":
    for room in ("run.execute", "recipes.supervised", "kinds.image", "kinds.table", "recipes.architectures"):
        import_module("penstock." + room)
    import sklearn.datasets  # noqa: F401

    import_module("penstock.run.finish").build_report = lambda folder: folder  # type: ignore[attr-defined]
    serve()
