"""One environment of Gymnasium's kind. Nothing heavy is imported: worker processes run this."""

from __future__ import annotations

from typing import Any, final

import gymnasium
import numpy as np
from gymnasium.envs import classic_control

from penstock.rl.unit import Answer, Restorable, Unit


@final
class Single(Unit):
    """One agent, alone."""

    def __init__(self, env: gymnasium.Env[Any, Any], limit: int | None, *, name: str, number: int) -> None:
        super().__init__(env, limit, env.observation_space, env.action_space, name=name, number=number)

    def reset(self, seed: int | None = None) -> list[np.ndarray]:
        return [self.sound(self.begun(seed), resets=True)]

    def step(self, actions: np.ndarray) -> list[Answer]:
        seen, *rest = self.stepped(self.given(actions[0]))
        final = self.sound(seen)
        reward, terminated, truncated = self.told(rest)
        truncated = truncated or self.late
        begins = self.again()[0] if terminated or truncated else None
        return [Answer(final, reward, terminated, truncated, begins)]

    @property
    def exact(self) -> bool:
        """Also for Gymnasium's own classics."""
        return super().exact or isinstance(self.env.unwrapped, _CLASSIC)

    def state(self) -> dict[str, Any]:
        world = self.env.unwrapped
        own = world.state_dict() if isinstance(world, Restorable) else _state_of_classic(world)
        random = world.np_random.bit_generator.state
        return {"own": own, "random": random, "age": self.age, "steps": self.steps}

    def load_state(self, state: dict[str, Any]) -> None:
        self.reset()  # wrappers want to see that
        world = self.env.unwrapped
        if isinstance(world, Restorable):
            world.load_state_dict(state["own"])
        else:
            _load_classic(world, state["own"])
        world.np_random.bit_generator.state = state["random"]
        self.age, self.steps = state["age"], state["steps"]


_CLASSIC = (
    classic_control.CartPoleEnv,
    classic_control.PendulumEnv,
    classic_control.MountainCarEnv,
    classic_control.Continuous_MountainCarEnv,
    classic_control.AcrobotEnv,
)
"""Gymnasium's own whose `state` is all there is to them."""


def _state_of_classic(world: Any) -> dict[str, Any]:
    array = np.asarray(world.state)
    return {"state": array.tolist(), "dtype": str(array.dtype)}


def _load_classic(world: Any, state: dict[str, Any]) -> None:
    world.state = np.array(state["state"], dtype=state["dtype"])
