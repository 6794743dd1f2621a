"""Sounds on their way into a model: varied by (seed, example) alone, noise as loud as it says, padding at zero."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from penstock.core.batch import Batch
from penstock.data.examples import InMemory
from penstock.data.ragged import Ragged
from penstock.data.sounds import BandScaling, SoundTransform, Vary
from penstock.nn.spectrogram import LogMel
from penstock.nn.steps import within

MEL = LogMel(rate=2000, bands=8)
SIZES = (900, 1500, 1200, 600, 1000, 1100)
SOUNDS = InMemory({"audio": Ragged.of([torch.randn(n, generator=torch.Generator().manual_seed(n)) for n in SIZES])})
ROWS = torch.arange(len(SIZES))


def scaling() -> BandScaling:
    return BandScaling.fit(SOUNDS, ROWS, MEL)


def test_scaled_bands_have_mean_0_and_deviation_1() -> None:
    batch = SoundTransform(MEL, scaling())(SOUNDS[ROWS], ROWS, 0)
    real = batch["audio"][within(batch["audio_length"], batch["audio"].shape[1])]
    torch.testing.assert_close(real.mean(0), torch.zeros(8), atol=1e-4, rtol=0)
    torch.testing.assert_close(real.std(0, correction=0), torch.ones(8), atol=1e-4, rtol=0)
    assert batch["audio_length"].tolist() == [1 + n // 20 for n in SIZES]


@pytest.mark.parametrize("vary", [None, Vary(), Vary(noise=None, speed=0.0), Vary(masks=0)])
def test_a_sound_does_not_depend_on_its_batch(vary: Vary | None) -> None:
    transform = SoundTransform(MEL, scaling(), vary)
    whole = transform(SOUNDS[ROWS], ROWS, 7)
    for row in ROWS.tolist():
        alone = transform(SOUNDS[ROWS[row : row + 1]], ROWS[row : row + 1], 7)
        frames = int(alone["audio_length"])
        assert frames == whole["audio_length"][row]
        torch.testing.assert_close(whole["audio"][row, :frames], alone["audio"][0], rtol=1e-4, atol=1e-4)
        assert (whole["audio"][row, frames:] == 0).all()


def test_it_differs_by_seed_and_by_example() -> None:
    audio = torch.randn(1, 1000).expand(2, -1)
    batch = Batch(audio=audio, audio_length=torch.tensor([1000, 1000]))
    transform = SoundTransform(MEL, scaling(), Vary(speed=0.0, noise=0.0))
    first = transform(batch, torch.tensor([0, 1]), 1)["audio"]
    again = transform(batch, torch.tensor([0, 1]), 1)["audio"]
    other = transform(batch, torch.tensor([0, 1]), 2)["audio"]
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first[0], first[1])


def added(vary: Vary, count: int = 400) -> tuple[Tensor, Tensor]:
    """Signal-to-noise ratios in dB of those sounds that got noise, and how many did."""
    time = torch.arange(1000) / 2000
    audio = torch.sin(2 * math.pi * 300 * time).expand(count, -1)
    lengths = torch.full((count,), 800)
    audio = audio * within(lengths, 1000)
    found, _ = vary.waveform(audio, lengths, torch.arange(count), 3)
    noise = (found - audio)[:, :800].square().mean(1)
    assert ((found - audio)[:, 800:] == 0).all()
    return 10 * torch.log10(0.5 / noise[noise > 0]), noise > 0


def test_noise_is_as_loud_as_it_says() -> None:
    ratio, noisy = added(Vary(noise=10.0, speed=0.0))
    assert 9.0 < ratio.min() < 13
    assert 37 < ratio.max() < 41
    assert abs(float(noisy.float().mean()) - 0.5) < 5 * math.sqrt(0.25 / 400)  # five standard errors
    assert not added(Vary(noise=None, speed=0.0))[1].any()


def test_speed_moves_pitch_and_length_together() -> None:
    time = torch.arange(2000) / 2000
    audio = torch.sin(2 * math.pi * 100 * time).expand(300, -1)
    found, lengths = Vary(noise=None, speed=0.2).waveform(audio, torch.full((300,), 2000), torch.arange(300), 1)
    speed = 2000 / lengths
    assert 0.8 <= speed.min() < 0.83
    assert 1.17 < speed.max() <= 1.21
    for row in range(0, 300, 50):
        sound = found[row, : lengths[row]]
        crossings = int((sound[1:].sign() != sound[:-1].sign()).sum())
        assert crossings == pytest.approx(200, abs=3)  # as many waves as before, in another time
        assert (found[row, lengths[row] :] == 0).all()


def test_masks_hide_stretches_of_time_and_bands() -> None:
    bands = torch.ones(200, 100, 40)
    frames = torch.full((200,), 80)
    vary = Vary(masks=1, mask_time=0.25, mask_bands=0.5)
    hidden = vary.mask(bands, frames, torch.arange(200), 5) == 0
    rows, columns = hidden.all(2).sum(1), hidden.all(1).sum(1)
    assert rows.max() <= 20
    assert rows.max() > 15
    assert columns.max() <= 20
    assert columns.max() > 15
    assert not hidden.all(2)[:, 80:].any()  # it does not hide what is padding
    assert torch.equal(Vary(masks=0).mask(bands, frames, torch.arange(200), 5), bands)
