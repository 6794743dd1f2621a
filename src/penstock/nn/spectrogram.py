"""Sounds as pictures: how loud each band of frequencies is at each moment."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

FLOOR = 1e-5
"""Added to the power of each band before the logarithm; the loudness of a sound is 1."""


@final
@dataclass(frozen=True, kw_only=True)
class LogMel:
    """Log-mel spectrograms of waveforms with `rate` samples a second: M = `bands` numbers for each frame.

    A frame is `window` seconds long and there is one every `hop` seconds, the first about the first sample. The bands
    are triangles that overlap by half, evenly spaced on the mel scale between the frequencies `low` and `high`, which
    is half of the rate if it is not given (Davis and Mermelstein 1980, section 2; the scale is
    2595 log10(1 + f / 700), O'Shaughnessy 1987). Every waveform is brought to a mean power of 1 first: how loud it was
    recorded makes no difference.
    """

    rate: int
    bands: int = 64
    window: float = 0.025
    hop: float = 0.01
    low: float = 50.0
    high: float | None = None

    def frames(self, lengths: Tensor) -> Tensor:
        """How many frames waveforms of `lengths` samples have, (B,) to (B,)."""
        return 1 + lengths // self._hop

    def __call__(self, audio: Tensor, lengths: Tensor) -> Tensor:
        """(B, S) float32 with zeros from `lengths` (B,) on, to (B, T, M); frames beyond `frames` mean nothing."""
        power = audio.square().sum(1) / lengths.clamp(min=1)  # (B,)
        level = audio * power.clamp(min=1e-12).rsqrt().unsqueeze(1)
        points = 1 << (self._window - 1).bit_length()
        shape = torch.hann_window(self._window, device=audio.device)
        # zeros at both ends, never mirrored sound: a frame must not depend on what else is in the batch
        padded = F.pad(level, (points // 2, points // 2))
        spectrum = torch.stft(
            padded, points, self._hop, self._window, shape, center=False, return_complex=True
        )  # (B, F, T)
        energy = spectrum.real.square() + spectrum.imag.square()
        bank = mel_bank(self.bands, points, self.rate, self.low, self.high or self.rate / 2, audio.device)
        return torch.log(energy.transpose(1, 2) @ bank / shape.square().sum() + FLOOR)

    @property
    def _hop(self) -> int:
        return max(round(self.hop * self.rate), 1)

    @property
    def _window(self) -> int:
        return max(round(self.window * self.rate), 2)


def mel(frequency: Tensor) -> Tensor:
    """Hertz to mel."""
    return 2595 * torch.log10(1 + frequency / 700)


def hertz(mels: Tensor) -> Tensor:
    """Mel to hertz."""
    return 700 * (10 ** (mels / 2595) - 1)


@cache
def mel_bank(bands: int, points: int, rate: int, low: float, high: float, device: torch.device) -> Tensor:
    """The weight of each frequency of the transform in each band, (F, M); a band's weights add up to 1.

    A band narrower than the distance of two frequencies takes what lies between its nearest two.
    """
    first, last = mel(torch.tensor([low, high], dtype=torch.float64)).tolist()
    edges = hertz(torch.linspace(first, last, bands + 2, dtype=torch.float64))  # (M + 2,)
    step = rate / points
    left, middle, right = edges[:-2], edges[1:-1], edges[2:]
    left, right = torch.minimum(left, middle - step), torch.maximum(right, middle + step)
    frequency = (torch.arange(points // 2 + 1, dtype=torch.float64) * step).unsqueeze(1)  # (F, 1)
    rise, fall = (frequency - left) / (middle - left), (right - frequency) / (right - middle)
    weights = torch.minimum(rise, fall).clamp(min=0)
    return (weights / weights.sum(0)).to(torch.float32).to(device)
