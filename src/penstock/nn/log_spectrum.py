"""Sounds as pictures that can be made into sounds again. B batch, S samples, T time, M bands, F frequencies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from penstock.nn.griffin_lim import Spectrum
from penstock.nn.spectrogram import FLOOR, mel_bank

BANDS = 80
"""As many as speech is usually made of; fewer where there are not so many frequencies."""
TRIES = 100
"""Rounds in which frequencies are found for the bands."""


@final
@dataclass(frozen=True, kw_only=True)
class LogSpectrum:
    """Log-mel spectrograms (B, T, M), as `LogMel` has them, of windows from whose magnitudes a sound can be made.

    The mel scale leaves out what is heard least, the fine structure of high frequencies, in which noise would take up
    most of a code. Every waveform is brought to a mean power of 1 first, so that how loud it was recorded makes no
    difference.
    """

    rate: int
    points: int
    hop: int
    bands: int

    @classmethod
    def usual(cls, rate: int) -> LogSpectrum:
        """With windows of about 32 ms, a power of 2 of samples, a quarter of one apart."""
        points = 1 << max(round(0.032 * rate).bit_length() - 1, 4)
        points = points * 2 if points * 1.42 < 0.032 * rate else points
        return cls(rate=rate, points=points, hop=points // 4, bands=min(BANDS, points // 2 + 1))

    def frames(self, lengths: Tensor) -> Tensor:
        """How many frames waveforms of `lengths` samples have, (B,) to (B,)."""
        return self._spectrum.frames(lengths)

    def __call__(self, audio: Tensor, lengths: Tensor) -> Tensor:
        """(B, S) float32 with zeros from `lengths` (B,) on, to (B, T, M); frames beyond `frames` mean nothing."""
        power = audio.square().sum(1) / lengths.clamp(min=1)  # (B,)
        level = audio * power.clamp(min=1e-12).rsqrt().unsqueeze(1)
        energy = self._spectrum.magnitude(level).square()  # (B, T, F)
        return torch.log(energy @ self._bank(energy) / self._window + FLOOR)

    def magnitude(self, bands: Tensor) -> Tensor:
        """What a spectrum with these bands may be: (..., T, M) to (..., T, F).

        Of the energies that are nowhere negative, those whose bands are nearest, by the multiplicative updates of Lee
        and Seung 2001, "Algorithms for non-negative matrix factorization", theorem 1, with the bank held fixed.
        """
        bank = self._bank(bands)  # (F, M)
        wanted = (bands.exp() - FLOOR).clamp(min=0) * self._window
        toward, mixed = wanted @ bank.T, bank @ bank.T
        energy = toward.clone()
        for _ in range(TRIES):
            energy = energy * toward / (energy @ mixed).clamp(min=torch.finfo(bands.dtype).tiny)
        return energy.sqrt()

    def audio(self, bands: Tensor, *, samples: int, loudness: float, seed: int = 0, rounds: int = 64) -> Tensor:
        """The way back, for one sound: (T, M) to (samples,), of the given root mean square; see `Spectrum.audio`."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            magnitude = self.magnitude(bands.float().cpu())[None]
            wave = self._spectrum.audio(magnitude, samples=samples, rounds=rounds)[0]
        return wave * (loudness / wave.square().mean().sqrt().clamp(min=1e-6))

    def _bank(self, like: Tensor) -> Tensor:
        return mel_bank(self.bands, self.points, self.rate, 0.0, self.rate / 2, like.device).to(like.dtype)

    @property
    def _window(self) -> float:
        """The energy of the window: the sum of the squares of Hann's, 3 / 8 of its points."""
        return 0.375 * self.points

    @property
    def _spectrum(self) -> Spectrum:
        return Spectrum(points=self.points, hop=self.hop)
