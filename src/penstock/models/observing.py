"""What turns observations into features: of vectors, of pictures, of numbered states. B batch, C channels, H W height
width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from penstock.core.errors import RecipeError
from penstock.models.discriminator import FeatureTrunk
from penstock.nn.initialise import activation_gain, orthogonal_
from penstock.nn.sizes import require_given, require_sizes

ATARI = ((32, 8, 4), (64, 4, 2), (64, 3, 1))
"""Channels, side and stride of the convolutions of Mnih et al. 2015, "Human-level control", methods."""
BOARD = ((32, 3, 1), (64, 3, 1))
"""Of pictures with a few pixels a side."""


@final
class VectorTrunk(FeatureTrunk):
    """Fully connected layers with an activation after each, and orthogonal weights: (B, ...) to (B, last of `hidden`).

    Without hidden layers the features are the observation itself. With `normalise` each layer's outputs are brought to
    mean 0 and deviation 1 before the activation (Ba, Kiros and Hinton 2016, "Layer normalization"), which keeps values
    that are learned from values from running away (Gallici et al. 2025, "Simplifying deep temporal difference
    learning", section 3).
    """

    def __init__(
        self,
        *,
        inputs: int,
        hidden: Sequence[int] = (64, 64),
        activation: Callable[[], nn.Module] = nn.Tanh,
        normalise: bool = False,
    ) -> None:
        super().__init__()
        require_sizes("VectorTrunk", inputs=inputs, **{f"hidden[{i}]": size for i, size in enumerate(hidden)})
        self.inputs, self.outputs = inputs, [inputs, *hidden][-1]
        layers: list[nn.Module] = []
        for before, after in pairwise([inputs, *hidden]):
            layer = nn.Linear(before, after)
            orthogonal_(layer, activation_gain(activation))
            layers += [layer, *([nn.LayerNorm(after)] if normalise else []), activation()]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)  # (B, inputs)
        require_given("VectorTrunk", "inputs", self.inputs, x.shape[1])
        features: Tensor = self.layers(x.float() if not x.is_floating_point() else x)
        return features


@final
class ImageTrunk(FeatureTrunk):
    """Convolutions with ReLU, then a fully connected layer: (B, C, H, W) to (B, `features`).

    `convolutions` are (channels, side, stride) each, without padding. Pictures of bytes are scaled to [0, 1]. Raises
    RecipeError where the picture is too small for them.
    """

    def __init__(
        self,
        *,
        channels: int,
        height: int,
        width: int,
        convolutions: Sequence[tuple[int, int, int]] = ATARI,
        features: int = 512,
    ) -> None:
        super().__init__()
        require_sizes("ImageTrunk", channels=channels, height=height, width=width, features=features)
        self.size, self.outputs = (channels, height, width), features
        gain = activation_gain(nn.ReLU)
        layers: list[nn.Module] = []
        for after, side, stride in convolutions:
            if side > min(height, width):
                problem = f"a convolution of side {side} meets a picture of {height} x {width}"
                raise RecipeError("ImageTrunk", problem, "give fewer or smaller convolutions, or larger pictures")
            convolution = nn.Conv2d(channels, after, side, stride)
            orthogonal_(convolution, gain)
            layers += [convolution, nn.ReLU()]
            channels, height, width = after, (height - side) // stride + 1, (width - side) // stride + 1
        last = nn.Linear(channels * height * width, features)
        orthogonal_(last, gain)
        self.layers = nn.Sequential(*layers, nn.Flatten(), last, nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        for what, expected, given in zip(("channels", "rows of pixels", "columns of pixels"), self.size, x.shape[1:]):
            require_given("ImageTrunk", what, expected, given)
        features: Tensor = self.layers(x if x.is_floating_point() else x.float() / 255)
        return features


@final
class StateTrunk(FeatureTrunk):
    """A state's number, (B,) int64, as zeros with a single one, (B, states): a linear layer after it is a table."""

    def __init__(self, states: int) -> None:
        super().__init__()
        require_sizes("StateTrunk", states=states)
        self.outputs = states

    def forward(self, x: Tensor) -> Tensor:
        return functional.one_hot(x.flatten().long(), self.outputs).to(torch.get_default_dtype())
