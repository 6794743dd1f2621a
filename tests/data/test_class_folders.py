"""Folders of class folders: order, classes, splits, and layouts that are refused."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from PIL import Image

from penstock.core.errors import DataError
from penstock.data.class_folders import find_files, holds, list_classes, natural
from penstock.data.images import PICTURES


def picture(path: Path, size: tuple[int, int] = (4, 3), mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size).save(path, format="PNG")
    return path


def refusal(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        list_classes(folder, PICTURES)
    return str(caught.value)


def test_a_folder_a_class(tmp_path: Path) -> None:
    names = ["猫/10.png", "猫/9.png", "猫/深/1.JPG", "dog/2.Webp", "dog/.hidden.png", "dog/notes.txt", ".git/x.png"]
    for name in names:
        picture(tmp_path / name)
    (tmp_path / "empty").mkdir()
    (tmp_path / "readme.md").touch()
    listing = list_classes(tmp_path, PICTURES)
    assert [str(file.relative_to(tmp_path)) for file in listing.files] == [
        "dog/2.Webp",
        "猫/9.png",
        "猫/10.png",
        "猫/深/1.JPG",
    ]
    assert listing.labels == ["dog", "猫", "猫", "猫"]
    assert listing.splits is None
    assert listing.root == tmp_path
    assert listing.empty == ["empty"]


def test_the_order_is_natural() -> None:
    names = ["a", "B", "b1", "b2", "b10", "b10c2", "b10c11", "²", "九"]
    shuffled = random.Random(0).sample(names, len(names))
    assert sorted(shuffled, key=natural) == names


@pytest.mark.parametrize("held_out", ["val", "valid", "Validation"])
def test_splits_as_given(tmp_path: Path, held_out: str) -> None:
    for split in ("train", held_out, "test"):
        for name in ("a", "b"):
            picture(tmp_path / split / name / "1.png")
    (tmp_path / "train" / "c").mkdir()
    listing = list_classes(tmp_path, PICTURES)
    assert listing.labels == ["a", "b"] * 3
    assert listing.splits == ["train"] * 2 + ["validation"] * 2 + ["test"] * 2
    assert listing.empty == ["train/c"]
    picture(tmp_path / "test" / "新" / "1.png")
    assert "class '新' is in test but has no picture in train" in refusal(tmp_path)


def test_train_can_be_a_class_of_its_own(tmp_path: Path) -> None:
    for name in ("train", "car"):
        picture(tmp_path / name / "1.png")
    assert list_classes(tmp_path, PICTURES).labels == ["car", "train"]


def test_accents_stored_in_two_ways_are_one_class(tmp_path: Path) -> None:
    picture(tmp_path / "train" / "caf\u00e9" / "1.png")
    picture(tmp_path / "train" / "b" / "1.png")
    picture(tmp_path / "test" / "cafe\u0301" / "1.png")
    assert list_classes(tmp_path, PICTURES).labels == ["b", "caf\u00e9", "caf\u00e9"]


def test_a_link_in_a_circle_ends(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "1.png")
    picture(tmp_path / "b" / "1.png")
    (tmp_path / "a" / "again").symlink_to(tmp_path / "a")
    assert len(list_classes(tmp_path, PICTURES).files) == 2


def test_layouts_that_cannot_serve(tmp_path: Path) -> None:
    assert "no picture in any class folder" in refusal(tmp_path)
    (tmp_path / "vacant").mkdir()
    assert "(empty: vacant)" in refusal(tmp_path)
    picture(tmp_path / "猫" / "1.png")
    message = refusal(tmp_path)
    assert "only one class folder with pictures, '猫'" in message
    assert "make one folder a class" in message
    picture(tmp_path / "outer" / "inner" / "a" / "1.png")
    picture(tmp_path / "outer" / "inner" / "b" / "1.png")
    assert str(tmp_path / "outer" / "inner") in refusal(tmp_path / "outer")
    picture(tmp_path / "loose.png")
    assert "1 pictures lie outside any class folder, loose.png first" in refusal(tmp_path)
    assert "did you mean 'outer'" in refusal(tmp_path / "otter")
    assert "is a file" in refusal(tmp_path / "loose.png")
    split = tmp_path / "set"
    picture(split / "train" / "1.png")
    assert "outside any class folder" in refusal(split)


def test_files_of_one_sort_below(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    assert not holds(tmp_path, PICTURES)
    with pytest.raises(DataError, match=r"no picture in it or below; pictures are files named \.png"):
        find_files(tmp_path, PICTURES)
    picture(tmp_path / "b" / "2.png")
    picture(tmp_path / "b" / "10.png")
    assert [file.name for file in find_files(tmp_path, PICTURES)] == ["2.png", "10.png"]
    assert holds(tmp_path, PICTURES)
