"""Residual generators and discriminators. B batch, C channels, H W height width.

Miyato et al. 2018, "Spectral normalization for generative adversarial networks", appendix B.4, and for the blocks
Gulrajani et al. 2017, "Improved training of Wasserstein GANs", appendix F. A side of `attention` pixels gets
self-attention (Zhang et al. 2019).
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional

from penstock.models.dcgan import Norm, require_attention, require_side
from penstock.models.discriminator import FeatureTrunk
from penstock.models.generator import Cut, growing
from penstock.nn.initialise import normal_
from penstock.nn.picture_attention import PictureAttention
from penstock.nn.sizes import require_given, require_sizes


class UpBlock(nn.Module):
    """Doubles a picture by nearest neighbours, with a way round: (B, inputs, H, W) to (B, outputs, 2 H, 2 W)."""

    def __init__(self, inputs: int, outputs: int, norm: Norm) -> None:
        super().__init__()
        self.norm1, self.norm2 = norm(inputs), norm(outputs)
        self.conv1 = _conv(inputs, outputs, 3, math.sqrt(2))
        self.conv2 = _conv(outputs, outputs, 3, math.sqrt(2))
        self.round = _conv(inputs, outputs, 1, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.interpolate(self.norm1(x).relu(), scale_factor=2)
        y = self.conv2(self.norm2(self.conv1(y)).relu())
        out: Tensor = y + functional.interpolate(self.round(x), scale_factor=2)  # 1 x 1, so the order does not matter
        return out


class DownBlock(nn.Module):
    """Two convolutions with a way round, `halved` by means or not: (B, inputs, H, W) to (B, outputs, H', W').

    The block that sees the picture itself, `first`, does not begin with an activation.
    """

    def __init__(self, inputs: int, outputs: int, *, halved: bool, first: bool = False) -> None:
        super().__init__()
        self.halved, self.first = halved, first
        self.conv1 = _conv(inputs, outputs, 3, 1.0 if first else math.sqrt(2))
        self.conv2 = _conv(outputs, outputs, 3, math.sqrt(2))
        self.round = _conv(inputs, outputs, 1, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.conv1(x if self.first else x.relu()).relu())
        out: Tensor = y + self.round(x)
        return functional.avg_pool2d(out, 2) if self.halved else out


class ResidualGenerator(nn.Module):
    """Residual blocks that double a small picture until it is large enough: (B, inputs) to (B, C, size, size).

    Every block has `width` channels. Pictures are in [-1, 1].
    """

    def __init__(
        self,
        *,
        inputs: int,
        channels: int,
        size: int,
        width: int = 128,
        norm: Norm = nn.BatchNorm2d,
        attention: int = 0,
    ) -> None:
        super().__init__()
        require_sizes("ResidualGenerator", inputs=inputs, channels=channels, width=width)
        require_side("ResidualGenerator", size)
        side, *larger = growing(size)
        self.shape = (width, side, side)
        self.first = nn.Linear(inputs, width * side**2)
        normal_(self.first, 1.0)
        require_attention("ResidualGenerator", attention, larger)
        blocks: list[nn.Module] = []
        for then in larger:
            blocks += [UpBlock(width, width, norm), Cut(then)]
            if then == attention:
                blocks.append(PictureAttention(width))
        self.blocks = nn.Sequential(*blocks)
        self.norm, self.last = norm(width), _conv(width, channels, 3, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.first(x).unflatten(1, self.shape))  # (B, width, H, W)
        made: Tensor = self.last(self.norm(x).relu())
        return made.tanh()


class ResidualTrunk(FeatureTrunk):
    """Residual blocks that halve a picture until 8 pixels a side or fewer, two more, and sums: (B, C, H, W) to (B, F).

    Features are sums over the picture of each of `width` channels.
    """

    def __init__(self, *, channels: int, size: int, width: int = 128, attention: int = 0) -> None:
        super().__init__()
        require_sizes("ResidualTrunk", channels=channels, width=width)
        require_side("ResidualTrunk", size)
        self.channels, self.outputs = channels, width
        blocks: list[nn.Module] = [DownBlock(channels, width, halved=True, first=True)]
        sides = [size // 2]
        while True:
            if sides[-1] == attention:
                blocks.append(PictureAttention(width))
            if sides[-1] <= 8:
                break
            blocks.append(DownBlock(width, width, halved=True))
            sides.append(sides[-1] // 2)
        require_attention("ResidualTrunk", attention, sides)
        blocks += [DownBlock(width, width, halved=False) for _ in range(2)]
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        require_given("ResidualTrunk", "channels", self.channels, x.shape[1])
        features: Tensor = self.blocks(x)
        return features.relu().sum((2, 3))


def _conv(inputs: int, outputs: int, kernel: int, gain: float) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    normal_(layer, gain)
    return layer
