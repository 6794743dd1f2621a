"""An environment that takes its time; light to import, for each worker process runs this file."""

from __future__ import annotations

import sys
import time
from typing import Any

import gymnasium
import numpy as np

SECONDS = 0.005


class Slow(gymnasium.Env[np.ndarray, int]):
    """Takes 5 ms a step, `busy` or waiting."""

    def __init__(self, busy: bool = False) -> None:
        self.observation_space = gymnasium.spaces.Box(-1.0, 1.0, (4,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(2)
        self._busy, self._seen = busy, np.zeros(4, np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return self._seen, {}

    def step(self, action: int) -> Any:
        if self._busy:
            until = time.thread_time() + SECONDS
            while time.thread_time() < until:
                pass
        else:
            time.sleep(SECONDS)
        return self._seen, 0.0, False, False, {}


def alone(begin: float, seconds: float, busy: bool) -> float:
    """Steps a second of one in a bare loop, from the moment `begin` on."""
    world, made = Slow(busy), 0
    world.reset(seed=0)
    time.sleep(max(begin - time.time(), 0))
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        world.step(0)
        made += 1
    return made / (time.perf_counter() - start)


if __name__ == "__main__":
    print(alone(float(sys.argv[1]), float(sys.argv[2]), "busy" in sys.argv))
