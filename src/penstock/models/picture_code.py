"""Pictures to codes and back. B batch, C channels, H W height width, Z code, D width of a place of a grid."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from torch import Tensor, nn

from penstock.nn.initialise import normal_
from penstock.nn.sizes import require_given, require_sizes

RELU = math.sqrt(2)  # the gain of ReLU: He et al. 2015, equation (10)


class PictureEncoder(nn.Module):
    """3 x 3 convolutions, each of which halves the picture, then a linear layer: (B, C, H, W) to (B, `outputs`).

    Odd sides are rounded up; a picture of less than 4 pixels a side is not halved. Nothing is normalised, so that an
    example's code depends on that example alone and keeps how bright it is.
    """

    def __init__(
        self, *, channels: int, height: int, width: int, outputs: int, widths: Sequence[int] = (32, 64, 128)
    ) -> None:
        super().__init__()
        require_sizes("PictureEncoder", channels=channels, height=height, width=width, outputs=outputs)
        require_sizes("PictureEncoder", stages=len(widths), **{f"widths[{i}]": n for i, n in enumerate(widths)})
        self.size, self.outputs = (channels, height, width), outputs
        sides = _sides(height, width, len(widths))
        layers: list[nn.Module] = []
        for (before, after), stage in zip(itertools.pairwise([channels, *widths]), itertools.pairwise(sides)):
            layers += [_convolution(before, after, 1 if stage[0] == stage[1] else 2), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.Flatten())
        self.head = nn.Linear(widths[-1] * math.prod(sides[-1]), outputs)
        normal_(self.head, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        for what, expected, given in zip(("channels", "rows of pixels", "columns of pixels"), self.size, x.shape[1:]):
            require_given("PictureEncoder", what, expected, given)
        code: Tensor = self.head(self.body(x))  # (B, outputs)
        return code


class PictureDecoder(nn.Module):
    """The way back of a `PictureEncoder` of the same sizes: (B, `inputs`) to (B, C, H, W), unbounded.

    Transposed convolutions have kernels of 4 x 4, a multiple of their stride, so that all pixels are reached equally
    often (Odena et al. 2016, "Deconvolution and checkerboard artifacts"); where a side was odd, the last row is cut.
    """

    def __init__(
        self, *, inputs: int, channels: int, height: int, width: int, widths: Sequence[int] = (32, 64, 128)
    ) -> None:
        super().__init__()
        require_sizes("PictureDecoder", channels=channels, height=height, width=width, inputs=inputs)
        require_sizes("PictureDecoder", stages=len(widths), **{f"widths[{i}]": n for i, n in enumerate(widths)})
        self.inputs = inputs
        self._sides = _sides(height, width, len(widths))[::-1]
        self._smallest = (widths[-1], *self._sides[0])
        self.head = nn.Linear(inputs, math.prod(self._smallest))
        normal_(self.head, RELU)
        stages = zip(itertools.pairwise([*widths[::-1], widths[0]]), itertools.pairwise(self._sides))
        self.stages = nn.ModuleList(
            _convolution(before, after, 1) if here == there else _transposed(before, after)
            for (before, after), (here, there) in stages
        )
        self.last = _convolution(widths[0], channels, 1)
        normal_(self.last, 1.0)

    def forward(self, code: Tensor) -> Tensor:
        require_given("PictureDecoder", "numbers a code", self.inputs, code.shape[1])
        x = self.head(code).relu().unflatten(1, self._smallest)  # (B, C', H', W')
        for stage, (height, width) in zip(self.stages, self._sides[1:]):
            x = stage(x)[:, :, :height, :width].relu()
        pixels: Tensor = self.last(x)  # (B, C, H, W)
        return pixels


class GridEncoder(nn.Module):
    """A vector for each patch of a picture: (B, C, H, W) to (B, H', W', `outputs`), H' = H / 2^halvings, rounded up.

    Strided convolutions, then two residual blocks: van den Oord et al. 2017, section 4.1, with kernels of 3 x 3.
    """

    def __init__(self, *, channels: int, outputs: int, width: int = 128, halvings: int = 2) -> None:
        super().__init__()
        require_sizes("GridEncoder", channels=channels, outputs=outputs, width=width, halvings=halvings)
        self.channels, self.outputs = channels, outputs
        layers: list[nn.Module] = []
        for before in [channels, *[width] * (halvings - 1)]:
            layers += [_convolution(before, width, 2), nn.ReLU()]
        self.body = nn.Sequential(*layers, Residual(width), Residual(width), nn.ReLU())
        self.head = nn.Conv2d(width, outputs, 1)
        normal_(self.head, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        require_given("GridEncoder", "channels", self.channels, x.shape[1])
        grid: Tensor = self.head(self.body(x))  # (B, D, H', W')
        return grid.permute(0, 2, 3, 1)


class GridDecoder(nn.Module):
    """The way back of a `GridEncoder`: (B, H', W', `inputs`) to (B, C, H, W), unbounded."""

    def __init__(
        self, *, inputs: int, channels: int, height: int, width: int, hidden: int = 128, halvings: int = 2
    ) -> None:
        super().__init__()
        require_sizes("GridDecoder", inputs=inputs, channels=channels, height=height, width=width, halvings=halvings)
        self.inputs, self._size = inputs, (height, width)
        self.body = nn.Sequential(_convolution(inputs, hidden, 1), Residual(hidden), Residual(hidden), nn.ReLU())
        self.stages = nn.ModuleList(_transposed(hidden, hidden) for _ in range(halvings))
        self.last = _convolution(hidden, channels, 1)
        normal_(self.last, 1.0)

    def forward(self, grid: Tensor) -> Tensor:
        require_given("GridDecoder", "numbers a vector", self.inputs, grid.shape[-1])
        x = self.body(grid.permute(0, 3, 1, 2))
        for left, stage in zip(range(len(self.stages) - 1, -1, -1), self.stages):
            height, width = (-(-side // 2**left) for side in self._size)
            x = stage(x)[:, :, :height, :width].relu()
        pixels: Tensor = self.last(x)  # (B, C, H, W)
        return pixels


class Residual(nn.Module):
    """ReLU, a 3 x 3 convolution, ReLU and a 1 x 1 one, which starts at zero, and a way round them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = _convolution(width, width, 1), nn.Conv2d(width, width, 1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.second(self.first(x.relu()).relu())
        return out


def _sides(height: int, width: int, stages: int) -> list[tuple[int, int]]:
    """Height and width before the first stage and after each."""
    sides = [(height, width)]
    for _ in range(stages):
        height, width = sides[-1]
        sides.append((-(-height // 2), -(-width // 2)) if min(height, width) >= 4 else (height, width))
    return sides


def _convolution(inputs: int, outputs: int, stride: int) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, 3, stride, padding=1)
    normal_(layer, RELU)
    return layer


def _transposed(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    """Twice as high and as wide. Each pixel hears of 2 x 2 places, whence He's variance."""
    layer = nn.ConvTranspose2d(inputs, outputs, 4, 2, padding=1)
    nn.init.normal_(layer.weight, std=RELU / math.sqrt(4 * inputs))
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer
