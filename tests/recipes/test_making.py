from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

from penstock.core.errors import RecipeError, ResourceError
from penstock.kinds.drawing import png
from penstock.recipes.making import GAP, MadePictures, MadeRows, MadeSounds


def pixels(count: int, channels: int = 1, height: int = 50, width: int = 60) -> np.ndarray:
    draw = np.random.default_rng(1)
    return draw.integers(0, 256, (count, channels, height, width), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_alone_is_as_it_is(channels: int, tmp_path: Path) -> None:
    made = MadePictures(pixels(1, channels, 7, 9))
    made.write(tmp_path / "图 1.png")
    back = np.asarray(Image.open(tmp_path / "图 1.png")).reshape(7, 9, channels).transpose(2, 0, 1)
    assert np.array_equal(back, made.array[0])


@pytest.mark.parametrize(("columns", "across", "down"), [(None, 3, 2), (5, 5, 1), (2, 2, 3), (9, 5, 1)])
def test_a_sheet_has_every_picture_in_its_place(columns: int | None, across: int, down: int) -> None:
    made = MadePictures(pixels(5, 3), columns)
    page = np.asarray(made.sheet())
    assert page.shape == (down * (50 + GAP) + GAP, across * (60 + GAP) + GAP, 3)
    for at, one in enumerate(made.array):
        top, left = at // across * (50 + GAP) + GAP, at % across * (60 + GAP) + GAP
        assert np.array_equal(page[top : top + 50, left : left + 60], one.transpose(1, 2, 0))


def test_small_pictures_are_enlarged_on_a_sheet() -> None:
    page = np.asarray(MadePictures(pixels(2, 1, 8, 8)).sheet())
    assert page.shape == (48 + 2 * GAP, 2 * (48 + GAP) + GAP)
    assert np.array_equal(page[GAP : GAP + 48 : 6, GAP : GAP + 48 : 6], pixels(2, 1, 8, 8)[0, 0])


def test_a_folder_gets_a_file_for_each(tmp_path: Path) -> None:
    made = MadePictures(pixels(11))
    made.write(tmp_path / "out")
    names = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert names == [f"{number:02}.png" for number in range(1, 12)]
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / "11.png")), made.array[10, 0])
    made.write(tmp_path / "out")  # again, into the folder that there is


def test_rows_keep_every_bit(tmp_path: Path) -> None:
    frame = pd.DataFrame({"年龄": [0.1, -1 / 3], "=cmd()": ["a,b", "=x"]})
    MadeRows(frame).write(tmp_path / "rows.csv")
    back = pd.read_csv(tmp_path / "rows.csv")
    assert list(back.columns) == ["年龄", "'=cmd()"]
    assert back["年龄"].tolist() == [0.1, -1 / 3]
    assert back["'=cmd()"].tolist() == ["a,b", "'=x"]


def test_sounds(tmp_path: Path) -> None:
    waves = [np.sin(np.arange(800) / 9).astype(np.float32) * 2, np.zeros(80, dtype=np.float32)]
    MadeSounds(waves[:1], 8000).write(tmp_path / "one.wav")
    back, rate = soundfile.read(tmp_path / "one.wav")
    assert rate == 8000
    assert np.abs(back - waves[0].clip(-1, 1)).max() < 1e-4
    MadeSounds(waves, 8000).write(tmp_path / "two")
    assert len(soundfile.read(tmp_path / "two" / "2.wav")[0]) == 80
    MadeSounds(waves, 8000).write(tmp_path / "both.wav")
    assert len(soundfile.read(tmp_path / "both.wav")[0]) == 800 + 2000 + 80
    assert MadeSounds(waves, 8000).array.shape == (2, 800)


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (MadePictures(pixels(2)), "a.jpg"),
        (MadeRows(pd.DataFrame({"a": [1]})), "a.png"),
        (MadeSounds([np.zeros(8, dtype=np.float32)], 8000), "a.mp3"),
    ],
)
def test_another_kind_of_file(made: MadePictures | MadeRows | MadeSounds, name: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"--output: .* is no place for it; give a "):
        made.write(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_refuses(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError):
        MadePictures(pixels(2)).write(tmp_path / "file" / "out.png")


def test_a_png_says_the_same_each_time() -> None:
    sheet = MadePictures(pixels(4)).sheet()
    assert png(sheet) == png(sheet)
    assert Image.open(io.BytesIO(png(sheet))).size == sheet.size
