"""One contestant in a process of its own: python -m peers.worker '{"case": ..., "form": ..., "module": ..., ...}'.

The last line that it prints is its result as JSON. Imports and data are ready before the stopwatch starts.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any

from peers.cases import CASES, TRIAL_STEPS
from peers.laps import Laps


def work(order: dict[str, Any]) -> dict[str, Any]:
    """Train as ordered; returns seconds, final loss, and the threads of torch where it was used.

    With "trial", the loss of the trial too, which comes last, so that it warms nothing up.
    """
    case = CASES[order["case"]]
    length = case.quick if order["form"] == "quick" else case.full
    task = case.task(length, order["seed"])
    train = getattr(import_module(f"peers.{order['module']}"), order["function"])
    laps = Laps(length.warm_up, length.epochs)
    outputs = train(task, laps, **order["settings"])
    warm_up, seconds = laps.seconds()
    torch = sys.modules.get("torch")
    found = {
        "warm_up_seconds": round(warm_up, 3),
        "seconds": round(seconds, 4),
        "loss": round(task.loss(outputs), 5),
        "threads": torch.get_num_threads() if torch is not None else None,
        "data": task.data.origin,
    }
    if order["trial"]:
        trial = case.trial()
        found["trial_loss"] = round(trial.loss(train(trial, Laps(0, TRIAL_STEPS), **order["settings"])), 6)
    return found


if __name__ == "__main__":
    print("\n" + json.dumps(work(json.loads(sys.argv[1]))))
