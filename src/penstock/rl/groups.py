"""Where environments and games of other libraries run: in this process, or in several that work at the same time."""

from __future__ import annotations

import itertools
import json
import mmap
import os
import selectors
import subprocess
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

from penstock.core.children import death, nameless_file, start, stop
from penstock.core.errors import PenstockError, RecipeError, WorkerError
from penstock.rl.arrays import Arrays, Held, arrays_in, size_of
from penstock.rl.maker import Maker
from penstock.rl.unit import Unit
from penstock.rl.worker import DONE, LAUNCH, STEP, step_all

_TO_BEGIN = 5
"""How many times longer the first answer may take: what the environment needs is imported first."""
_AGAIN = "mend the environment, then go on with: penstock resume"


class Group(ABC):
    """Units that speak through `arrays`, each by as many rows as it has agents.

    Every method raises WorkerError where one fails.
    """

    arrays: Arrays

    @abstractmethod
    def step(self) -> None:
        """Do what stands in `arrays.action`; the rest is written."""

    @abstractmethod
    def reset(self, seeds: Sequence[int]) -> None:
        """Begin anew, with a seed for each; `arrays.observation` is written."""

    @abstractmethod
    def check(self) -> list[str]:
        """Try one out, before the first reset; returns what a user should know."""

    @abstractmethod
    def state(self) -> list[dict[str, Any]]:
        """The state of each, as JSON values."""

    @abstractmethod
    def load_state(self, states: Sequence[dict[str, Any]]) -> None:
        """Put it back."""

    @abstractmethod
    def close(self) -> None:
        """Give back what they hold."""


def _forms(unit: Unit) -> tuple[Held, Held]:
    return (unit.observation.shape, unit.observation.dtype), (unit.action.shape, unit.action.dtype)


@final
class Here(Group):
    """All in this process, one after another: right for environments that take microseconds."""

    def __init__(self, maker: Maker, first: Unit, count: int) -> None:
        self.all = [first, *(maker.unit(number) for number in range(1, count))]
        forms, rows = _forms(first), count * first.size
        self.arrays = arrays_in(bytearray(size_of(*forms, rows)), *forms, rows)

    def step(self) -> None:
        step_all(self.all, self.arrays, 0)

    def reset(self, seeds: Sequence[int]) -> None:
        for at, (each, seed) in enumerate(zip(self.all, seeds, strict=True)):
            self.arrays.observation[each.size * at : each.size * (at + 1)] = each.reset(seed)

    def check(self) -> list[str]:
        return self.all[0].check()

    def state(self) -> list[dict[str, Any]]:
        return [each.state() for each in self.all]

    def load_state(self, states: Sequence[dict[str, Any]]) -> None:
        for each, state in zip(self.all, states, strict=True):
            each.load_state(state)

    def close(self) -> None:
        for each in self.all:
            each.env.close()


@dataclass(eq=False)
class _Worker:
    process: subprocess.Popen[bytes]
    number: int
    units: range
    rest: bytes = b""
    """The beginning of an answer."""


