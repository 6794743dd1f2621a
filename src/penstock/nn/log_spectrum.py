"""Sounds as pictures that can be made into sounds again. B batch, S samples, T time, M bands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from penstock.nn.griffin_lim import Spectrum

FLOOR = 1e-3
"""Added to the magnitudes, of a sound of loudness 1, before the logarithm: what is weaker is silence."""


@final
@dataclass(frozen=True, kw_only=True)
class LogSpectrum:
    """Logarithms of the magnitudes of a waveform of `rate` samples a second: M frequencies, evenly spaced.

    Every waveform is brought to a mean power of 1 first, so that how loud it was recorded makes no difference.
    """

    rate: int
    points: int
    hop: int

    @classmethod
    def usual(cls, rate: int) -> LogSpectrum:
        """With windows of about 32 ms, a power of 2 of samples, a quarter of one apart."""
        points = 1 << max(round(0.032 * rate).bit_length() - 1, 4)
        points = points * 2 if points * 1.42 < 0.032 * rate else points
        return cls(rate=rate, points=points, hop=points // 4)

    @property
    def bands(self) -> int:
        """M."""
        return self._spectrum.frequencies

    def frames(self, lengths: Tensor) -> Tensor:
        """How many frames waveforms of `lengths` samples have, (B,) to (B,)."""
        return self._spectrum.frames(lengths)

    def __call__(self, audio: Tensor, lengths: Tensor) -> Tensor:
        """(B, S) float32 with zeros from `lengths` (B,) on, to (B, T, M); frames beyond `frames` mean nothing."""
        power = audio.square().sum(1) / lengths.clamp(min=1)  # (B,)
        level = audio * power.clamp(min=1e-12).rsqrt().unsqueeze(1)
        return torch.log(self._spectrum.magnitude(level) + FLOOR)

    def audio(self, bands: Tensor, *, samples: int, loudness: float, seed: int = 0, rounds: int = 64) -> Tensor:
        """The way back, for one sound: (T, M) to (samples,), of the given root mean square; see `Spectrum.audio`."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            magnitude = (bands.float().cpu().exp() - FLOOR).clamp(min=0)[None]
            wave = self._spectrum.audio(magnitude, samples=samples, rounds=rounds)[0]
        return wave * (loudness / wave.square().mean().sqrt().clamp(min=1e-6))

    @property
    def _spectrum(self) -> Spectrum:
        return Spectrum(points=self.points, hop=self.hop)
