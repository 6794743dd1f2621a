"""Whole runs on sounds: told to a newcomer, resumed, and refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from penstock.data.named import load

Command = Callable[..., Any]
Writer = Callable[..., Path]

FEW = "--steps 4 --threads 1 --net.width 8 --batch-size 8"


def test_sounds_by_class_are_told_apart_and_predicted(penstock: Command, here: Path) -> None:
    rng = np.random.default_rng(0)
    for row in range(40):
        name, pitch = ("低", 300) if row % 2 else ("高", 900)
        (here / "声" / name).mkdir(parents=True, exist_ok=True)
        samples = 0.3 * np.sin(2 * np.pi * pitch * np.arange(400 + 10 * row) / 2000) + 0.01 * rng.standard_normal(
            400 + 10 * row
        )
        soundfile.write(here / "声" / name / f"{row}.flac", samples, 2000, subtype="PCM_16")
    outcome = penstock("train classify --data 声 --name r --threads 1 --net.width 8 --steps 60 --batch-size 8")
    assert outcome.code == 0, outcome.err
    assert "sounds: 2,000 samples a second" in outcome.err
    evaluation = json.loads((here / "runs/classify/r/evaluation.json").read_text(encoding="utf-8"))
    assert evaluation["metrics"]["accuracy"] >= 0.8
    said = penstock("predict r 声/高/0.flac 声/低")
    assert said.code == 0, said.err
    assert len(said.out.splitlines()) == 1 + 1 + 20
    assert "声/高/0.flac,高" in said.out.splitlines()[1]


def test_a_column_of_sounds_is_found_in_a_table(penstock: Command, here: Path, sounds: Writer) -> None:
    path = sounds(here)
    outcome = penstock(f"train classify --data {path} --target first {FEW} --name r")
    assert outcome.code == 0, outcome.err
    assert "said" in outcome.err  # left out


def test_a_transcript_is_learnt_and_shown(penstock: Command, here: Path, sounds: Writer) -> None:
    path = sounds(here, rows=60)
    words = "--steps 290 --threads 1 --net.width 24 --batch-size 8 --net.dropout 0 --audio.noise none --beam.width 4"
    outcome = penstock(f"train transcribe --data {path} --target said --name r {words} --beam.order 2")
    assert outcome.code == 0, outcome.err
    found = json.loads((here / "runs/transcribe/r/evaluation.json").read_text(encoding="utf-8"))
    assert found["metrics"]["cer"] < 0.1
    assert found["metrics"].keys() == {"loss", "cer", "wer", "exact_match"}
    page = (here / "runs/transcribe/r/report.html").read_text(encoding="utf-8")
    assert "Heard and written" in page
    said = penstock("predict r 声音/0.wav")
    truth = path.read_text(encoding="utf-8").splitlines()[1].split(",")[1]
    assert said.out.splitlines()[1] == f"声音/0.wav,{truth}"
    assert penstock("evaluate r").code == 0


class TestRefused:
    """Lines 9 and 15: in one line, before anything is written."""

    def refused(self, penstock: Command, here: Path, code: int, *texts: str, flags: str = "") -> None:
        penstock(f"train transcribe --data sounds.csv --target said {FEW} {flags}").refused(code, *texts)
        assert not (here / "runs").exists()

    def test_a_header_that_lies(self, penstock: Command, here: Path, sounds: Writer) -> None:
        wav = sounds(here).parent / "声音" / "3.wav"
        wav.write_bytes(wav.read_bytes()[:200])
        self.refused(penstock, here, 3, "3.wav", "byte 40", "bytes of sound", "--audio.skip-bad 1")
        outcome = penstock(f"train transcribe --data sounds.csv --target said {FEW} --audio.skip-bad 1 --name r")
        assert outcome.code == 0, outcome.err
        assert "3.wav" in (here / "runs/transcribe/r/skipped.csv").read_text(encoding="utf-8")

    def test_no_sample(self, penstock: Command, here: Path, sounds: Writer) -> None:
        sounds(here)
        soundfile.write(here / "声音" / "5.wav", np.zeros(0), 2000)
        self.refused(penstock, here, 3, "5.wav", "holds no sample")

    def test_text_named_wav(self, penstock: Command, here: Path, sounds: Writer) -> None:
        sounds(here)
        (here / "声音" / "5.wav").write_text("no sound", encoding="utf-8")
        self.refused(penstock, here, 3, "5.wav", "cannot be read as sound")

    def test_a_file_that_is_gone(self, penstock: Command, here: Path, sounds: Writer) -> None:
        sounds(here)
        (here / "声音" / "5.wav").unlink()
        self.refused(penstock, here, 3, "5.wav", "does not exist")

    def test_a_transcript_too_long_for_its_sound(self, penstock: Command, here: Path, sounds: Writer) -> None:
        path = sounds(here)
        lines = path.read_text(encoding="utf-8").splitlines()
        lines[7] = lines[7].replace(lines[7].split(",")[1], "ab" * 40)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.refused(penstock, here, 3, "6.wav", "needs 80 steps")

    def test_a_transcript_that_is_missing(self, penstock: Command, here: Path, sounds: Writer) -> None:
        path = sounds(here)
        lines = path.read_text(encoding="utf-8").splitlines()
        lines[7] = "声音/6.wav,,no"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.refused(penstock, here, 3, "6.wav", "no transcript")

    def test_settings_that_mean_nothing(self, penstock: Command, here: Path, sounds: Writer) -> None:
        sounds(here)
        self.refused(penstock, here, 2, "beam.width", flags="--beam.width 0")
        self.refused(penstock, here, 2, "did you mean", flags="--beam.widht 3")
        self.refused(penstock, here, 2, "model", "did you mean 'tcn'", flags="--model cnn")
        words = f"train classify --data sounds.csv --target first {FEW} --image.size 16"
        penstock(words).refused(2, "image.size", "sounds")

    def test_no_sounds_at_all(self, penstock: Command, here: Path, table: Writer) -> None:
        table(here / "t.csv")
        penstock("train transcribe --data t.csv --target animal").refused(3, "t.csv", "lists sound files")
        penstock("train transcribe --data digits").refused(3, "there are no sounds")


@pytest.mark.parametrize("rows", [4000])
def test_the_default_needs_nothing(rows: int) -> None:
    found = load("morse")
    assert found.sounds is not None
    assert found.splits is not None
    assert (len(found.sounds.labels), found.sounds.rate) == (rows, 2000)
    assert {part: int((found.splits == part).sum()) for part in ("train", "validation", "test")} == {
        "train": 3400,
        "validation": 200,
        "test": 400,
    }


def test_spoken_digits_have_their_official_split(shared_sets: Path) -> None:
    found = load("free-spoken-digit-dataset")
    assert found.sounds is not None
    assert found.splits is not None
    assert len(found.sounds.files) == 3000
    assert int((found.splits == "test").sum()) == 300


def test_a_set_that_must_be_fetched_by_hand(penstock: Command, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PENSTOCK_DATA", raising=False)
    monkeypatch.setenv("PENSTOCK_CACHE", str(here / "cache"))
    penstock("train classify --data free-spoken-digit-dataset").refused(3, "recordings", "github.com")
