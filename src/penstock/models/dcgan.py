"""Convolutional generators and discriminators without pooling. B batch, C channels, H W height width.

Radford, Metz and Chintala 2016, "Unsupervised representation learning with deep convolutional generative adversarial
networks", section 3. A side of `attention` pixels gets self-attention (Zhang et al. 2019).
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from penstock.core.errors import RecipeError
from penstock.models.discriminator import FeatureTrunk
from penstock.models.generator import Cut, growing, leaky
from penstock.nn.picture_attention import PictureAttention
from penstock.nn.sizes import require_given, require_sizes

Norm = Callable[[int], nn.Module]
"""A normalisation of so many channels; `nn.Identity` is none."""
DEVIATION = 0.02
"""Of the weights at the start: section 4 of the paper."""


class DCGANGenerator(nn.Module):
    """Transposed convolutions that double a small picture until it is large enough: (B, inputs) to (B, C, size, size).

    The last but one layer has `width` channels, each before it twice as many. Pictures are in [-1, 1].
    """

    def __init__(
        self,
        *,
        inputs: int,
        channels: int,
        size: int,
        width: int = 64,
        norm: Norm = nn.BatchNorm2d,
        attention: int = 0,
        least: int = 4,
    ) -> None:
        super().__init__()
        require_sizes("DCGANGenerator", inputs=inputs, channels=channels, width=width, least=least)
        require_side("DCGANGenerator", size)
        side, *larger = sides = growing(size, least)
        require_attention("DCGANGenerator", attention, sides[:-1])
        widths = [width * 2**i for i in reversed(range(len(larger)))]
        self.first = nn.Linear(inputs, widths[0] * side**2)
        self.shape = (widths[0], side, side)
        stages: list[nn.Module] = []
        for at, then, before, after in zip(sides, larger, widths, [*widths[1:], channels], strict=False):
            stages += [norm(before), nn.ReLU()]
            if at == attention:
                stages.append(PictureAttention(before))
            stages += [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1), Cut(then)]
        self.stages = nn.Sequential(*stages)
        small_normal_(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).unflatten(1, self.shape)  # (B, C', side, side)
        made: Tensor = self.stages(x)
        return made.tanh()


class DCGANTrunk(FeatureTrunk):
    """Strided convolutions that halve a picture until `least` pixels a side or fewer are left: (B, C, H, W) to (B, F).

    The first layer has `width` channels and no normalisation, each after it twice as many. One more of 3 x 3, as in
    Miyato et al. 2018, table 3, looks at what is left: without it, small pictures would be judged almost linearly, and
    to please a linear judge one picture of each class is enough.
    """

    def __init__(
        self,
        *,
        channels: int,
        size: int,
        width: int = 64,
        norm: Norm = nn.Identity,
        attention: int = 0,
        least: int = 4,
    ) -> None:
        super().__init__()
        require_sizes("DCGANTrunk", channels=channels, width=width, least=least)
        require_side("DCGANTrunk", size)
        self.channels, self.size = channels, size
        sides: list[int] = []
        stages: list[nn.Module] = []
        side, before = size, channels
        while side > least:
            side, after = side // 2, before * 2 if sides else width
            stages.append(nn.Conv2d(before, after, 4, stride=2, padding=1))
            if sides:
                stages.append(norm(after))
            stages.append(leaky())
            if side == attention:
                stages.append(PictureAttention(after))
            sides.append(side)
            before = after
        require_attention("DCGANTrunk", attention, sides)
        stages += [nn.Conv2d(before, before, 3, padding=1), norm(before), leaky()]
        self.stages = nn.Sequential(*stages)
        self.outputs = before * side**2
        small_normal_(self)

    def forward(self, x: Tensor) -> Tensor:
        require_given("DCGANTrunk", "channels", self.channels, x.shape[1])
        require_given("DCGANTrunk", "rows of pixels", self.size, x.shape[2])
        features: Tensor = self.stages(x)
        return features.flatten(1)


def small_normal_(network: nn.Module) -> None:
    """Weights of a standard deviation of 0.02, scales of normalisations of the same about 1, biases zero."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, std=DEVIATION)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d | nn.GroupNorm) and layer.weight is not None:
            nn.init.normal_(layer.weight, mean=1.0, std=DEVIATION)


def require_side(where: str, size: int) -> None:
    """A picture has 8 pixels a side or more, so that there is something to halve. Raises RecipeError."""
    if size < 8:
        raise RecipeError(where, f"size is {size}", "give pictures of at least 8 pixels a side")


def require_attention(where: str, side: int, sides: list[int]) -> None:
    """Attention is at a side that there is, or at none, 0. Raises RecipeError with those that there are."""
    if side and side not in sides:
        there = ", ".join(map(str, sides))
        raise RecipeError(where, f"there is no side of {side} pixels for attention", f"choose one of: {there}")
