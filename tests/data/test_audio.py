"""Sound files: what is read, at which rate, and what is refused before memory is spent on it."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from penstock.core.errors import DataError
from penstock.data.audio import Sound, peek_sound, read_sound, resampled


def tone(rate: int, seconds: float = 0.5, frequency: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


@pytest.mark.parametrize("form", ["wav", "flac"])
def test_samples_come_as_they_were_written(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"中文 tone.{form}"
    soundfile.write(path, tone(8000), 8000, subtype="PCM_16")
    assert peek_sound(path) == Sound(4000, 8000, 1)
    np.testing.assert_allclose(read_sound(path, 8000), tone(8000), atol=1 / 32768)


def test_channels_are_averaged(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.stack([tone(8000), np.zeros(4000, np.float32)], axis=1), 8000, subtype="FLOAT")
    np.testing.assert_allclose(read_sound(path, 8000), tone(8000) / 2, atol=1e-6)


@pytest.mark.parametrize(("own", "rate"), [(16_000, 8000), (8000, 16_000), (44_100, 16_000), (11_025, 8000)])
def test_another_rate_is_the_same_tone(tmp_path: Path, own: int, rate: int) -> None:
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(own), own, subtype="FLOAT")
    found, wanted = read_sound(path, rate), tone(rate)
    assert abs(len(found) - len(wanted)) <= 1
    middle = slice(rate // 20, len(wanted) - rate // 20)  # the filter rings at the ends
    np.testing.assert_allclose(found[middle], wanted[middle], atol=5e-3)


def test_what_is_above_half_of_the_rate_does_not_come_back_lower() -> None:
    assert np.abs(resampled(tone(16_000, frequency=7000), 16_000, 8000)[100:-100]).max() < 0.01


def test_a_header_that_promises_more_than_there_is(tmp_path: Path) -> None:
    path = tmp_path / "cut.wav"
    soundfile.write(path, tone(8000), 8000, subtype="PCM_16")
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(DataError, match=r"cut\.wav: byte 40: declares 8,000 bytes of sound, and 5,000 follow"):
        read_sound(path, 8000)
    flac = tmp_path / "cut.flac"
    soundfile.write(flac, np.random.default_rng(0).normal(0, 0.1, 80_000), 8000, subtype="PCM_16")
    flac.write_bytes(flac.read_bytes()[:-60_000])
    with pytest.raises(DataError, match=r"cut\.flac"):
        read_sound(flac, 8000)


def test_a_data_chunk_whose_length_was_left_open_is_read_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "stream.wav"
    soundfile.write(path, tone(8000), 8000, subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[40:44] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(content)
    assert len(read_sound(path, 8000)) == 4000


def header(rate: int, channels: int, length: int) -> bytes:
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2 & 0xFFFFFFFF, channels * 2, 16)
    return b"RIFF" + struct.pack("<I", 36 + length) + b"WAVEfmt " + struct.pack("<I", 16) + form + b"data"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"not a sound at all, just text\n" * 9, "cannot be read as sound"),
        (header(8000, 1, 0) + struct.pack("<I", 0), "holds no sample"),
        (header(7, 1, 400) + struct.pack("<I", 400) + bytes(400), "declares 7 samples a second"),
        (header(4_000_000, 1, 400) + struct.pack("<I", 400) + bytes(400), "samples a second"),
        (header(8000, 1, 400), "a.wav"),
    ],
)
def test_what_is_no_sound_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    for read in (peek_sound, lambda path: read_sound(path, 8000)):
        with pytest.raises(DataError, match=r"a\.wav") as caught:
            read(path)
        assert words in str(caught.value)


def test_a_sound_too_long_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", 8000, 1) as file:
        for _ in range(601):
            file.write(np.zeros(8000, np.float32))
    with pytest.raises(DataError, match="601 seconds, above the limit of 600"):
        peek_sound(path)


def test_a_sample_that_is_no_number(tmp_path: Path) -> None:
    path = tmp_path / "nan.wav"
    samples = tone(8000)
    samples[17] = np.nan
    soundfile.write(path, samples, 8000, subtype="FLOAT")
    with pytest.raises(DataError, match="sample 17 is nan"):
        read_sound(path, 8000)
