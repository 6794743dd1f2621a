"""From the first contact of the processes that `torchrun` started to the moment when they part."""

from __future__ import annotations

import contextlib
import functools
import itertools
import signal
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from penstock.core.errors import Interrupted, WorkerError
from penstock.core.machine import place
from penstock.core.ranks import ALONE, STEP_MINUTES, Ranks

_sessions = itertools.count()


@contextlib.contextmanager
def together() -> Iterator[Ranks]:
    """The processes that `torchrun` started, or this one alone.

    An error that leaves the block on one rank ends the others as well; the first to be heard is the one that is said.
    """
    where = place()
    if where.size == 1:
        yield ALONE
        return
    ranks = Ranks(where, _new_store())
    try:
        yield ranks
    except KeyboardInterrupt:
        error = Interrupted(signal.SIGINT, "penstock", "interrupted before training began", "start again")
        with _undisturbed():
            raise ranks.settle(error) from None
    except Exception as error:
        with _undisturbed():
            found = ranks.settle(error)
        if found is error:
            raise
        raise found from None
    finally:
        ranks.close()


def _new_store() -> Any:
    """Where the ranks leave notes; a later session of the same processes finds none of the earlier ones."""
    import torch.distributed as dist

    return dist.PrefixStore(f"penstock/{next(_sessions)}", _meeting_point())  # type: ignore[attr-defined]


@functools.cache
def _meeting_point() -> Any:
    """The store at the address that `torchrun` gives."""
    from torch.distributed.rendezvous import rendezvous

    try:
        return next(rendezvous("env://", timeout=timedelta(minutes=STEP_MINUTES)))[0]
    except (RuntimeError, ValueError, OSError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise WorkerError("torchrun", f"the processes cannot meet ({reason})", "check its address and port") from None


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """From here on SIGTERM is ignored: `torchrun` sends it to the rest as soon as one rank has left.

    Afterwards it works again only where its effect is the default one; a handler, such as the command line's, might
    raise an error of its own on the way out.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    yield
    if before is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, before)
