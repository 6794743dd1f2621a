"""Picture files: what they measure, and those that are bad."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from penstock.core.errors import DataError
from penstock.data.images import Sizes, measure, read_headers


def picture(path: Path, size: tuple[int, int] = (4, 3), mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size).save(path, format="PNG")
    return path


def test_sizes_are_measured(tmp_path: Path) -> None:
    sizes = [(4, 3), (4, 3), (2, 2), (9, 1), (5, 5)]
    files = [picture(tmp_path / f"{number}.png", size, "L") for number, size in enumerate(sizes)]
    pictures, bad = read_headers(files, 0)
    summary = measure(pictures)
    assert summary == Sizes(common=(3, 4), smallest=(2, 2), largest=(5, 5), equal=False, channels=1)
    assert bad == []
    assert measure(pictures[2:4]).common == (1, 9)  # of sizes that are equally common, the larger
    assert measure(read_headers([*files[:2], picture(tmp_path / "c.png")])[0]) == Sizes((3, 4), (3, 4), (3, 4), True, 3)


def test_bad_pictures_are_skipped_up_to_a_number(tmp_path: Path) -> None:
    good = picture(tmp_path / "good.png")
    first, second = tmp_path / "坏.png", tmp_path / "worse.png"
    first.write_text("text")
    second.touch()
    pictures, bad = read_headers([good, first, second], 2)
    assert [(found.height, found.width) for found in pictures] == [(3, 4)]
    assert [(file, reason.split()[-1]) for file, reason in bad] == [(first, "read"), (second, "empty")]
    with pytest.raises(DataError, match=r"坏\.png: .*; 2 of 3 pictures are bad; .*--image.skip-bad 2"):
        read_headers([good, first, second], 1)
    with pytest.raises(DataError, match="2 of 2"):
        read_headers([first, second], 9)
    with pytest.raises(DataError, match="no picture"):
        read_headers([], 0)
