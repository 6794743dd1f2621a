"""Environments as users write them: one that is sound, and those that are not. Also run as a user's own module."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Walk(gymnasium.Env[np.ndarray, int]):
    """A random walk that the actions push; it can be restored."""

    def __init__(self, wrong: str = "", seconds: float = 0.0) -> None:
        self.observation_space = spaces.Box(-50.0, 50.0, (2,), np.float32)
        self.action_space = spaces.Discrete(3, start=-1)
        self.wrong, self.seconds = wrong, seconds
        self.place, self.steps = 0.0, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.place, self.steps = float(self.np_random.normal()), 0
        return self.seen() if self.wrong == "old reset" else (self.seen(), {})

    def seen(self) -> Any:
        seen = np.array([self.place, self.steps], np.float32)
        if self.wrong == "shape":
            return seen[:1]
        if self.wrong == "dtype":
            return seen.astype(np.float64)
        if self.wrong == "bounds":
            return seen + 100
        if self.wrong == "nan" and self.steps == 3:
            seen[0] = np.nan
        return seen

    def step(self, action: int) -> Any:
        assert -1 <= action <= 1, action
        time.sleep(self.seconds)
        self.steps += 1
        self.place += action + float(self.np_random.normal())
        if self.steps == 3:
            if self.wrong == "raises":
                raise ZeroDivisionError("the pole has gone")
            if self.wrong == "hangs":
                time.sleep(1000)
            if self.wrong == "dies":
                os.kill(os.getpid(), signal.SIGKILL)
        if self.wrong == "another":
            self.place += float(np.random.default_rng().normal())
        reward: Any = {"text": "much", "inf": np.inf}.get(self.wrong, -abs(self.place))
        if self.wrong == "old step":
            return self.seen(), reward, False, {}
        return self.seen(), reward, "no" if self.wrong == "flag" else abs(self.place) > 5, False, {}


class Kept(Walk):
    """The same, and it says what it is."""

    def state_dict(self) -> dict[str, Any]:
        return {"place": self.place, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.place, self.steps = state["place"], state["steps"]


class Painted(Walk):
    """The same, and it can be looked at."""

    metadata = {"render_modes": ["ansi", "rgb_array"], "render_fps": 12}  # noqa: RUF012 - as Gymnasium has it

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__()
        self.render_mode = render_mode

    def render(self) -> Any:
        if self.render_mode == "ansi":
            return f"after {self.steps}"
        return np.full((8, 12, 3), self.steps, np.uint8)
