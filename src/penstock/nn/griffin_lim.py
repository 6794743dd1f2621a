"""Sound from the magnitudes of its short-time spectrum. B batch, S samples, F frequencies, T frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from penstock.core.errors import RecipeError
from penstock.nn.sizes import require_given


@final
@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """Short-time Fourier transforms of `points` samples under a Hann window, one every `hop` samples.

    A frame is centred on its sample; what lies before the first and after the last sample is silence.
    """

    points: int = 256
    hop: int = 64

    def __post_init__(self) -> None:
        if not 2 <= 2 * self.hop <= self.points:
            problem = f"a hop of {self.hop} samples does not go with windows of {self.points}"
            raise RecipeError("Spectrum", problem, "give a hop of at most half the window")

    @property
    def frequencies(self) -> int:
        """F, from 0 to half the rate."""
        return self.points // 2 + 1

    def frames(self, samples: Tensor) -> Tensor:
        """How many frames waveforms of so many samples have, (B,) to (B,)."""
        return 1 + samples // self.hop

    def magnitude(self, audio: Tensor) -> Tensor:
        """(B, S) to (B, T, F)."""
        return self._forward(audio).abs().transpose(1, 2)

    def audio(self, magnitude: Tensor, *, samples: int, rounds: int = 32, momentum: float = 0.99) -> Tensor:
        """Waveforms (B, samples) whose magnitudes are near those given, (B, T, F); the phases start at random.

        Each round takes the nearest spectrum that a waveform has, and puts the magnitudes back (Griffin and Lim 1984,
        "Signal estimation from modified short-time Fourier transform", section III), with the momentum of Perraudin et
        al. 2013, "A fast Griffin-Lim algorithm". The numbers are drawn from torch's global generator.
        """
        require_given("Spectrum", f"frames for {samples} samples", 1 + samples // self.hop, magnitude.shape[1])
        wanted = magnitude.transpose(1, 2).clamp(min=0)  # (B, F, T)
        spectrum = torch.polar(wanted, torch.rand_like(wanted) * 2 * torch.pi)
        before = torch.zeros_like(spectrum)
        for _ in range(rounds):
            nearest = self._forward(self._backward(spectrum, samples))
            ahead = nearest + momentum * (nearest - before)
            spectrum = wanted * ahead / ahead.abs().clamp(min=torch.finfo(wanted.dtype).tiny)
            before = nearest
        return self._backward(spectrum, samples)

    def _forward(self, audio: Tensor) -> Tensor:
        window = torch.hann_window(self.points, dtype=audio.dtype, device=audio.device)
        return torch.stft(audio, self.points, self.hop, window=window, pad_mode="constant", return_complex=True)

    def _backward(self, spectrum: Tensor, samples: int) -> Tensor:
        window = torch.hann_window(self.points, dtype=spectrum.real.dtype, device=spectrum.device)
        return torch.istft(spectrum, self.points, self.hop, window=window, length=samples)
