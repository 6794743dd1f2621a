"""A pole on a cart that is pushed to the left or to the right: CartPole-v1, many at once."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor

from penstock.rl.canvas import BLUE, GREY, INK, ORANGE, Canvas
from penstock.rl.environment import Pixels
from penstock.rl.spaces import Box, Discrete
from penstock.rl.tensor_environment import Outcome, State, TensorEnvironment

_GRAVITY, _CART, _POLE, _HALF_LENGTH, _PUSH, _SECONDS = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
_MASS, _MOMENT = _CART + _POLE, _POLE * _HALF_LENGTH
_FARTHEST, _STEEPEST = 2.4, 12 * 2 * math.pi / 360
_STATE = "state"


@final
class CartPole(TensorEnvironment):
    """Place, speed, angle and angular speed (N, 4); actions 0 and 1 push to the left and to the right; 1 a step.

    It ends where the cart leaves the track or the pole leans by more than 12 degrees, and is cut off after 500 steps.
    Barto, Sutton and Anderson 1983, "Neuronlike adaptive elements that can solve difficult learning control problems",
    with the equations of Florian 2007, "Correct equations for the dynamics of the cart-pole system", in float64 and in
    Gymnasium's order, so that whole episodes agree with its CartPole-v1.
    """

    speed = 50.0

    def __init__(self, *, count: int, limit: int = 500, device: torch.device | str = "cpu") -> None:
        bound = (2 * _FARTHEST, math.inf, 2 * _STEEPEST, math.inf)
        seen = Box((4,), tuple(-value for value in bound), bound)
        super().__init__(observation=seen, action=Discrete(2), count=count, limit=limit, device=device)
        self._reward = torch.ones(count, device=self.device)

    def begin(self, count: int) -> State:
        columns = torch.rand(4, count, generator=self.generator, device=self.device, dtype=torch.float64)
        return {_STATE: (columns * 0.1 - 0.05).T}  # a number of all environments lies together

    def advance(self, state: State, action: Tensor) -> Outcome:
        place, speed, angle, turning = state[_STATE].unbind(1)  # (N,) each
        force = action.to(torch.float64) * (2 * _PUSH) - _PUSH
        cos, sin = angle.cos(), angle.sin()
        pull = (force + _MOMENT * turning.square() * sin) / _MASS
        spin = (_GRAVITY * sin - cos * pull) / (_HALF_LENGTH * (4 / 3 - _POLE * cos.square() / _MASS))
        push = pull - _MOMENT * spin * cos / _MASS
        place, angle = place + _SECONDS * speed, angle + _SECONDS * turning
        after = torch.stack([place, speed + _SECONDS * push, angle, turning + _SECONDS * spin])
        return Outcome({_STATE: after.T}, self._reward, (place.abs() > _FARTHEST) | (angle.abs() > _STEEPEST))

    def observe(self, state: State) -> Tensor:
        return state[_STATE].float()

    def draw(self, state: State) -> Pixels:
        place, _, angle, _ = state[_STATE].tolist()
        canvas = Canvas(-2.7, 2.7, -1.6, 2.0)
        canvas.line([(-_FARTHEST, 0), (_FARTHEST, 0)], GREY)
        for end in (-_FARTHEST, _FARTHEST):
            canvas.line([(end, -0.2), (end, 0.2)], GREY)
        canvas.box(place - 0.3, place + 0.3, -0.17, 0.17, BLUE)
        top = place + 2 * _HALF_LENGTH * math.sin(angle), 0.1 + 2 * _HALF_LENGTH * math.cos(angle)
        canvas.line([(place, 0.1), top], ORANGE, width=6)
        canvas.disc((place, 0.1), 4, INK)
        return canvas.pixels()
