"""Spectrograms to what is said in them: convolutions over time and bands, then a trunk over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.models.trunk import Trunk
from penstock.nn.steps import within


class EachStep(nn.Module):
    """Brings every step of pictures (B, C, T, M) to mean 0 and deviation 1, then scales and shifts its channels.

    Layer normalisation (Ba et al. 2016) over channels and bands: what is in other steps and examples, padding too,
    makes no difference.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """To the same shape."""
        variance, mean = torch.var_mean(x, (1, 3), correction=0, keepdim=True)  # (B, 1, T, 1)
        return (x - mean) * torch.rsqrt(variance + 1e-5) * self.weight + self.bias


class SpeechNet(nn.Module):
    """Spectrograms (B, T, `features`) to (B, `outputs`), or, where not `pooled`, to (B, T', `outputs`).

    Convolutions with `channels` outputs each, which halve the bands; the first also halves the steps, and so does the
    second where `stride` is 4: T' = T / `stride`, rounded up. Then the trunk that `body` makes for a number of inputs,
    and a linear layer on each step or on the mean of all. The arrangement is that of Amodei et al. 2016, "Deep Speech
    2", sections 3.1 to 3.3, made small.
    """

    def __init__(
        self,
        *,
        features: int,
        outputs: int,
        body: Callable[[int], Trunk],
        width: int = 96,
        channels: Sequence[int] = (16, 32),
        stride: int = 4,
        dropout: float = 0.2,
        pooled: bool = True,
    ) -> None:
        super().__init__()
        self.pooled = pooled
        self._strides = [2 if 2**number < stride else 1 for number in range(len(channels))]
        sizes = [1, *channels]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=(step, 2), padding=1)
            for before, after, step in zip(sizes, channels, self._strides)
        )
        self.norms = nn.ModuleList(EachStep(size) for size in channels)
        bands = features
        for _ in channels:
            bands = -(-bands // 2)
        self.project = nn.Linear(sizes[-1] * bands, width)
        self.dropout = nn.Dropout(dropout)
        self.body = body(width)
        self.head = nn.Linear(self.body.outputs, outputs)

    def steps(self, lengths: Tensor) -> Tensor:
        """How many steps come out, not pooled, for so many that go in: (B,) to (B,)."""
        for step in self._strides:
            lengths = -(-lengths // step)
        return lengths

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, features) and the lengths (B,) in steps; steps beyond them make no difference."""
        x = x.masked_fill(~within(lengths, x.shape[1]).unsqueeze(2), 0.0).unsqueeze(1)  # (B, 1, T, M)
        for convolve, normalise, step in zip(self.convolutions, self.norms, self._strides):
            lengths = -(-lengths // step)
            x = F.gelu(normalise(convolve(x)))
            x = x.masked_fill(~within(lengths, x.shape[2])[:, None, :, None], 0.0)
        steps = self.dropout(self.project(x.transpose(1, 2).flatten(2)))  # (B, T', width)
        found = self.dropout(self.body(steps, lengths))  # (B, T', H), 0 beyond the lengths
        if not self.pooled:
            return self.head(found)  # type: ignore[no-any-return]
        return self.head(found.sum(1) / lengths.clamp(min=1).unsqueeze(1))  # type: ignore[no-any-return]