@final
class Processes(Group):
    """Divided among `workers` processes; what does not answer for `seconds` is given up, or in the beginning for five
    times as long.

    They end with `close`, with this object, and with this process, even where it is killed.
    """

    def __init__(self, maker: Maker, first: Unit, count: int, *, workers: int, seconds: float) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []
        self._failure: WorkerError | None = None
        self._seconds, self._begun = seconds, False
        self._selector = selectors.DefaultSelector()
        self._finalizer = weakref.finalize(self, _stop, os.getpid(), self.processes, self._selector)
        forms, rows = _forms(first), count * first.size
        workers = min(workers, count)
        marks = [count * at // workers for at in range(workers + 1)]
        self._workers: list[_Worker] = []
        try:
            with nameless_file(size := size_of(*forms, rows)) as handle:
                self.arrays = arrays_in(mmap.mmap(handle, size), *forms, rows)
                for begin, end in itertools.pairwise(marks):
                    process = start(LAUNCH, handle, asdict(maker), forms, rows, begin, end)
                    self.processes.append(process)
                    worker = _Worker(process, len(self._workers), range(begin, end))
                    self._workers.append(worker)
                    assert process.stdout is not None
                    self._selector.register(process.stdout, selectors.EVENT_READ, worker)
        except OSError as error:
            self._finalizer()
            problem = f"a worker process cannot be started ({error.strerror or error})"
            raise WorkerError("environments", problem, "use fewer processes") from None

    def step(self) -> None:
        self._ask([STEP] * len(self._workers))

    def reset(self, seeds: Sequence[int]) -> None:
        self._ask([_line("reset", [*w.units], [seeds[at] for at in w.units]) for w in self._workers])

    def check(self) -> list[str]:
        found: list[str] = self._ask([_line("check"), *[_line("nothing")] * (len(self._workers) - 1)])[0]
        return found

    def state(self) -> list[dict[str, Any]]:
        return [state for part in self._ask([_line("state")] * len(self._workers)) for state in part]

    def load_state(self, states: Sequence[dict[str, Any]]) -> None:
        self._ask([_line("load", [states[at] for at in worker.units]) for worker in self._workers])

    def close(self) -> None:
        self._failure = self._failure or WorkerError("environments", "they were closed", "make them again")
        self._finalizer()

    def _ask(self, requests: Sequence[bytes]) -> list[Any]:
        """One request for each process: their answers, waited for together."""
        if self._failure is not None:
            raise self._failure
        for worker, request in zip(self._workers, requests, strict=True):
            try:
                assert worker.process.stdin is not None
                worker.process.stdin.write(request)
                worker.process.stdin.flush()
            except BrokenPipeError:
                raise self._failed(worker, death(worker.process)) from None
        answers: dict[int, Any] = {}
        seconds = self._seconds if self._begun else _TO_BEGIN * self._seconds
        limit = time.monotonic() + seconds
        while len(answers) < len(self._workers):
            ready = self._selector.select(max(limit - time.monotonic(), 0))
            if not ready and time.monotonic() >= limit:
                silent = next(w for at, w in enumerate(self._workers) if at not in answers)
                raise self._failed(silent, f"no answer to {_word(requests[0])!r} for {seconds:g} seconds")
            for key, _ in ready:
                worker = key.data
                received = os.read(key.fd, 1 << 16)
                if not received:
                    raise self._failed(worker, death(worker.process))
                worker.rest += received
                if worker.rest.endswith(b"\n"):
                    answers[worker.number] = None if worker.rest == DONE else self._understood(json.loads(worker.rest))
                    worker.rest = b""
        self._begun = True
        return [answers[at] for at in range(len(self._workers))]

    def _understood(self, answer: dict[str, Any]) -> Any:
        if "error" in answer:
            kind, *texts = answer["error"]
            error = RecipeError(*texts) if kind == RecipeError.__name__ else WorkerError(*texts)
            self._give_up(error)
            raise error
        return answer["found"]

    def _failed(self, worker: _Worker, problem: str) -> WorkerError:
        units = worker.units
        which = f"environment {units[0]}" if len(units) == 1 else f"environments {units[0]} to {units[-1]}"
        error = WorkerError(which, problem, _AGAIN)
        self._give_up(error)
        return error

    def _give_up(self, error: PenstockError) -> None:
        self._failure = error if isinstance(error, WorkerError) else WorkerError(error.where, error.problem, _AGAIN)
        self._finalizer()


def _line(*request: Any) -> bytes:
    return json.dumps(request).encode() + b"\n"


def _word(request: bytes) -> str:
    """What was asked, in a word."""
    return "step" if request == STEP else str(json.loads(request)[0])


def _stop(owner: int, processes: Sequence[subprocess.Popen[bytes]], selector: selectors.BaseSelector) -> None:
    """End the processes, and listen to them no more."""
    if os.getpid() == owner:
        selector.close()
    stop(owner, processes)
