from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from penstock.core.errors import DataError
from penstock.data.opened import ImageData, ReadOptions, TableData
from penstock.data.opening import as_pixels, open_data

Writer = Callable[..., Path]
PLAIN = ReadOptions()


def opened(where: object, supplied: object = None) -> TableData | ImageData:
    return open_data(str(where), PLAIN, supplied)


def pixels_of(found: TableData | ImageData) -> np.ndarray:
    assert isinstance(found, ImageData)
    assert found.pictures.pixels is not None
    return found.pictures.pixels


def frame_of(found: TableData | ImageData) -> pd.DataFrame:
    assert isinstance(found, TableData)
    return found.frame


class TestFolders:
    def test_tables_named_by_split(self, tmp_path: Path) -> None:
        (tmp_path / "train.csv").write_text("a,b\n1,x\n2,y\n")
        (tmp_path / "VALID.csv.gz").write_bytes(gzip.compress(b"b,a\nz,3\n"))
        (tmp_path / "test.csv").write_text("a,b\n4,w\n")
        (tmp_path / "notes.csv").write_text("anything\n1\n")
        found = opened(tmp_path)
        assert isinstance(found, TableData)
        by_split = dict(zip(found.frame["a"], found.splits, strict=True))  # type: ignore[arg-type]
        assert by_split == {"1": "train", "2": "train", "3": "validation", "4": "test"}
        assert list(found.frame.columns) == ["a", "b"]
        assert found.frame.index[-1] == "train.csv:3"

    def test_tables_that_differ(self, tmp_path: Path) -> None:
        (tmp_path / "train.csv").write_text("a,价格\n1,x\n")
        (tmp_path / "test.csv").write_text("a\n4\n")
        with pytest.raises(DataError, match=r"test\.csv: its columns differ from train\.csv: \['价格'\]"):
            opened(tmp_path)

    def test_class_folders(self, tmp_path: Path, pictures: Writer) -> None:
        folder = pictures(tmp_path / "图片", ("猫", "狗"), each=3)
        found = opened(folder)
        assert isinstance(found, ImageData)
        assert found.name == "图片"
        assert sorted(found.labels) == ["狗"] * 3 + ["猫"] * 3
        assert list(found.labels.index) == found.pictures.places
        assert found.splits is None
        assert all((folder / place).is_file() for place in found.pictures.places)

    def test_class_folders_in_splits(self, tmp_path: Path, pictures: Writer) -> None:
        for part, each in (("train", 3), ("val", 2), ("test", 1)):
            pictures(tmp_path / "p" / part, each=each)
        found = opened(tmp_path / "p")
        assert found.splits is not None
        assert dict(zip(*np.unique(found.splits, return_counts=True))) == {"test": 2, "train": 6, "validation": 4}

    @pytest.mark.parametrize("name", ["images-idx3-ubyte", "images.idx3-ubyte", "images-idx3-ubyte.gz"])
    def test_idx(self, tmp_path: Path, name: str) -> None:
        arrays = {}
        for stem, count in (("train", 5), ("t10k", 3)):
            images = np.random.default_rng(count).integers(0, 256, (count, 4, 6), dtype=np.uint8)
            labels = np.arange(count, dtype=np.uint8)
            arrays[stem] = images
            self.write(tmp_path / f"{stem}-{name}", images)
            self.write(tmp_path / f"{stem}-{name.replace('images', 'labels').replace('idx3', 'idx1')}", labels)
        found = opened(tmp_path)
        pixels = pixels_of(found)
        assert found.splits is not None
        for part, stem in (("train", "train"), ("test", "t10k")):
            assert np.array_equal(pixels[found.splits == part][:, 0], arrays[stem])

    @staticmethod
    def write(path: Path, array: np.ndarray) -> None:
        content = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)

    def test_idx_that_does_not_fit(self, tmp_path: Path) -> None:
        self.write(tmp_path / "train-images-idx3-ubyte", np.zeros((5, 4, 4), np.uint8))
        with pytest.raises(DataError, match="split 'train' has 5 images; give as many labels"):
            opened(tmp_path)
        self.write(tmp_path / "train-labels-idx1-ubyte", np.zeros(4, np.uint8))
        with pytest.raises(DataError, match="split 'train' has 5 images, 4 labels"):
            opened(tmp_path)
        self.write(tmp_path / "train-labels-idx1-ubyte", np.zeros(5, np.uint8))
        self.write(tmp_path / "t10k-labels-idx1-ubyte", np.zeros(2, np.uint8))
        self.write(tmp_path / "t10k-images-idx3-ubyte", np.zeros((2, 5, 5), np.uint8))
        with pytest.raises(DataError, match=r"shape \(5, 5\) in one split, \(4, 4\) in another"):
            opened(tmp_path)
        for path in tmp_path.glob("train*"):
            path.unlink()
        with pytest.raises(DataError, match="test only"):
            opened(tmp_path)


