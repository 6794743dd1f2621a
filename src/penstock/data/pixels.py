"""Pictures on their way into a model: augmented as bytes, then scaled. The scaling travels with the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.random import keyed_uniform
from penstock.data.examples import Examples


@dataclass(frozen=True)
class PixelScaling:
    """Each channel to mean 0 and standard deviation 1, by the statistics of the training split (in 0..255).

    `binary` then makes 1 of what is at least half, and 0 of the rest.
    """

    mean: Sequence[float]
    std: Sequence[float]
    binary: bool = False

    @classmethod
    def unit(cls, channels: int, *, binary: bool = False) -> PixelScaling:
        """To 0..1, whatever the pictures are like."""
        return cls([0.0] * channels, [255.0] * channels, binary)

    @classmethod
    def fit(cls, examples: Examples, indices: Tensor, limit: int = 10_000) -> PixelScaling:
        """From at most `limit` training examples, evenly spaced."""
        chosen = indices[:: max(-(-len(indices) // limit), 1)]
        count, total, squares = 0, torch.zeros(()), torch.zeros(())
        for _, batch in examples.stream(torch.split(chosen, 256)):
            pixels = batch["image"].cpu().double()  # (B, C, H, W)
            count += pixels.numel() // pixels.shape[1]
            total = total + pixels.sum((0, 2, 3))
            squares = squares + pixels.square().sum((0, 2, 3))
        mean = total / count
        std = (squares / count - mean.square()).clamp(min=0).sqrt()
        return cls(mean.tolist(), [value if value > 1e-3 else 1.0 for value in std.tolist()])

    def __call__(self, pixels: Tensor) -> Tensor:
        """(B, C, H, W) uint8 to float32."""
        factor, offset = _constants(tuple(self.mean), tuple(self.std), pixels.device)
        scaled = torch.addcmul(offset, pixels.to(torch.float32), factor)
        return (scaled >= 0.5).to(torch.float32) if self.binary else scaled

    def back(self, scaled: Tensor) -> Tensor:
        """The reverse, to the nearest byte: (B, C, H, W) float32 to uint8."""
        mean, std = (torch.tensor(values, device=scaled.device).view(-1, 1, 1) for values in (self.mean, self.std))
        return (scaled * std + mean).round().clamp(0, 255).to(torch.uint8)

    def to_json(self) -> dict[str, Any]:
        """For the model's folder."""
        return {"mean": list(self.mean), "std": list(self.std)} | ({"binary": True} if self.binary else {})


@dataclass(frozen=True)
class Augment:
    """Random mirror images and shifts of pictures, different for each (seed, example) and for nothing else.

    `shift` is the largest displacement in pixels, up, down, left or right; what comes in repeats the border.
    """

    flip: bool = False
    shift: int = 0

    def __call__(self, pixels: Tensor, indices: Tensor, seed: int) -> Tensor:
        """(B, C, H, W) to the same shape and type."""
        if not (self.flip or self.shift):
            return pixels
        count, channels, height, width = pixels.shape
        draws = keyed_uniform(seed, indices, 3).to(pixels.device)  # (B, 3)
        span = 2 * self.shift + 1
        down, right = ((draws[:, i] * span).long() - self.shift for i in (0, 1))
        rows = (torch.arange(height, device=pixels.device) - down[:, None]).clamp_(0, height - 1)  # (B, H)
        columns = (torch.arange(width, device=pixels.device) - right[:, None]).clamp_(0, width - 1)  # (B, W)
        if self.flip:
            columns = torch.where(draws[:, 2:] < 0.5, columns, width - 1 - columns)
        places = (rows[:, :, None] * width + columns[:, None, :]).view(count, 1, -1).expand(-1, channels, -1)
        return pixels.flatten(2).gather(2, places).view_as(pixels)


@dataclass(frozen=True)
class PixelTransform:
    """What a source does to a batch of pictures: augment (training only), then scale."""

    scaling: PixelScaling
    augment: Augment | None = None

    def __call__(self, batch: Batch, indices: Tensor, seed: int) -> Batch:
        """The batch with "image" as float32."""
        pixels = batch["image"]
        if self.augment is not None:
            pixels = self.augment(pixels, indices, seed)
        return Batch(batch, image=self.scaling(pixels))


@cache
def _constants(mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """The factor and the offset of a scaling, each (C, 1, 1), on the device once and for all."""
    factor = torch.tensor([1 / value for value in std]).view(-1, 1, 1)
    offset = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)]).view(-1, 1, 1)
    return factor.to(device), offset.to(device)
