"""Log-mel spectrograms against a sum written out, and what must not change them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from penstock.nn.spectrogram import FLOOR, LogMel, hertz, mel

MEL = LogMel(rate=2000, bands=12, window=0.03, hop=0.01)


def waveform(samples: int = 700) -> Tensor:
    return torch.randn(samples, generator=torch.Generator().manual_seed(samples))


def test_against_the_definition() -> None:
    audio = waveform()
    found = MEL(audio[None], torch.tensor([700]))[0]
    level = (audio / audio.square().mean().sqrt()).double().numpy()
    window, points, hop = 60, 64, 20
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    edges = [
        700 * (10 ** (m / 2595) - 1)
        for m in np.linspace(2595 * math.log10(1 + 50 / 700), 2595 * math.log10(1 + 1000 / 700), 14)
    ]
    for frame in (0, 3, 35):
        centre = frame * hop
        piece = [level[i] if 0 <= (i := centre - window // 2 + k) < 700 else 0.0 for k in range(window)]
        spectrum = np.abs(np.fft.rfft(np.array(piece) * hann, points)) ** 2 / (hann**2).sum()
        for band in range(12):
            left, middle, right = edges[band : band + 3]
            left, right = min(left, middle - 2000 / 64), max(right, middle + 2000 / 64)
            frequency = np.arange(33) * 2000 / 64
            weight = np.clip(
                np.minimum((frequency - left) / (middle - left), (right - frequency) / (right - middle)), 0, None
            )
            wanted = math.log((spectrum * weight).sum() / weight.sum() + FLOOR)
            assert found[frame, band].item() == pytest.approx(wanted, rel=1e-3, abs=1e-3)


def test_padding_changes_nothing() -> None:
    short, long = waveform(430), waveform(900)
    padded = torch.zeros(2, 900)
    padded[0, :430], padded[1] = short, long
    lengths = torch.tensor([430, 900])
    frames = MEL.frames(lengths)
    both = MEL(padded, lengths)
    for row, one in enumerate((short, long)):
        alone = MEL(one[None], torch.tensor([len(one)]))
        assert alone.shape == (1, int(frames[row]), 12)
        torch.testing.assert_close(both[row, : frames[row]], alone[0], rtol=1e-5, atol=1e-5)


def test_loudness_changes_nothing_and_silence_is_finite() -> None:
    audio, lengths = waveform()[None], torch.tensor([700])
    torch.testing.assert_close(MEL(1e-3 * audio, lengths), MEL(audio, lengths), rtol=1e-4, atol=1e-4)
    assert MEL(torch.zeros(1, 700), lengths).isfinite().all()


def test_a_tone_is_loudest_in_its_band() -> None:
    rate, bands = 8000, 40
    spectrogram = LogMel(rate=rate, bands=bands)
    ends = mel(torch.tensor([50.0, 4000.0]))
    centres = hertz(torch.linspace(float(ends[0]), float(ends[1]), bands + 2))[1:-1]
    for frequency in (300.0, 1000.0, 3000.0):
        audio = torch.sin(2 * math.pi * frequency * torch.arange(4000) / rate)
        loudest = spectrogram(audio[None], torch.tensor([4000]))[0, 20].argmax()
        assert int(loudest) == int((centres - frequency).abs().argmin())


def test_mel_and_back() -> None:
    frequency = torch.tensor([0.0, 440.0, 8000.0], dtype=torch.float64)
    torch.testing.assert_close(hertz(mel(frequency)), frequency)
    assert mel(torch.tensor(1000.0)).item() == pytest.approx(1000, abs=1)


def test_the_shortest_sound_has_a_frame() -> None:
    assert MEL.frames(torch.tensor([1, 19, 20, 40])).tolist() == [1, 1, 2, 3]
    assert MEL(torch.ones(1, 1), torch.tensor([1])).shape == (1, 1, 12)
