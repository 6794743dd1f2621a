"""A process that steps a few environments for the one that started it; torch is not imported here."""

from __future__ import annotations

import json
import mmap
import os
import signal
import sys
from typing import Any

import numpy as np

from penstock.core.children import launch, send_line
from penstock.core.errors import PenstockError
from penstock.rl.arrays import Arrays, arrays_in
from penstock.rl.maker import Maker
from penstock.rl.unit import Unit

STEP, DONE = b"step\n", b"done\n"
"""What is asked and answered most, in a form that need not be taken apart."""
LAUNCH = launch("penstock.rl.worker")
"""What such a process runs."""


def main() -> None:
    """Answer requests until the parent closes the pipe; its death, of whatever kind, closes it too.

    The arguments are, as JSON, the parent's module path, the handle of the shared memory, the environment to make, the
    forms of observation and action, how many rows there are, and the first and last of the units that are ours.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this process when it is done
    handle, maker, forms, count, first, last = (json.loads(word) for word in sys.argv[2:])
    arrays = arrays_in(mmap.mmap(handle, 0), forms[0], forms[1], count)
    os.close(handle)
    answers = os.dup(1)
    os.dup2(2, 1)  # what an environment may print is no answer
    group: list[Unit] = []
    for line in sys.stdin.buffer:
        try:
            if not group:
                group = [Maker(**maker).unit(number) for number in range(first, last)]
            if line == STEP:
                step_all(group, arrays, first)
                os.write(answers, DONE)
            else:
                send_line(answers, {"found": _answer(group, json.loads(line), arrays)})
        except PenstockError as error:
            send_line(answers, {"error": [type(error).__name__, error.where, error.problem, error.remedy]})


def _answer(group: list[Unit], request: list[Any], arrays: Arrays) -> Any:
    """What is asked for: ["nothing"], ["reset", rows, seeds], ["check"], ["state"], ["load", states]."""
    what, *rest = request
    if what == "reset":
        for each, number, seed in zip(group, *rest, strict=True):
            arrays.observation[each.size * number : each.size * (number + 1)] = each.reset(seed)
    elif what == "check":
        return group[0].check()
    elif what == "state":
        return [each.state() for each in group]
    elif what == "load":
        for each, state in zip(group, rest[0], strict=True):
            each.load_state(state)
    return None


def step_all(group: list[Unit], arrays: Arrays, first: int) -> None:
    """Let each of a group act, and write down what that has led to, from the rows of the unit `first` on."""
    size = group[0].size
    rows = slice(size * first, size * (first + len(group)))
    final, reward, action = arrays.final[rows], arrays.reward[rows], arrays.action[rows]
    parts = action.reshape(len(group), size, *action.shape[1:])
    answers = [answer for each, part in zip(group, parts, strict=True) for answer in each.step(part)]
    for row, answer in enumerate(answers):
        final[row] = answer.final
    reward[:] = [answer.reward for answer in answers]
    for name, met in (("observation", final), ("reward", reward)):
        if not (sound := np.isfinite(met).reshape(len(group), -1).all(1)).all():
            raise group[int(sound.argmin())].not_finite(name)
    arrays.terminated[rows] = [answer.terminated for answer in answers]
    arrays.truncated[rows] = [answer.truncated for answer in answers]
    arrays.observation[rows] = final
    for row, answer in enumerate(answers, rows.start):
        if answer.begins is not None:
            arrays.observation[row] = answer.begins
