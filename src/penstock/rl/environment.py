"""The contract between a world to act in and whoever acts in it. N environments, always stepped together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from penstock.core.errors import RecipeError
from penstock.rl.spaces import Space


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of N environments has led to. Whoever keeps a tensor of it may, for none is written to again."""

    observation: Tensor
    """(N, *shape): what the next action answers to; where an episode has ended, the first of the next episode."""
    final: Tensor
    """(N, *shape): what the action has led to; unlike `observation` only where an episode has ended."""
    reward: Tensor
    """(N,) float32."""
    terminated: Tensor
    """(N,) bool: the world has ended, and nothing follows that could be worth anything."""
    truncated: Tensor
    """(N,) bool: the world would go on, but is not watched any longer: what follows has its worth."""

    @property
    def done(self) -> Tensor:
        """(N,) bool: where an episode has ended, in whichever way."""
        return self.terminated | self.truncated


Pixels = np.ndarray[Any, np.dtype[np.uint8]]
"""A picture, (H, W, 3)."""


class Environment(ABC):
    """`count` environments of one kind. An episode that ends is followed by another by itself.

    `exact` says whether `state_dict` holds all that decides how it goes on; where it does not, episodes begin anew
    after `load_state_dict`.
    """

    observation: Space
    action: Space
    count: int
    device: torch.device = torch.device("cpu")
    exact: bool = True
    agents: tuple[str, ...] = ()
    """Who act in one world together, which is then a game: `count` is a multiple of as many, and those of one game lie
    side by side, in this order. None, where each acts alone."""
    speed: float = 30.0
    """Steps a second at which it is to be watched."""

    @property
    def size(self) -> int:
        """Environments that are one game."""
        return max(len(self.agents), 1)

    @abstractmethod
    def reset(self, seed: int) -> Tensor:
        """Begin anew with random numbers of this seed: the first observations (N, *shape)."""

    @abstractmethod
    def step(self, action: Tensor) -> Step:
        """Act: (N,) whole numbers or (N, *shape). Raises WorkerError where an environment fails."""

    @abstractmethod
    def state_dict(self) -> dict[str, Tensor]:
        """The state, that of the random numbers included, as tensors of its own."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Tensor]) -> Tensor:
        """Put it back: the observations that the next actions answer to. Raises CheckpointError where it is foreign."""

    def watch(self, which: int) -> None:
        """From the next reset on `picture` and `text` are of this one."""
        raise self._unseen()

    def picture(self) -> Pixels:
        """What the last step has led to, the end of an episode included. Raises RecipeError where nothing is drawn."""
        raise self._unseen()

    def text(self) -> str | None:
        """The same in letters, for those that are best drawn so; else None."""
        return None

    def _unseen(self) -> RecipeError:
        return RecipeError("play", f"{type(self).__name__} draws no picture", "use: penstock evaluate")

    def close(self) -> None:
        """Give back what it holds: processes, windows."""
        return
