"""Spectrograms to codes along time and back. B batch, T time, M bands, Z code, H hidden channels."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn

from penstock.core.errors import RecipeError
from penstock.nn.sizes import require_given, require_sizes
from penstock.nn.steps import within

GELU = 1.53
"""The gain of GELU at size 1, by `activation_gain`."""


class SpectrumEncoder(nn.Module):
    """Convolutions over time, `halvings` of which halve it: (B, T, `bands`), lengths (B,) to (B, T', `outputs`).

    T' is T / 2^halvings, rounded up. Steps from the length on change nothing and come out as 0. `anonymous` brings each
    channel to mean 0 and deviation 1 over the steps of an example after each convolution: what stays the same
    throughout a sound, such as whose voice it is, is lost (Chou et al. 2019, "One-shot voice conversion by separately
    representing speaker and content representations with instance normalization", section 3.2).
    """

    def __init__(
        self, *, bands: int, outputs: int, hidden: int = 128, halvings: int = 2, anonymous: bool = False
    ) -> None:
        super().__init__()
        require_sizes("SpectrumEncoder", bands=bands, outputs=outputs, hidden=hidden)
        if halvings < 0:
            raise RecipeError("SpectrumEncoder", f"halvings is {halvings}", "give a whole number of at least 0")
        self.bands, self.outputs, self.anonymous = bands, outputs, anonymous
        self._strides = [1, *[2] * halvings, 1]
        self.layers = nn.ModuleList(
            _convolution(before, hidden, stride)
            for before, stride in zip(itertools.chain([bands], itertools.repeat(hidden)), self._strides)
        )
        self.head = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        require_given("SpectrumEncoder", "bands", self.bands, x.shape[2])
        x = _only(x.transpose(1, 2), lengths)  # (B, M, T)
        for layer, stride in zip(self.layers, self._strides):
            lengths = -(-lengths // stride)
            before, x = x, _only(layer(x), lengths)  # (B, H, T')
            if self.anonymous:
                x = _levelled(x, lengths)
            x = nn.functional.gelu(x)
            x = x + before if stride == 1 and x.shape[1] == before.shape[1] else x
        x = self.head(x.transpose(1, 2)).transpose(1, 2)  # (B, Z, T')
        return _only(x, lengths).transpose(1, 2)


class SpectrumDecoder(nn.Module):
    """The way back: (B, T', `inputs`), lengths (B,) of the spectrograms to (B, T' 2^halvings, `bands`).

    Steps from the length on come out as 0.
    """

    def __init__(self, *, inputs: int, bands: int, hidden: int = 128, halvings: int = 2) -> None:
        super().__init__()
        require_sizes("SpectrumDecoder", inputs=inputs, bands=bands, hidden=hidden)
        if halvings < 0:
            raise RecipeError("SpectrumDecoder", f"halvings is {halvings}", "give a whole number of at least 0")
        self.inputs = inputs
        self.first, self.last = _convolution(inputs, hidden, 1), _convolution(hidden, hidden, 1)
        self.stages = nn.ModuleList(nn.ConvTranspose1d(hidden, hidden, 4, 2, padding=1) for _ in range(halvings))
        for stage in self.stages:
            assert isinstance(stage, nn.ConvTranspose1d)
            nn.init.normal_(stage.weight, std=GELU / math.sqrt(2 * hidden))
            nn.init.zeros_(stage.bias)  # type: ignore[arg-type]
        self.head = nn.Linear(hidden, bands)

    def forward(self, code: Tensor, lengths: Tensor) -> Tensor:
        require_given("SpectrumDecoder", "numbers a step", self.inputs, code.shape[2])
        places = -(-lengths // 2 ** len(self.stages))
        x = _only(code.transpose(1, 2), places)  # (B, Z, T')
        x = _only(nn.functional.gelu(self.first(x)), places)
        for left, stage in zip(range(len(self.stages) - 1, -1, -1), self.stages):
            x = _only(nn.functional.gelu(stage(x)), -(-lengths // 2**left))
        x = x + nn.functional.gelu(self.last(x))
        return _only(self.head(x.transpose(1, 2)).transpose(1, 2), lengths).transpose(1, 2)


def _convolution(inputs: int, outputs: int, stride: int) -> nn.Conv1d:
    layer = nn.Conv1d(inputs, outputs, 5, stride, padding=2)
    nn.init.normal_(layer.weight, std=GELU / math.sqrt(5 * inputs))
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def _only(x: Tensor, lengths: Tensor) -> Tensor:
    """(B, C, T) with zeros from the lengths on."""
    return x.masked_fill(~within(lengths, x.shape[2]).unsqueeze(1), 0.0)


def _levelled(x: Tensor, lengths: Tensor) -> Tensor:
    """Each channel at mean 0 and deviation 1 over its real steps: (B, C, T) with zeros beyond them."""
    count = lengths.clamp(min=1).view(-1, 1, 1)
    away = _only(x - x.sum(2, keepdim=True) / count, lengths)
    return away * torch.rsqrt(away.square().sum(2, keepdim=True) / count + 1e-5)
