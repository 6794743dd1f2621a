"""Actions within their bounds."""

from __future__ import annotations

import pytest
import torch

from penstock.core.errors import RecipeError
from penstock.rl.bounded import BoundedActions
from penstock.rl.cartpole import CartPole
from penstock.rl.environment import Environment, Step
from penstock.rl.pendulum import Pendulum
from penstock.rl.spaces import Box
from penstock.rl.wrapper import Wrapper


class Heard(Wrapper):
    """Remembers what was done."""

    def __init__(self, inner: Environment) -> None:
        super().__init__(inner)
        self.action = Box((1,), -0.5, 2.0)

    def step(self, action: torch.Tensor) -> Step:
        self.done = action
        return super().step(action)


def test_the_nearest_action_that_is_allowed_is_done() -> None:
    heard = Heard(Pendulum(count=3))
    world = BoundedActions(heard)
    world.reset(0)
    world.step(torch.tensor([[-9.0], [0.25], [9.0]]))
    assert heard.done.tolist() == [[-0.5], [0.25], [2.0]]


def test_one_of_several_actions_has_no_bounds() -> None:
    with pytest.raises(RecipeError, match="use it for actions of numbers"):
        BoundedActions(CartPole(count=1))
