"""Atari's games as they are usually learned: small grey pictures, every fourth of them. Workers run this, not torch."""

from __future__ import annotations

import base64
import functools
from typing import Any, cast, final

import gymnasium
import numpy as np
from gymnasium import spaces

from penstock.core.errors import RecipeError

SIDE, SKIP = 84, 4
"""Pixels of the picture, and pictures for which an action is done."""

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


def register() -> None:
    """Make the games known. Raises RecipeError where the emulator is not installed."""
    try:
        import ale_py
    except ModuleNotFoundError as error:
        raise RecipeError("env", "the games need ale-py", "pip install 'penstock[atari]'") from error
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    gymnasium.register_envs(ale_py)


@final
class Atari(gymnasium.Env[Pixels, int]):
    """A game that shows (1, 84, 84) grey bytes: the brighter of the last two of the four pictures of an action.

    The flicker of sprites is gone with that. Where a game waits for its fire button, that is pressed. With `lives`, one
    that is lost ends an episode, though not the game. Mnih et al. 2015, "Human-level control through deep reinforcement
    learning", methods; but what makes a game no fixed sequence is not how it begins: in each picture the last action is
    repeated with the probability `sticky` (Machado et al. 2018, "Revisiting the arcade learning environment").
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 60 / SKIP}  # noqa: RUF012 - as Gymnasium has it

    def __init__(self, name: str, *, lives: bool = False, sticky: float = 0.25, **options: Any) -> None:
        own = {"obs_type": "grayscale", "frameskip": 1, "repeat_action_probability": 0.0, "disable_env_checker": True}
        made = gymnasium.make(name, **{**options, **own})
        self._game = cast(Any, made.unwrapped)
        self.action_space: Any = made.action_space
        self.observation_space = spaces.Box(0, 255, (1, SIDE, SIDE), np.uint8)
        self.render_mode = made.render_mode
        self._by_life, self._lives, self._over = lives, 0, True
        self._sticky, self._last = sticky, 0
        meanings = self._game.get_action_meanings()
        self._fire = meanings.index("FIRE") if "FIRE" in meanings else None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Pixels, dict[str, Any]]:
        """Begin a game; or, after a life, go on with it, unless there is a new seed."""
        super().reset(seed=seed)
        self._last = 0
        if self._over or seed is not None or not self._by_life:
            screen, info = self._game.reset(seed=seed)
            self._over = False
        else:
            screen, info = self._pressed(0)
        if self._fire is not None:
            screen, info = self._pressed(self._fire)
        self._lives = self._game.ale.lives()
        return _small(screen), info

    def _pressed(self, action: int) -> tuple[Pixels, dict[str, Any]]:
        """One picture later, or at a new beginning where that was the end."""
        screen, _, ended, cut, info = self._game.step(action)
        found: tuple[Pixels, dict[str, Any]] = self._game.reset() if ended or cut else (screen, info)
        return found

    def step(self, action: int) -> tuple[Pixels, float, bool, bool, dict[str, Any]]:
        """Four pictures of the game."""
        gain, screens = 0.0, []
        ended = cut = False
        info: dict[str, Any] = {}
        for _ in range(SKIP):
            if self.np_random.random() >= self._sticky:  # the emulator's own would not be saved with its memory
                self._last = action
            screen, reward, ended, cut, info = self._game.step(self._last)
            gain += float(reward)
            screens.append(screen)
            if ended or cut:
                break
        self._over = ended or cut
        before, self._lives = self._lives, self._game.ale.lives()
        lost = self._by_life and 0 < self._lives < before
        return _small(np.maximum(*screens[-2:]) if len(screens) > 1 else screens[0]), gain, ended or lost, cut, info

    def render(self) -> Any:
        """The game in colours."""
        return self._game.render()

    def close(self) -> None:
        """Give back what the emulator holds."""
        self._game.close()

    def state_dict(self) -> dict[str, Any]:
        """The emulator's memory, its random numbers included."""
        memory = self._game.clone_state(include_rng=True).serialize()
        return {
            "memory": base64.b64encode(memory).decode(),
            "lives": self._lives,
            "over": self._over,
            "last": self._last,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put it back."""
        import ale_py

        self._game.restore_state(ale_py.ALEState(base64.b64decode(state["memory"])))
        self._lives, self._over, self._last = state["lives"], state["over"], state["last"]


def _small(screen: Pixels) -> Pixels:
    """(H, W) to (1, 84, 84), each pixel the mean of those that it covers, as far as it covers them."""
    height, width = screen.shape
    return np.rint(_cover(height) @ screen @ _cover(width).T).astype(np.uint8)[None]


@functools.cache
def _cover(pixels: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Which share of each of the 84 pixels is made of each of so many others: (84, pixels)."""
    ends, places = np.arange(SIDE + 1) * (pixels / SIDE), np.arange(pixels)
    shared = np.minimum(ends[1:, None], places + 1) - np.maximum(ends[:-1, None], places)
    found: np.ndarray[Any, np.dtype[np.float32]] = (shared.clip(min=0) * (SIDE / pixels)).astype(np.float32)
    return found
