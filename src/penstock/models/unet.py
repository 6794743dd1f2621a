"""A small U-shaped network that sees a noisy picture and the time. B batch, C channels, H W height width, E of time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.core.errors import RecipeError
from penstock.nn.sizes import require_given, require_sizes

GROUPS = 8


class UNet(nn.Module):
    """(B, C, H, W), times (B,) and, with `classes`, labels (B,) int64 to (B, C, H, W).

    Each of `widths`, multiples of 8, has a residual block on the way down and two on the way up, which sees what was
    found on the way down at its size; between them the picture is halved, odd sides rounded up, while that leaves at
    least 4 pixels. At the smallest size every pixel attends to every other. Ho et al. 2020, "Denoising diffusion
    probabilistic models", appendix B, made small. The label `classes` stands for none. The last layer starts at zero.
    """

    def __init__(
        self, *, channels: int, height: int, width: int, widths: Sequence[int] = (32, 64, 128), classes: int = 0
    ) -> None:
        super().__init__()
        require_sizes("UNet", channels=channels, height=height, width=width, stages=len(widths))
        for i, wide in enumerate(widths):
            if wide < GROUPS or wide % GROUPS:
                raise RecipeError("UNet", f"widths[{i}] is {wide}", f"give a multiple of {GROUPS}")
        self.size, self.classes = (channels, height, width), classes
        time = 4 * widths[0]
        self.time = nn.Sequential(nn.Linear(widths[0], time), nn.SiLU(), nn.Linear(time, time))
        self.label = nn.Embedding(classes + 1, time) if classes else None
        self.first = nn.Conv2d(channels, widths[0], 3, padding=1)
        self.down = nn.ModuleList(Block(a, b, time) for a, b in pairwise([widths[0], *widths]))
        self.shrink = nn.ModuleList([nn.Identity()])
        side = min(height, width)
        for wide in widths[:-1]:
            halves = side >= 8
            self.shrink.append(nn.Conv2d(wide, wide, 3, 2, padding=1) if halves else nn.Identity())
            side = -(-side // 2) if halves else side
        self.middle = nn.ModuleList([Block(widths[-1], widths[-1], time), Attention(widths[-1])])
        below = [widths[-1], *widths[:0:-1]]
        self.widen = nn.ModuleList(Block(a + b, b, time) for a, b in zip(below, widths[::-1]))
        self.refine = nn.ModuleList(Block(wide, wide, time) for wide in widths[::-1])
        self.norm = nn.GroupNorm(GROUPS, widths[0])
        self.last = nn.Conv2d(widths[0], channels, 3, padding=1)
        _zero(self.last)

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        for what, expected, given in zip(("channels", "rows of pixels", "columns of pixels"), self.size, x.shape[1:]):
            require_given("UNet", what, expected, given)
        time: Tensor = self.time(waves(t, self.first.out_channels))  # (B, E)
        if self.label is not None:
            time = time + self.label(torch.full_like(t, self.classes, dtype=torch.int64) if label is None else label)
        time = F.silu(time)
        x = self.first(x)
        seen: list[Tensor] = []
        for shrink, block in zip(self.shrink, self.down):
            x = block(shrink(x), time)
            seen.append(x)
        block, attention = self.middle
        x = attention(block(x, time))
        for widen, refine, across in zip(self.widen, self.refine, reversed(seen)):
            if x.shape[2:] != across.shape[2:]:
                height, width = across.shape[2:]
                x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)[:, :, :height, :width]
            x = refine(widen(torch.cat([x, across], 1), time), time)
        found: Tensor = self.last(F.silu(self.norm(x)))
        return found


class Block(nn.Module):
    """Two normalised convolutions, between which the time comes in, and a way round them; it starts as that way."""

    def __init__(self, inputs: int, outputs: int, time: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(GROUPS, inputs), nn.GroupNorm(GROUPS, outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.time = nn.Linear(time, outputs)
        self.around: nn.Module = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)
        _zero(self.conv2)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        y = self.conv1(F.silu(self.norm1(x))) + self.time(time)[:, :, None, None]
        out: Tensor = self.around(x) + self.conv2(F.silu(self.norm2(y)))
        return out


class Attention(nn.Module):
    """Every pixel attends to every other, with one head, and a way round: (B, C, H, W) to the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, width)
        self.asks, self.gives = nn.Conv2d(width, 3 * width, 1), nn.Conv2d(width, width, 1)
        _zero(self.gives)

    def forward(self, x: Tensor) -> Tensor:
        pixels = self.asks(self.norm(x)).flatten(2).transpose(1, 2).unsqueeze(1)  # (B, 1, H W, 3 C)
        query, key, value = pixels.chunk(3, dim=3)
        found = F.scaled_dot_product_attention(query, key, value).squeeze(1).transpose(1, 2)  # (B, C, H W)
        out: Tensor = x + self.gives(found.reshape(x.shape))
        return out


def waves(t: Tensor, width: int) -> Tensor:
    """Sines and cosines of times (B,), of wavelengths from 2 pi to 20,000 pi: (B, width).

    Vaswani et al. 2017, "Attention is all you need", section 3.5.
    """
    count = width // 2
    speeds = torch.exp(-math.log(10_000) * torch.arange(count, device=t.device) / count)
    angles = t.float().unsqueeze(1) * speeds
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _zero(layer: nn.Conv2d) -> None:
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
