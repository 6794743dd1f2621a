"""What actions are worth. B batch, F features, A actions, or numbers of an action, N numbers about each return."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import final

import torch
from torch import Tensor, nn

from penstock.core.errors import RecipeError
from penstock.models.discriminator import FeatureTrunk
from penstock.nn.sizes import require_sizes

MakeLinear = Callable[[int, int], nn.Module]
"""From inputs and outputs to a layer: `nn.Linear` or `NoisyLinear`."""


@final
class ValueTable(nn.Module):
    """One number for each state and action, at first zero: states (B,) int64 to (B, A, 1)."""

    def __init__(self, *, states: int, actions: int) -> None:
        super().__init__()
        require_sizes("ValueTable", states=states, actions=actions)
        self.values = nn.Parameter(torch.zeros(states, actions, 1))

    def forward(self, observation: Tensor) -> Tensor:
        return self.values[observation]


@final
class ActionValues(nn.Module):
    """A trunk and fully connected layers: observations (B, ...) to (B, A, N).

    `numbers` is N: 1 for the expected return, more for its distribution. `dueling` tells what a place is worth apart
    from what the actions add, of which the mean is taken away (Wang et al. 2016, "Dueling network architectures",
    equation (9); for distributions Hessel et al. 2018, "Rainbow", section 3). `linear` makes the layers after the
    trunk.
    """

    def __init__(
        self,
        trunk: FeatureTrunk,
        *,
        actions: int,
        numbers: int = 1,
        hidden: Sequence[int] = (),
        dueling: bool = False,
        linear: MakeLinear = nn.Linear,
    ) -> None:
        super().__init__()
        require_sizes("ActionValues", actions=actions, numbers=numbers)
        self.trunk, self.shape = trunk, (actions, numbers)
        self.of_actions = _layers([trunk.outputs, *hidden, actions * numbers], linear)
        self.of_place = _layers([trunk.outputs, *hidden, numbers], linear) if dueling else None

    def forward(self, observation: Tensor) -> Tensor:
        features: Tensor = self.trunk(observation)
        found: Tensor = self.of_actions(features).unflatten(1, self.shape)  # (B, A, N)
        if self.of_place is None:
            return found
        place: Tensor = self.of_place(features)  # (B, N)
        return place.unsqueeze(1) + found - found.mean(1, keepdim=True)


@final
class PairValue(nn.Module):
    """What it is worth to do given numbers (B, A) at given places (B, ...): (B,).

    The action, scaled from its bounds (A,) to [-1, 1], joins the features of `trunk`, if there is one, or the
    observation, a vector, itself.
    """

    def __init__(
        self,
        *,
        inputs: int,
        low: Tensor,
        high: Tensor,
        hidden: Sequence[int] = (256, 256),
        trunk: FeatureTrunk | None = None,
    ) -> None:
        super().__init__()
        if trunk is not None and trunk.outputs != inputs:
            problem = f"was built for {inputs} inputs and its trunk gives {trunk.outputs}"
            raise RecipeError("PairValue", problem, "give inputs as many as the trunk's outputs")
        self.trunk = trunk
        self.layers = _layers([inputs + len(low), *hidden, 1], nn.Linear)
        self.register_buffer("centre", (high + low) / 2)
        self.register_buffer("reach", (high - low) / 2)

    def forward(self, observation: Tensor, action: Tensor) -> Tensor:
        place = observation.flatten(1) if self.trunk is None else self.trunk(observation)
        unit = (action - self.get_buffer("centre")) / self.get_buffer("reach")
        worth: Tensor = self.layers(torch.cat([place, unit], 1))
        return worth.squeeze(1)


def _layers(sizes: Sequence[int], linear: MakeLinear) -> nn.Sequential:
    """Layers with ReLU between them."""
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
