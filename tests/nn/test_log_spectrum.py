"""Spectrograms there and back, against numpy's transform and against the sounds themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from penstock.nn.log_spectrum import LogSpectrum
from penstock.nn.spectrogram import FLOOR, mel_bank
from penstock.nn.steps import within

USUAL = LogSpectrum.usual(8000)


def voice(pitch: float, samples: int = 3200) -> torch.Tensor:
    """A buzz with two formants, which glides."""
    time = torch.arange(samples) / 8000
    phase = 2 * math.pi * pitch * (time + 0.2 * time.square())
    formants = [
        math.exp(-(((k * pitch - 600) / 250) ** 2)) + 0.3 * math.exp(-(((k * pitch - 1900) / 400) ** 2))
        for k in range(1, 30)
    ]
    waves = [weight * torch.sin(k * phase) for k, weight in enumerate(formants, 1)]
    return torch.stack(waves).sum(0) * 0.05


@pytest.mark.parametrize(
    ("rate", "points", "bands"), [(2000, 64, 33), (8000, 256, 80), (16000, 512, 80), (11025, 256, 80)]
)
def test_windows_of_about_32_ms(rate: int, points: int, bands: int) -> None:
    found = LogSpectrum.usual(rate)
    assert (found.points, found.hop, found.bands) == (points, points // 4, bands)


def test_bands_are_sums_of_squared_magnitudes() -> None:
    wave = voice(130.0)
    level = (wave / wave.square().mean().sqrt()).double().numpy()
    frame = 20  # about sample 20 * 64, whole within the sound
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(256) / 256)
    energy = np.abs(np.fft.rfft(level[frame * 64 - 128 : frame * 64 + 128] * window)) ** 2
    bank = mel_bank(80, 256, 8000, 0.0, 4000, torch.device("cpu")).numpy()
    expected = np.log(energy @ bank / (window**2).sum() + FLOOR)
    found = USUAL(wave[None], torch.tensor([3200]))[0, frame]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-4)


def test_magnitudes_have_the_bands_that_were_asked_for() -> None:
    bands = USUAL(voice(130.0)[None], torch.tensor([3200]))[0]
    energy = USUAL.magnitude(bands).square()
    again = torch.log(energy @ mel_bank(80, 256, 8000, 0.0, 4000, torch.device("cpu")) / 96 + FLOOR)
    assert (energy >= 0).all()
    assert float((again - bands).abs().mean()) < 0.1


def test_there_and_back() -> None:
    wave = voice(130.0)
    bands = USUAL(wave[None], torch.tensor([3200]))
    back = USUAL.audio(bands[0], samples=3200, loudness=0.07)
    assert float(back.square().mean().sqrt()) == pytest.approx(0.07, rel=1e-4)
    loud = bands > math.log(1e-2)
    away = (USUAL(back[None], torch.tensor([3200])) - bands)[loud]
    assert float(away.abs().mean()) < 0.3
    other = (USUAL(voice(190.0)[None], torch.tensor([3200])) - bands)[loud]
    assert float(other.abs().mean()) > 1


def test_loudness_and_what_else_is_in_the_batch_make_no_difference() -> None:
    wave = voice(130.0).double()
    alone = USUAL(wave[None], torch.tensor([3200]))
    longer = torch.zeros(2, 5000, dtype=torch.float64)
    longer[0, :3200], longer[1] = 3 * wave, 1.0
    frames = USUAL.frames(torch.tensor([3200]))
    found = USUAL(longer, torch.tensor([3200, 5000]))[:1, : alone.shape[1]]
    real = within(frames, alone.shape[1])
    torch.testing.assert_close(found[real], alone[real], rtol=1e-9, atol=1e-9)


def test_the_same_sound_each_time_and_no_number_drawn() -> None:
    bands = USUAL(voice(130.0)[None], torch.tensor([3200]))[0]
    before = torch.random.get_rng_state()
    first = USUAL.audio(bands, samples=3200, loudness=0.1, rounds=2)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first, USUAL.audio(bands, samples=3200, loudness=0.1, rounds=2))
    assert not torch.equal(first, USUAL.audio(bands, samples=3200, loudness=0.1, rounds=2, seed=1))
