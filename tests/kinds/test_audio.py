"""Sounds as material: one rate, bad files, memory, and back from JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from penstock.core.errors import DataError, RecipeError
from penstock.data.opened import ReadOptions, SoundData, Sounds, TableData
from penstock.data.opening import open_data
from penstock.data.sounds import Vary
from penstock.kinds.audio import AudioKind, AudioMaterial, ReadSounds
from penstock.kinds.listed import listed_sounds

ROWS = np.arange(6)


def folder(where: Path, rates: tuple[int, ...] = (8000,) * 5 + (16_000,)) -> Path:
    rng = np.random.default_rng(0)
    for number, rate in enumerate(rates):
        place = where / ("嗨", "no")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        soundfile.write(place / f"{number}.wav", rng.normal(0, 0.1, rate // 4), rate)
    return where


def material(where: Path, **reading: object) -> AudioMaterial:
    data = open_data(str(where), ReadOptions())
    assert isinstance(data, SoundData)
    return AudioMaterial(data, ReadSounds(**reading), Vary())


def test_the_commonest_rate_is_that_of_all(tmp_path: Path) -> None:
    found = material(folder(tmp_path / "set"))
    kind = found.fit(ROWS)
    assert kind.spectrogram.rate == 8000
    assert found.decided == {"audio": {"rate": 8000, "bands": 64, "hop": 0.01, "masks": 2}}
    assert found.examples(kind, {}).lengths is not None
    assert found.examples(kind, {}).lengths.tolist() == [2000] * 6
    assert "rates of 8,000, 16,000" in found.facts()["notes"]["sounds"]
    assert list(found.labels) == ["no"] * 3 + ["嗨"] * 3
    assert found.show(0)["picture"].startswith("data:image/png;base64,")


def test_a_model_hears_files_folders_and_arrays_alike(tmp_path: Path) -> None:
    where = folder(tmp_path / "set")
    kind = material(where).fit(ROWS)
    again = AudioKind.from_json(json.loads(json.dumps(kind.to_json())))
    samples = soundfile.read(where / "no" / "1.wav", dtype="float32")[0]
    names, examples = again.read([where / "no" / "1.wav", samples, where / "no"])
    assert [Path(name).name for name in names] == ["1.wav", "input 2", "1.wav", "3.wav", "5.wav"]
    rows = torch.arange(5)
    for one in (kind, again):
        transform = one.transform(training=False)
        assert transform is not None
        batch = transform(examples[rows], rows, 0)
        assert torch.equal(batch["audio"][0], batch["audio"][1])
        assert batch["audio_length"].tolist() == [26] * 5
    with pytest.raises(DataError, match="give samples"):
        kind.read([np.zeros((3, 4))])
    with pytest.raises(DataError, match="gone"):
        kind.read([tmp_path / "gone.wav"])


def test_bad_files_are_counted_and_left_out(tmp_path: Path) -> None:
    where = folder(tmp_path / "set")
    (where / "no" / "1.wav").write_bytes(b"")
    whole = (where / "no" / "3.wav").read_bytes()
    (where / "no" / "3.wav").write_bytes(whole[:100])
    with pytest.raises(DataError, match=r"2 of 6 sounds are bad; .*--audio.skip-bad 2"):
        material(where)
    with pytest.raises(DataError, match="2 of 6"):
        material(where, skip_bad=1)
    found = material(where, skip_bad=2)
    assert len(found.labels) == 4
    assert [Path(file).name for file, _ in found.skipped] == ["1.wav", "3.wav"]
    found.fit(np.arange(4))


def test_more_than_the_memory_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="GiB of samples at 8,000 a second"):
        material(folder(tmp_path / "set"), memory=1e-6).fit(ROWS)


def test_generated_sounds_keep_their_rate() -> None:
    sounds = Sounds(samples=[np.ones(100, np.float32)] * 4, rate=2000)
    data = SoundData("made", "made", sounds, pd.Series(list("abab"), index=list("1234"), name="x", dtype=object))
    kind = AudioMaterial(data, ReadSounds(), Vary()).fit(np.arange(4))
    assert (kind.spectrogram.rate, kind.spectrogram.bands, kind.spectrogram.hop) == (2000, 24, 0.02)
    with pytest.raises(RecipeError, match=r"audio\.rate"):
        AudioMaterial(data, ReadSounds(rate=8000), Vary()).fit(np.arange(4))


def test_fingerprint_and_audit_see_what_is_heard(tmp_path: Path) -> None:
    where = folder(tmp_path / "set")
    before = material(where).fingerprint()
    assert material(where).fingerprint() == before
    (where / "no" / "1.wav").write_bytes((where / "no" / "3.wav").read_bytes())
    found = material(where)
    assert found.fingerprint() != before
    found.fit(ROWS)
    said = " ".join(found.audit("classify", {"train": np.arange(1), "test": np.arange(1, 6)}))
    assert "also stands in train" in said


def table(frame: pd.DataFrame) -> TableData:
    return TableData("t", "t.csv", frame.set_axis([f"t.csv:{i + 2}" for i in range(len(frame))], axis=0))


def test_a_table_lists_sounds_and_their_transcripts() -> None:
    frame = pd.DataFrame({"wav": ["a.wav", "b/ü.WAV"], "text": ["one", "two"], "part": ["train", "test"]}, dtype=object)
    found = listed_sounds(table(frame), None, "part")
    assert found.sounds.files == [Path("a.wav"), Path("b/ü.WAV")]
    assert found.labels.to_dict() == {"a.wav": "one", "b/ü.WAV": "two"}
    assert list(found.splits) == ["train", "test"]
    with pytest.raises(RecipeError, match="which column of t has the transcripts"):
        listed_sounds(table(frame), None, None)
    with pytest.raises(RecipeError, match="did you mean 'text'"):
        listed_sounds(table(frame), "texxt", None)
    with pytest.raises(DataError, match="lists sound files"):
        listed_sounds(table(frame.drop(columns="wav")), "text", None)
    for name, words in (("../a.wav", "leads out"), ("/a.wav", "leads out"), (None, "names no file")):
        bad = frame.copy()
        bad.loc[1, "wav"] = name
        with pytest.raises(DataError, match=words):
            listed_sounds(table(bad), "text", "part")


def test_sounds_of_the_fixture_are_material(tmp_path: Path, sounds: Callable[..., Path]) -> None:
    path = sounds(tmp_path)
    data = listed_sounds(TableData("s", str(path), ReadOptions().read(path)), "said", None)
    assert data.left_out == ["first"]
    found = AudioMaterial(data, ReadSounds(), Vary())
    assert found.fit(np.arange(20)).spectrogram.rate == 2000
