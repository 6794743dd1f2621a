"""A pendulum that is to be swung up and held with too little force to lift it: Pendulum-v1, many at once."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor

from penstock.rl.canvas import BLUE, FAINT, INK, ORANGE, Canvas
from penstock.rl.environment import Pixels
from penstock.rl.spaces import Box
from penstock.rl.tensor_environment import Outcome, State, TensorEnvironment

_GRAVITY, _MASS, _LENGTH, _SECONDS, _FASTEST, _STRONGEST = 10.0, 1.0, 1.0, 0.05, 8.0, 2.0
_STATE = "state"


@final
class Pendulum(TensorEnvironment):
    """Cosine and sine of the angle from upright, and the angular speed (N, 3); a torque (N, 1) from -2 to 2.

    The reward is minus the cost of leaning, turning and pushing; it never ends and is cut off after 200 steps. In
    float64 and in Gymnasium's order, so that whole episodes agree with its Pendulum-v1.
    """

    speed = 20.0

    def __init__(self, *, count: int, limit: int = 200, device: torch.device | str = "cpu") -> None:
        bound = (1.0, 1.0, _FASTEST)
        super().__init__(
            observation=Box((3,), tuple(-value for value in bound), bound),
            action=Box((1,), -_STRONGEST, _STRONGEST),
            count=count,
            limit=limit,
            device=device,
        )
        self._never = torch.zeros(count, dtype=torch.bool, device=self.device)

    def begin(self, count: int) -> State:
        uniform = torch.rand(2, count, generator=self.generator, device=self.device, dtype=torch.float64) * 2 - 1
        return {_STATE: torch.stack([uniform[0] * math.pi, uniform[1]]).T}

    def advance(self, state: State, action: Tensor) -> Outcome:
        angle, speed = state[_STATE].unbind(1)  # (N,) each
        torque = action[:, 0].clamp(-_STRONGEST, _STRONGEST)  # float32, and so are its own products, as in Gymnasium
        leaning = torch.remainder(angle + math.pi, 2 * math.pi) - math.pi
        cost = leaning.square() + 0.1 * speed.square() + 0.001 * torque.square()
        pull = 3 * _GRAVITY / (2 * _LENGTH) * angle.sin() + 3.0 / (_MASS * _LENGTH**2) * torque
        speed = (speed + pull * _SECONDS).clamp(-_FASTEST, _FASTEST)
        after = torch.stack([angle + speed * _SECONDS, speed]).T
        return Outcome({_STATE: after}, -cost.float(), self._never)

    def observe(self, state: State) -> Tensor:
        angle, speed = state[_STATE].unbind(1)
        return torch.stack([angle.cos(), angle.sin(), speed]).T.float()

    def draw(self, state: State) -> Pixels:
        angle, speed = state[_STATE].tolist()
        canvas = Canvas(-1.5, 1.5, -1.5, 1.5, size=(200, 200))
        canvas.line([(0, 1.1), (0, 1.4)], FAINT, width=4)  # where it is to be
        canvas.line([(0, 0), (-math.sin(angle), math.cos(angle))], ORANGE, width=10)
        canvas.disc((-math.sin(angle), math.cos(angle)), 5, ORANGE)
        canvas.disc((0, 0), 4, INK)
        canvas.box(0, -1.2 * speed / _FASTEST, -1.4, -1.35, BLUE)  # how fast it turns, to the left and to the right
        return canvas.pixels()
