"""Processes that work for this one: started afresh, spoken to through pipes and shared memory, ended with it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # what they do needs none of NumPy's


def launch(module: str) -> str:
    """The program of a process that runs `main` of a module of ours: it looks for modules where its parent does."""
    return f"import json, sys; sys.path[:] = json.loads(sys.argv[1]); from {module} import main; main()"


def start(program: str, handle: int, *arguments: Any) -> subprocess.Popen[bytes]:
    """A process with pipes to its standard input and output, that inherits a file's `handle`.

    Its arguments, as JSON, are this one's module path, the handle and what is given. It is not forked, so that threads
    here do no harm, and is in a group of its own, so that Ctrl-C does not reach it. Raises OSError.
    """
    words = [json.dumps(value) for value in (sys.path, handle, *arguments)]
    return subprocess.Popen(
        [sys.executable, "-P", "-c", program, *words],  # -P: the folder we work in may hold a numpy.py
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **dict.fromkeys(_THREADS, "1")},
        pass_fds=[handle],
        process_group=0,
    )


def stop(owner: int, processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End the processes of `owner`, a process number; a fork of the one that started them leaves them alone."""
    if os.getpid() != owner:
        return
    for process in processes:
        process.kill()  # they hold nothing that could be lost
    for process in processes:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # a request that nobody took
                    pipe.close()
        process.wait()


def death(process: subprocess.Popen[bytes]) -> str:
    """How a process ended that should not have."""
    code = process.wait()
    how = f"signal {-code}: killed, or out of memory" if code < 0 else f"exit status {code}"
    return f"a worker process died ({how})"


def send_line(handle: int, answer: Any) -> None:
    """Write one line of JSON; where nobody reads any more, end this process."""
    line = json.dumps(answer).encode() + b"\n"
    try:
        while line:
            line = line[os.write(handle, line) :]
    except BrokenPipeError:
        os._exit(0)


@contextlib.contextmanager
def nameless_file(size: int) -> Iterator[int]:
    """The handle of a file without a name, which vanishes with its last user: in memory, or else on the disk."""
    if sys.platform == "linux":
        handle = os.memfd_create("penstock")
        try:
            os.truncate(handle, size)
            yield handle
        finally:
            os.close(handle)
    else:
        with tempfile.TemporaryFile() as file:
            file.truncate(size)
            yield file.fileno()
