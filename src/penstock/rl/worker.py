"""A process that steps a few environments for the one that started it; torch is not imported here."""

from __future__ import annotations

import json
import mmap
import os
import signal
import sys
from typing import Any

from penstock.core.children import launch, send_line
from penstock.core.errors import PenstockError
from penstock.rl.arrays import Arrays, arrays_in
from penstock.rl.single import Maker, Single

LAUNCH = launch("penstock.rl.worker")
"""What such a process runs."""


def main() -> None:
    """Answer requests until the parent closes the pipe; its death, of whatever kind, closes it too.

    The arguments are, as JSON, the parent's module path, the handle of the shared memory, the environment to make, the
    forms of observation and action, how many environments there are, and the first and last of those that are ours.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this process when it is done
    handle, maker, forms, count, first, last = (json.loads(word) for word in sys.argv[2:])
    arrays = arrays_in(mmap.mmap(handle, 0), forms[0], forms[1], count)
    os.close(handle)
    answers = os.dup(1)
    os.dup2(2, 1)  # what an environment may print is no answer
    group: list[Single] = []
    for line in sys.stdin.buffer:
        request = json.loads(line)
        try:
            if not group:
                group = [Single(Maker(**maker), number) for number in range(first, last)]
            send_line(answers, {"found": _answer(group, request, arrays, first)})
        except PenstockError as error:
            send_line(answers, {"error": [type(error).__name__, error.where, error.problem, error.remedy]})


def _answer(group: list[Single], request: list[Any], arrays: Arrays, first: int) -> Any:
    """What is asked for: ["step"], ["reset", seeds], ["check"], ["state"], ["load", states]."""
    what, *rest = request
    if what == "step":
        step_all(group, arrays, first)
    elif what == "reset":
        for at, (each, seed) in enumerate(zip(group, rest[0], strict=True), first):
            arrays.observation[at] = each.reset(seed)
    elif what == "check":
        return group[0].check()
    elif what == "state":
        return [each.state() for each in group]
    elif what == "load":
        for each, state in zip(group, rest[0], strict=True):
            each.load_state(state)
    return None


def step_all(group: list[Single], arrays: Arrays, first: int) -> None:
    """Let each of a group act, and write down what that has led to, from row `first` on."""
    for at, each in enumerate(group, first):
        answer = each.step(arrays.action[at])
        arrays.final[at], arrays.reward[at] = answer.final, answer.reward
        arrays.terminated[at], arrays.truncated[at] = answer.terminated, answer.truncated
        arrays.observation[at] = answer.final if answer.begins is None else answer.begins
