"""Sound from magnitudes: known signals come back."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from penstock.core.errors import RecipeError
from penstock.nn.griffin_lim import Spectrum

RATE = 8000


def tones(samples: int = 3000) -> Tensor:
    """A chord with an envelope, and a glide: (2, S)."""
    t = torch.arange(samples, dtype=torch.float64) / RATE
    envelope = torch.sin(torch.pi * t * RATE / samples).square()
    chord = sum((2 * torch.pi * f * t).sin() for f in (220, 440, 1330)) * envelope
    glide = (2 * torch.pi * (300 * t + 1500 * t.square())).sin() * envelope
    return torch.stack([chord, glide])


def convergence(spectrum: Spectrum, audio: Tensor, wanted: Tensor) -> Tensor:
    """Spectral convergence, (B,): how far the magnitudes are from those wanted."""
    return (spectrum.magnitude(audio) - wanted).norm(dim=(1, 2)) / wanted.norm(dim=(1, 2))


def test_magnitudes_are_those_of_the_definition() -> None:
    spectrum, audio = Spectrum(points=32, hop=8), torch.randn(1, 100, dtype=torch.float64)
    found = spectrum.magnitude(audio)
    assert found.shape == (1, int(spectrum.frames(torch.tensor([100]))), spectrum.frequencies) == (1, 13, 17)
    padded = torch.cat([torch.zeros(16), audio[0], torch.zeros(16)])
    window = 0.5 - 0.5 * torch.cos(2 * torch.pi * torch.arange(32, dtype=torch.float64) / 32)
    wave = torch.exp(-2j * torch.pi * torch.outer(torch.arange(17), torch.arange(32)).double() / 32)
    for t in range(13):
        expected = (wave @ (padded[8 * t : 8 * t + 32] * window).to(torch.complex128)).abs()
        torch.testing.assert_close(found[0, t], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("points", "hop"), [(256, 64), (200, 50)])
def test_a_known_signal_comes_back(points: int, hop: int) -> None:
    torch.manual_seed(0)
    spectrum, audio = Spectrum(points=points, hop=hop), tones()
    wanted = spectrum.magnitude(audio)
    found = [
        convergence(spectrum, spectrum.audio(wanted, samples=3000, rounds=rounds), wanted) for rounds in (0, 8, 100)
    ]
    assert (found[0] > 0.3).all()
    assert (found[1] < found[0]).all()
    assert (found[2] < 0.05).all()  # - 26 dB


def test_without_momentum_every_round_is_nearer() -> None:
    spectrum, audio = Spectrum(points=128, hop=32), tones(1500)
    wanted, found = spectrum.magnitude(audio), []
    for rounds in range(6):
        torch.manual_seed(0)
        found.append(convergence(spectrum, spectrum.audio(wanted, samples=1500, rounds=rounds, momentum=0.0), wanted))
    assert (torch.stack(found).diff(dim=0) < 0).all()  # Griffin and Lim 1984, section III: it never grows


def test_single_precision_silence_and_length() -> None:
    spectrum = Spectrum(points=64, hop=16)
    with pytest.raises(RecipeError, match="19 frames for 300 samples and was given 20"):
        spectrum.audio(torch.zeros(3, 20, spectrum.frequencies), samples=300)
    silent = spectrum.audio(torch.zeros(3, 19, spectrum.frequencies), samples=300)
    assert silent.shape == (3, 300)
    assert silent.dtype == torch.float32
    assert not silent.any()


@pytest.mark.parametrize(("points", "hop"), [(64, 33), (64, 0)])
def test_hops_that_leave_gaps_are_refused(points: int, hop: int) -> None:
    with pytest.raises(RecipeError, match="at most half the window"):
        Spectrum(points=points, hop=hop)
