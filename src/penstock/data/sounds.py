"""Sounds on their way into a model: varied, made into spectrograms, scaled, masked. All but the variation travels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.random import derive, keyed_uniform
from penstock.data.examples import Examples
from penstock.data.ragged import LENGTH
from penstock.nn.log_spectrum import LogSpectrum
from penstock.nn.spectrogram import LogMel
from penstock.nn.steps import within

AUDIO = "audio"
Spectrogram = LogMel | LogSpectrum
"""How sounds are seen: as they are heard, or so that they can be made again."""


@dataclass(frozen=True)
class BandScaling:
    """Each band to mean 0 and standard deviation 1, by the statistics of the training split."""

    mean: Sequence[float]
    std: Sequence[float]

    @classmethod
    def fit(cls, examples: Examples, indices: Tensor, spectrogram: Spectrogram, limit: int = 2_000) -> BandScaling:
        """From at most `limit` training examples, evenly spaced."""
        chosen = indices[:: max(-(-len(indices) // limit), 1)]
        count, total, squares = 0, torch.zeros(()), torch.zeros(())
        for _, batch in examples.stream(torch.split(chosen, 32)):
            lengths = batch[AUDIO + LENGTH]
            bands = spectrogram(batch[AUDIO], lengths)  # (B, T, M)
            real = bands[within(spectrogram.frames(lengths), bands.shape[1])].cpu().double()
            count += len(real)
            total, squares = total + real.sum(0), squares + real.square().sum(0)
        mean = total / count
        std = (squares / count - mean.square()).clamp(min=0).sqrt()
        return cls(mean.tolist(), [value if value > 1e-3 else 1.0 for value in std.tolist()])

    def __call__(self, bands: Tensor) -> Tensor:
        """(B, T, M) to the same shape."""
        mean, std = (torch.tensor(values, device=bands.device) for values in (self.mean, self.std))
        return (bands - mean) / std

    def back(self, scaled: Tensor) -> Tensor:
        """The reverse, (..., M)."""
        mean, std = (torch.tensor(values, device=scaled.device) for values in (self.mean, self.std))
        return scaled * std + mean

    def to_json(self) -> dict[str, Any]:
        """For the model's folder."""
        return {"mean": list(self.mean), "std": list(self.std)}


@dataclass(frozen=True)
class Vary:
    """How sounds are varied in training, differently for each (seed, example) and for nothing else.

    `noise`: white noise is added to every other sound, at a signal-to-noise ratio drawn between `noise` and
    `noise` + 30 dB; None: never. `speed`: played faster or slower by up to this share, which also moves its pitch.
    `masks` stretches of time, each up to `mask_time` of the sound, and as many of the bands, each up to `mask_bands` of
    them, are hidden in the spectrogram (Park et al. 2019, "SpecAugment", section 2).
    """

    noise: float | None = 10.0
    speed: float = 0.1
    masks: int = 2
    mask_time: float = 0.1
    mask_bands: float = 0.15

    def waveform(self, audio: Tensor, lengths: Tensor, indices: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Waveforms (B, S) and their lengths (B,) in samples, played at another speed and with noise."""
        draws = keyed_uniform(derive(seed, "waveform"), indices, 3).to(audio.device)  # (B, 3)
        if self.speed:
            audio, lengths = _played(audio, lengths, 1 + self.speed * (2 * draws[:, 0] - 1))
        if self.noise is not None:
            ratio = torch.where(draws[:, 1] < 0.5, self.noise + 30 * draws[:, 2], torch.inf)  # dB, (B,)
            audio = audio + _noise(audio, lengths, ratio, indices, derive(seed, "noise"))
        return audio, lengths

    def mask(self, bands: Tensor, frames: Tensor, indices: Tensor, seed: int) -> Tensor:
        """Scaled spectrograms (B, T, M) with stretches of time and of bands at their mean, 0."""
        if not self.masks:
            return bands
        draws = keyed_uniform(derive(seed, "mask"), indices, 4 * self.masks).to(bands.device)
        width, start, tall, low = draws.view(-1, 4, self.masks).unbind(1)  # (B, masks) each
        time = _stretches(start, width * self.mask_time, frames.unsqueeze(1), bands.shape[1])  # (B, T)
        band = _stretches(low, tall * self.mask_bands, torch.full_like(frames, bands.shape[2])[:, None], bands.shape[2])
        return bands.masked_fill(time.unsqueeze(2) | band.unsqueeze(1), 0.0)


@dataclass(frozen=True)
class SoundTransform:
    """What a source does to a batch of waveforms: vary (training only), then to scaled log-mel spectrograms."""

    spectrogram: Spectrogram
    scaling: BandScaling
    vary: Vary | None = None

    def __call__(self, batch: Batch, indices: Tensor, seed: int) -> Batch:
        """The batch with "audio" (B, T, M) and "audio_length" (B,) in frames."""
        audio, lengths = batch[AUDIO], batch[AUDIO + LENGTH]
        if self.vary is not None:
            audio, lengths = self.vary.waveform(audio, lengths, indices, seed)
        frames = self.spectrogram.frames(lengths)
        bands = self.scaling(self.spectrogram(audio, lengths))
        if self.vary is not None:
            bands = self.vary.mask(bands, frames, indices, seed)
        bands = bands.masked_fill(~within(frames, bands.shape[1]).unsqueeze(2), 0.0)
        return Batch(batch, **{AUDIO: bands, AUDIO + LENGTH: frames})

    def to_json(self) -> dict[str, Any]:
        """All but the variation."""
        return {"spectrogram": asdict(self.spectrogram), "scaling": self.scaling.to_json()}


def _played(audio: Tensor, lengths: Tensor, speed: Tensor) -> tuple[Tensor, Tensor]:
    """Each waveform at `speed` (B,) times its own, between its samples by straight lines."""
    shorter = (lengths / speed).long().clamp(min=1)
    place = torch.arange(int(shorter.max()), device=audio.device) * speed.unsqueeze(1)  # (B, S')
    before = place.long().clamp(max=audio.shape[1] - 1)
    after = (before + 1).clamp(max=audio.shape[1] - 1)
    found = torch.lerp(audio.gather(1, before), audio.gather(1, after), place - before)
    return found * within(shorter, found.shape[1]), shorter


def _noise(audio: Tensor, lengths: Tensor, ratio: Tensor, indices: Tensor, seed: int) -> Tensor:
    """White noise within each waveform, weaker than it by `ratio` (B,) dB."""
    keys = indices.unsqueeze(1) * (1 << 32) + torch.arange(audio.shape[1], device=indices.device)
    noise = keyed_uniform(seed, keys.flatten(), 1).view(keys.shape).to(audio.device) * 2 - 1  # its power is 1 / 3
    power = audio.square().sum(1) / lengths.clamp(min=1)
    scale = (3 * power * 10 ** (-ratio / 10)).sqrt()  # (B,)
    return noise * scale.unsqueeze(1) * within(lengths, audio.shape[1])


def _stretches(start: Tensor, share: Tensor, whole: Tensor, steps: int) -> Tensor:
    """Which of `steps` steps lie in any of some stretches: (B, masks) shares of `whole` (B, 1) steps, to (B, steps)."""
    width = (share * whole).round()
    first = (start * (whole - width + 1)).floor().unsqueeze(2)  # (B, masks, 1)
    step = torch.arange(steps, device=start.device)
    return ((step >= first) & (step < first + width.unsqueeze(2))).any(1)
