"""An environment that takes its time; light to import, for each worker process runs this file."""

from __future__ import annotations

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
