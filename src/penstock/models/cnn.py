"""A plain convolutional network. B batch, C channels, H W height width, K classes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from torch import Tensor, nn

from penstock.core.errors import RecipeError
from penstock.nn.initialise import normal_
from penstock.nn.sizes import require_dropout, require_given, require_sizes

RELU = math.sqrt(2)  # the gain of ReLU: He et al. 2015, equation (10)


class CNN(nn.Module):
    """Stages of 3 x 3 convolutions, each ending in 2 x 2 max pooling, then a classifier: (B, C, H, W) to (B, K).

    Stage i has `convolutions[i]` convolutions (an int: that many in every stage; if not given, one in the first, where
    the picture is large and a convolution costs most, and two in the others) of `widths[i]` channels, each followed by
    batch normalisation, unless `batch_norm` is off, and ReLU. A stage is not pooled where that would leave less than 2
    pixels a side. With `hidden` widths the picture is flattened into fully connected layers; without, each channel is
    averaged over the picture. Dropout acts before the last layer. Weights start with He's variance, biases at zero.
    """

    def __init__(
        self,
        *,
        channels: int,
        height: int,
        width: int,
        outputs: int,
        widths: Sequence[int] = (32, 64, 128),
        convolutions: Sequence[int] | int | None = None,
        hidden: Sequence[int] = (),
        batch_norm: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if convolutions is None:
            convolutions = [1] + [2] * (len(widths) - 1)
        counts = [convolutions] * len(widths) if isinstance(convolutions, int) else list(convolutions)
        require_sizes("CNN", channels=channels, height=height, width=width, outputs=outputs, stages=len(widths))
        require_sizes("CNN", **{f"widths[{i}]": n for i, n in enumerate(widths)})
        require_sizes("CNN", **{f"convolutions[{i}]": n for i, n in enumerate(counts)})
        require_dropout("CNN", dropout)
        if len(counts) != len(widths):
            problem = f"{len(counts)} counts of convolutions for {len(widths)} widths"
            raise RecipeError("CNN", problem, "give one count a stage, or one for all")
        self.size = (channels, height, width)
        stages: list[nn.Module] = []
        for (before, after), count in zip(itertools.pairwise([channels, *widths]), counts, strict=True):
            pool = min(height, width) >= 4
            stages.append(_stage(before, after, count, batch_norm, pool))
            if pool:
                height, width = height // 2, width // 2
        self.stages = nn.Sequential(*stages)
        require_sizes("CNN", **{f"hidden[{i}]": n for i, n in enumerate(hidden)})
        neck: list[nn.Module] = [nn.Flatten()] if hidden else [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        flat = widths[-1] * height * width
        for before, after in zip([flat, *hidden], hidden, strict=False):
            layer = nn.Linear(before, after)
            normal_(layer, RELU)
            neck += [layer, nn.ReLU()]
        self.neck = nn.Sequential(*neck)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear([widths[-1], *hidden][-1], outputs)
        normal_(self.head, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        for what, expected, given in zip(("channels", "rows of pixels", "columns of pixels"), self.size, x.shape[1:]):
            require_given("CNN", what, expected, given)
        x = self.stages(x)  # (B, C', H', W')
        x = self.neck(x)  # (B, features)
        logits: Tensor = self.head(self.dropout(x))  # (B, K)
        return logits


def _stage(inputs: int, outputs: int, convolutions: int, batch_norm: bool, pool: bool) -> nn.Sequential:
    """Convolutions of one width: (B, inputs, H, W) to (B, outputs, H, W), or half of H and W with `pool`."""
    layers: list[nn.Module] = []
    for index in range(convolutions):
        convolution = nn.Conv2d(inputs if index == 0 else outputs, outputs, 3, padding=1, bias=not batch_norm)
        normal_(convolution, RELU)
        layers.append(convolution)
        if batch_norm:
            layers.append(nn.BatchNorm2d(outputs))
        if pool and index == convolutions - 1:
            layers.append(nn.MaxPool2d(2))  # before ReLU, with which it commutes: a quarter of the work
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)
