"""Decoders that are told a class besides the code: two buzzes of different pitch that say the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from penstock.core.batch import Batch
from penstock.core.errors import DataError, RecipeError
from penstock.data.opened import ReadOptions, SoundData
from penstock.data.opening import open_data
from penstock.kinds.told import TOLD
from penstock.recipes.job import Supplied
from penstock.recipes.reconstruct import Reconstruct
from penstock.recipes.reconstructing import Reconstructing
from penstock.run.execute import make_engine

RATE = 2000
PITCHES = {"low": 150, "高": 400}


def write_voices(folder: Path, count: int = 12) -> Path:
    """Sounds of a quarter of a second, swelling at one of three moments."""
    random = np.random.default_rng(0)
    time = np.arange(RATE // 4) / RATE
    for name, pitch in PITCHES.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            moment = 0.05 + 0.07 * (number % 3)
            swell = np.exp(-(((time - moment) / 0.03) ** 2))
            wave = swell * np.sin(2 * np.pi * pitch * time + random.uniform(0, 6)) + random.normal(0, 0.01, len(time))
            soundfile.write(folder / name / f"{number}.wav", wave * 0.3, RATE)
    return folder


def trained(folder: Path, **changes: Any) -> Reconstructing:
    """After a short training."""
    settings = {"data": str(folder), "told": "speaker", "steps": 60, "batch_size": 8, "compile": "off"}
    recipe = Reconstruct.parse({**settings, "net": {"width": 16, "code": 4}, "optim": {"lr": 0.01}, **changes})
    job = recipe.build(Supplied())
    make_engine(job).run()
    assert isinstance(job.trained, Reconstructing)
    job.judge(job.trained.evaluate(job.held_out["test"]), "test")
    return job.trained


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_voices(tmp_path_factory.mktemp("voices") / "wavs")


@pytest.fixture(scope="module")
def voices(folder: Path) -> Reconstructing:
    return trained(folder)


def share_of(wave: np.ndarray, pitch: int) -> float:
    """Of the energy of a sound, what lies about a pitch."""
    energy = np.abs(np.fft.rfft(wave)) ** 2
    near = np.abs(np.fft.rfftfreq(len(wave), 1 / RATE) - pitch) < 60
    return float(energy[near].sum() / energy.sum())


def test_the_voice_changes_and_what_it_says_does_not(voices: Reconstructing, folder: Path) -> None:
    for number in (0, 2):
        given = [folder / "low" / f"{number}.wav"]
        ((other,), (same,)) = (voices.reconstruct(given, told=f"speaker={name}").array for name in ("高", "low"))
        assert share_of(other, 400) > 0.7
        assert share_of(same, 150) > 0.7
        moment = np.abs(other).argmax() / RATE
        assert moment == pytest.approx(0.05 + 0.07 * (number % 3), abs=0.05)


def test_who_speaks_is_found_where_nobody_says_it(voices: Reconstructing, folder: Path) -> None:
    _, source = voices._read([folder / "low", folder / "高"], 8)
    found = torch.cat([batch[TOLD] for batch in voices.moved(source)])
    assert found.tolist() == [0] * 12 + [1] * 12
    ((first,), (second,)) = (
        voices.reconstruct([folder / "高" / "1.wav"], told=told).array for told in (None, "speaker=高")
    )
    np.testing.assert_array_equal(first, second)


def test_what_was_told_travels_with_the_model(voices: Reconstructing, folder: Path, tmp_path: Path) -> None:
    voices.save(tmp_path)
    recipe = Reconstruct.parse({"data": str(folder), "told": "speaker", "net": {"width": 16, "code": 4}})
    loaded = recipe.load(tmp_path)
    assert isinstance(loaded, Reconstructing)
    assert loaded.answer.told == voices.answer.told
    given = [folder / "low" / "0.wav"]
    before, after = (one.reconstruct(given, told="speaker=高").array for one in (voices, loaded))
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_who_is_not_known_is_named(voices: Reconstructing, folder: Path) -> None:
    given = [folder / "low" / "0.wav"]
    with pytest.raises(RecipeError, match="told: the model knows no speaker 'lew'; did you mean 'low'"):
        voices.reconstruct(given, told="speaker=lew")
    with pytest.raises(RecipeError, match="told: 'voice=low' is not about 'speaker'; write speaker=low"):
        voices.reconstruct(given, told="voice=low")
    with pytest.raises(DataError, match="fewer than two classes"):
        trained(folder, only=["speaker=low"])


def test_a_decoder_that_is_told_nothing(folder: Path) -> None:
    plain = trained(folder, told=None, steps=1)
    with pytest.raises(RecipeError, match="told nothing but the code; leave it out, or train with --told COLUMN"):
        plain.reconstruct([folder / "low" / "0.wav"], told="speaker=low")


@pytest.mark.parametrize("method", ["plain", "denoising", "variational", "quantised"])
def test_every_method_may_tell_its_decoder(method: str, folder: Path) -> None:
    found = trained(folder, method=method, steps=2)
    assert len(found.reconstruct([folder / "low"], told="speaker=高").array) == 12
    assert len(found.between(folder / "low" / "0.wav", folder / "高" / "0.wav", 3).array) == 3


@pytest.mark.parametrize("model", ["conv", "dense"])
def test_pictures_are_drawn_of_a_class(model: str) -> None:
    settings = {"data": "digits", "told": "class", "method": "variational", "model": model, "steps": 2}
    job = Reconstruct.parse({**settings, "batch_size": 16, "compile": "off"}).build(Supplied())
    make_engine(job).run()
    assert isinstance(job.trained, Reconstructing)
    in_turn, threes = job.trained.sample(10).array, job.trained.sample(10, label="class=3").array
    np.testing.assert_array_equal(in_turn[3], threes[3])
    assert (in_turn != threes).any()
    batch = next(iter(job.trained.moved([Batch(image=torch.rand(5, 1, 8, 8))])))
    assert batch[TOLD].shape == (5,)


def test_labels_of_sounds_may_be_chosen(shared_sets: Path) -> None:
    found = open_data("free-spoken-digit-dataset", ReadOptions())
    assert isinstance(found, SoundData)
    assert found.choices == ["digit", "speaker"]
    assert found.labelled("speaker").labels.nunique() == 6
    with pytest.raises(RecipeError, match=r"target: there is no column 'speeker' .* did you mean 'speaker'"):
        found.labelled("speeker")
