"""Generated tones, and the spoken digits by the names of their files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from penstock.core.errors import DataError
from penstock.data.spoken import spoken_digits
from penstock.data.tones import RATE, TONES, tones


def pitch(sound: np.ndarray) -> float:
    """Of the loudest period between 60 and 500 hertz, by autocorrelation."""
    lags = np.arange(RATE // 500, RATE // 60)
    scores = [np.dot(sound[:-lag], sound[lag:]) / (len(sound) - lag) for lag in lags]
    return RATE / float(lags[int(np.argmax(scores))])


def test_the_pitch_moves_as_the_tone_says() -> None:
    names, sounds = tones(80, 0)
    assert {name: names.count(name) for name in TONES} == dict.fromkeys(TONES, 20)
    moved: dict[str, list[float]] = {name: [] for name in TONES}
    for name, sound in zip(names, sounds, strict=True):
        part = len(sound) // 4
        first, last = pitch(sound[part // 4 : part + part // 4]), pitch(sound[-part - part // 8 : -part // 8])
        moved[name].append(np.log2(last / first))
    rise = {name: float(np.median(values)) for name, values in moved.items()}
    assert rise["2 rising"] > 0.15
    assert rise["4 falling"] < -0.3
    assert abs(rise["1 level"]) < 0.15
    assert rise["3 dipping"] > 0.1


def test_they_are_the_same_each_time() -> None:
    (one, first), (two, second) = tones(8, 5), tones(8, 5)
    assert one == two
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_digits_and_their_official_split(tmp_path: Path) -> None:
    (tmp_path / "recordings").mkdir()
    for name in ("7_ann_4", "7_ann_5", "0_bob_0", "0_bob_12"):
        (tmp_path / "recordings" / f"{name}.wav").touch()
    (tmp_path / "recordings" / "about.wav").touch()
    files, labels, speakers, splits = spoken_digits(tmp_path)
    assert [file.stem for file in files] == ["0_bob_0", "0_bob_12", "7_ann_4", "7_ann_5"]
    assert labels == ["0", "0", "7", "7"]
    assert speakers == ["bob", "bob", "ann", "ann"]
    assert splits == ["test", "train", "test", "train"]
    with pytest.raises(DataError, match="7_jackson_32"):
        spoken_digits(tmp_path / "recordings")
