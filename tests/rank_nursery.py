"""A process in which everything is imported, from which ranks are forked as `torchrun` starts them: each at once.

It reads one job a line and answers with the exit codes and the seconds that passed from the first failure, or from a
signal that it sent, to the last exit. Like `torchrun`, it keeps the store at which the ranks meet, and sends SIGTERM to
the rest when one has failed.
"""

from __future__ import annotations

import faulthandler
import importlib.util
import json
import os
import signal
import sys
import time
from datetime import timedelta
from importlib import import_module
from typing import Any

LIMIT = 30.0


def arrange(owner: str, method: str, call: int, number: int) -> None:
    """This process is to signal itself at the n-th call of a method, named "module:Class" or "module"."""
    module, _, name = owner.partition(":")
    target = getattr(import_module(module), name) if name else import_module(module)
    original, calls = getattr(target, method), []

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        calls.append(0)
        if len(calls) == call:
            os.kill(os.getpid(), number)
        return original(*args, **kwargs)

    setattr(target, method, wrapped)


def command(words: list[str]) -> int:
    """The command line."""
    from penstock.cli.main import main

    sys.argv = ["penstock", *words]
    try:
        main()
    except SystemExit as left:
        return int(left.code or 0)
    return 0


def call(file: str, function: str, arguments: list[Any]) -> int:
    """A function of a test module, given the ranks and the arguments; what it returns is written down."""
    from penstock.core.together import together

    spec = importlib.util.spec_from_file_location("called", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with together() as ranks:
        found = getattr(module, function)(ranks, *arguments)
    with open(f"result.{os.environ['RANK']}.json", "w", encoding="utf-8") as file_:
        json.dump(found, file_)
    return 0


def child(asked: dict[str, Any], rank: int, port: int) -> None:
    size = asked["size"]
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    os.chdir(asked["folder"])
    os.environ["PENSTOCK_CACHE"] = f"{asked['folder']}-cache"
    nothing = os.open(os.devnull, os.O_RDWR)
    errors = os.open(f"stderr.{rank}.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for handle, number in ((nothing, 0), (nothing, 1), (errors, 2)):
        os.dup2(handle, number)
    faulthandler.enable()
    for moment in asked["moments"].get(str(rank), ()):
        arrange(*moment)
    code = 1
    try:
        code = command(asked["words"]) if "words" in asked else call(*asked["call"])
    except BaseException:  # noqa: BLE001 - what a test's own function raised is read in its file
        sys.excepthook(*sys.exc_info())
    sys.stderr.flush()
    os._exit(code)


def wait(pids: list[int], after: list[Any] | None) -> tuple[list[int], float]:
    """The exit codes, and the seconds from the first failure or signal to the last exit."""
    began, since = time.monotonic(), None
    codes: dict[int, int] = {}
    while len(codes) < len(pids):
        now = time.monotonic()
        if after is not None and now - began >= after[0]:
            for rank in after[1]:
                if rank not in codes:
                    os.kill(pids[rank], after[2])
            after, since = None, now
        if now - began > LIMIT:
            for rank in set(range(len(pids))) - codes.keys():
                os.kill(pids[rank], signal.SIGABRT)  # it says where it was
        for rank in set(range(len(pids))) - codes.keys():
            found, status = os.waitpid(pids[rank], os.WNOHANG)
            if found:
                codes[rank] = os.waitstatus_to_exitcode(status)
                if codes[rank] and since is None:
                    since = now
                if codes[rank]:
                    for other in set(range(len(pids))) - codes.keys():
                        os.kill(pids[other], signal.SIGTERM)
        time.sleep(0.005)
    return [codes[rank] for rank in range(len(pids))], time.monotonic() - (since or began)


def main() -> None:
    import hypothesis  # noqa: F401 - test modules import these
    import pytest  # noqa: F401
    import sklearn.datasets  # noqa: F401
    import torch.distributed as dist

    for room in ("run.execute", "recipes.supervised", "kinds.image", "kinds.table", "recipes.architectures"):
        import_module("penstock." + room)
    import penstock.run.finish

    penstock.run.finish.build_report = lambda folder: folder
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=30))
        pids = []
        for rank in range(asked["size"]):
            pids.append(os.fork())
            if pids[-1] == 0:
                child(asked, rank, store.port)
        print(json.dumps(wait(pids, asked["after"])), flush=True)


if __name__ == "__main__":
    main()