X, Y = np.random.default_rng(0).normal(size=(6, 3)), np.array([0, 1, 2, 0, 1, 2])


class TestArrays:
    @pytest.mark.parametrize(
        "names",
        [
            ("x_train", "y_train", "x_test", "y_test"),
            ("X_train", "y_train", "X_test", "y_test"),
            ("train_images", "train_labels", "test_images", "test_labels"),
            ("train_data", "train_target", "test_data", "test_target"),
        ],
    )
    def test_names_of_archives(self, tmp_path: Path, names: tuple[str, ...]) -> None:
        values = (X[:4], Y[:4], X[4:], Y[4:])
        np.savez(tmp_path / "试.npz", **dict(zip(names, values, strict=True)))
        found = opened(tmp_path / "试.npz")
        assert isinstance(found, TableData)
        assert found.target == "y"
        assert list(found.splits) == ["train"] * 4 + ["test"] * 2  # type: ignore[arg-type]
        assert np.array_equal(found.frame[["x0", "x1", "x2"]].to_numpy(), X)
        assert np.array_equal(found.frame["y"].to_numpy(), Y)

    @pytest.mark.parametrize("names", [("x", "y"), ("X", "y"), ("X", "Y"), ("images", "labels"), ("data", "target")])
    def test_one_part(self, tmp_path: Path, names: tuple[str, str]) -> None:
        np.savez_compressed(tmp_path / "a.npz", **dict(zip(names, (X, Y[:, None]), strict=True)))
        found = opened(tmp_path / "a.npz")
        assert found.splits is None
        assert np.array_equal(frame_of(found)["y"].to_numpy(), Y)

    def test_three_parts_as_medical_archives_have_them(self, tmp_path: Path) -> None:
        images = np.random.default_rng(0).integers(0, 256, (9, 5, 5, 3), dtype=np.uint8)
        parts = {
            f"{part}_{what}": array[at : at + 3]
            for at, part in ((0, "train"), (3, "val"), (6, "test"))
            for what, array in (("images", images), ("labels", np.arange(9)[:, None] % 2))
        }
        np.savez(tmp_path / "a.npz", **parts)
        found = opened(tmp_path / "a.npz")
        assert np.array_equal(pixels_of(found), images.transpose(0, 3, 1, 2))
        assert list(found.splits) == ["train"] * 3 + ["validation"] * 3 + ["test"] * 3  # type: ignore[arg-type]
        assert isinstance(found, ImageData)
        assert list(found.labels) == [0, 1, 0, 1, 0, 1, 0, 1, 0]

    @pytest.mark.parametrize(
        ("arrays", "problem"),
        [
            ({"a": X}, r"no inputs and targets for training among its arrays \(a\)"),
            ({"x_test": X, "y_test": Y}, "no inputs and targets"),
            ({"x": X, "y": Y[:4]}, r"inputs \(6, 3\) but targets \(4,\)"),
            ({"x": X[:0], "y": Y[:0]}, "inputs"),
            ({"x": X, "y": np.array(3)}, "inputs"),
            ({"x": X, "y": np.eye(6)[:, :3]}, "3 targets an example; .*not one-hot"),
            ({"x": X[:, 0], "y": Y}, r"inputs of shape \(6,\)"),
            ({"x": X.reshape(6, 3, 1, 1, 1), "y": Y}, r"pictures of shape \(6, 3, 1, 1, 1\)"),
            ({"x": np.zeros((6, 4, 4, 2)), "y": Y}, r"pictures of shape \(6, 4, 4, 2\)"),
            ({"x_train": X, "y_train": Y, "x_test": X[:, :2], "y_test": Y}, r"shape \(3,\) in one split, \(2,\)"),
        ],
    )
    def test_what_does_not_fit(self, arrays: dict[str, np.ndarray], problem: str, tmp_path: Path) -> None:
        np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
        with pytest.raises(DataError, match=problem):
            opened(tmp_path / "a.npz")
        with pytest.raises(DataError, match=problem):
            opened("dict", arrays)

    def test_objects_of_python(self) -> None:
        for supplied in ((X, Y), [X.tolist(), list(Y)], {"x": torch.from_numpy(X), "y": torch.from_numpy(Y)}):
            assert np.array_equal(frame_of(opened("arrays", supplied))[["x0", "x1", "x2"]].to_numpy(), X)
        frame = pd.DataFrame({0: [1, 2], "猫": [3, 4]})
        found = frame_of(opened("DataFrame", frame))
        assert list(found.columns) == ["0", "猫"]
        assert list(found.index) == ["row 0", "row 1"]
        assert list(frame.columns) == [0, "猫"]
        for nothing in (3, [X, Y, Y], ([[1, 2], [3]], [1, 2]), {1, 2}):
            with pytest.raises(DataError):
                opened("object", nothing)


