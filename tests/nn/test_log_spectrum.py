from __future__ import annotations

import pytest
import torch

from penstock.nn.log_spectrum import FLOOR, LogSpectrum


@pytest.mark.parametrize(("rate", "points"), [(2000, 64), (8000, 256), (16000, 512), (44100, 1024)])
def test_windows_of_about_32_ms(rate: int, points: int) -> None:
    seen = LogSpectrum.usual(rate)
    assert (seen.points, seen.hop, seen.bands) == (points, points // 4, points // 2 + 1)


def test_loudness_makes_no_difference_and_padding_neither() -> None:
    seen = LogSpectrum.usual(8000)
    wave = torch.sin(torch.arange(3000.0, dtype=torch.float64) / 5)[None]
    alone = seen(wave, torch.tensor([3000]))
    assert alone.shape == (1, int(seen.frames(torch.tensor([3000]))), seen.bands)
    torch.testing.assert_close(seen(wave * 0.01, torch.tensor([3000])), alone, rtol=1e-9, atol=1e-9)
    padded = seen(torch.nn.functional.pad(wave, (0, 999)), torch.tensor([3000]))
    torch.testing.assert_close(padded[:, : alone.shape[1]], alone, rtol=1e-9, atol=1e-9)


def test_a_sound_can_be_made_again() -> None:
    seen = LogSpectrum.usual(8000)
    time = torch.arange(6000.0) / 8000
    wave = 0.2 * torch.sin(2 * torch.pi * (300 * time + 200 * time**2))
    bands = seen(wave[None], torch.tensor([6000]))[0]
    state = torch.get_rng_state()
    again = seen.audio(bands, samples=6000, loudness=0.1)
    assert torch.equal(state, torch.get_rng_state())
    assert again.shape == wave.shape
    assert float(again.square().mean().sqrt()) == pytest.approx(0.1, rel=1e-4)
    back = seen(again[None], torch.tensor([6000]))[0]
    loud = bands.exp() > 100 * FLOOR
    assert float((back - bands)[loud].abs().mean()) < 0.25