class TestPixels:
    def test_every_layout(self) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (4, 3, 6, 5), dtype=np.uint8)
        assert np.array_equal(as_pixels(pixels, "x"), pixels)
        assert np.array_equal(as_pixels(pixels.transpose(0, 2, 3, 1), "x"), pixels)
        assert np.array_equal(as_pixels(pixels[:, 0], "x"), pixels[:, :1])
        assert np.array_equal(as_pixels(pixels[:, :1].transpose(0, 2, 3, 1), "x"), pixels[:, :1])
        assert as_pixels(pixels.transpose(0, 2, 3, 1), "x").flags.c_contiguous

    @pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
    def test_brightness_from_0_to_1(self, kind: Any) -> None:
        pixels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
        assert np.array_equal(as_pixels((pixels / 255).astype(kind), "x"), pixels)
        assert np.array_equal(as_pixels(pixels.astype(np.float64), "x"), pixels)
        assert np.array_equal(as_pixels(pixels.astype(np.int64), "x"), pixels)

    @pytest.mark.parametrize("value", [-0.1, 256.0, np.nan, np.inf])
    def test_other_values(self, value: float) -> None:
        pixels = np.full((2, 4, 4), 0.5)
        pixels[1, 2, 3] = value
        with pytest.raises(DataError, match="pixels from"):
            as_pixels(pixels, "x")


class TestNames:
    @pytest.mark.parametrize(
        ("where", "near"),
        [
            ("digts", "'digits'"),
            ("Fashion-mnst", "'fashion-mnist'"),
            ("hauses.csv", "'houses.csv'"),
            ("wild", "'wilds'"),
        ],
    )
    def test_the_nearest_is_said(self, where: str, near: str, here: Path) -> None:
        (here / "houses.csv").touch()
        (here / "wilds").mkdir()
        with pytest.raises(DataError, match=f"{where}: .*; did you mean {near}"):
            opened(where)

    def test_a_folder_that_is_not_there(self, here: Path) -> None:
        with pytest.raises(DataError, match="the folder nothing does not exist"):
            opened("nothing/t.csv")

    def test_a_path_wins_over_a_name(self, here: Path) -> None:
        (here / "wine").mkdir()
        (here / "wine" / "train.csv").write_text("a,b\n1,2\n")
        assert list(frame_of(opened("wine")).columns) == ["a", "b"]

    def test_named_sets(self) -> None:
        wine, digits = opened("wine"), opened("digits")
        assert isinstance(wine, TableData)
        assert len(wine.frame) == 178
        assert wine.target in wine.frame.columns
        assert pixels_of(digits).shape == (1797, 1, 8, 8)

    def test_options_reach_the_reader(self, here: Path) -> None:
        (here / "t.csv").write_bytes("名;x\n猫;-\n狗;2\n".encode("gbk"))
        options = ReadOptions(";", "gbk", ("-",))
        found = frame_of(open_data("t.csv", options))
        assert list(found["名"]) == ["猫", "狗"]
        assert list(found["x"]) == [None, "2"]
        assert ReadOptions(**options.to_json()).read(Path("t.csv")).equals(found)
