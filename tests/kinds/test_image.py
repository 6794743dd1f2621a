from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from penstock.core.errors import DataError
from penstock.data.examples import InMemory
from penstock.data.image_files import ImageFiles
from penstock.data.opened import ImageData, Pictures, ReadOptions
from penstock.data.opening import open_data
from penstock.data.pixels import PixelScaling
from penstock.kinds.image import ImageKind
from penstock.kinds.pictures import ImageMaterial, ReadImages

Writer = Callable[..., Path]


def material(where: Path, reading: ReadImages = ReadImages(), shift: int | None = None) -> ImageMaterial:  # noqa: B008
    found = open_data(str(where), ReadOptions())
    assert isinstance(found, ImageData)
    return ImageMaterial(found, reading, shift, False)


def of_pixels(pixels: np.ndarray) -> ImageMaterial:
    labels = pd.Series(["a", "b"] * (len(pixels) // 2), index=[f"p[{i}]" for i in range(len(pixels))], name="class")
    return ImageMaterial(ImageData("p", "p", Pictures(list(labels.index), pixels), labels), ReadImages(), None, True)


@pytest.mark.parametrize(
    ("sizes", "wanted", "expected"),
    [
        ([(12, 10)], None, (12, 10)),
        ([(12, 10)], 16, (16, 16)),
        ([(200, 150)], None, (128, 128)),
        ([(40, 30), (40, 30), (30, 20)], None, (24, 24)),
        ([(300, 400), (310, 410)], None, (128, 128)),
        ([(5, 4), (4, 5)], None, (8, 8)),
    ],
)
def test_one_size_for_all(
    sizes: list[tuple[int, int]], wanted: int | None, expected: tuple[int, int], tmp_path: Path
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number, (height, width) in enumerate(sizes):
            Image.fromarray(np.zeros((height, width), np.uint8)).save(tmp_path / name / f"{number}.png")
    found = material(tmp_path, ReadImages(size=wanted))
    found.fit(np.arange(2 * len(sizes)))
    assert found.shape == (1, *expected)
    assert found.facts()["image"]["height"] == expected[0]


def test_the_size_is_that_of_the_training_rows(tmp_path: Path) -> None:
    """Larger and coloured pictures, more of them than of the others, stand elsewhere."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(6):
            grey = number % 3 == 0
            pixels = np.zeros((20, 16) if grey else (40, 40, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    for memory in (4.0, 1e-9):
        found = material(tmp_path, ReadImages(memory=memory))
        rows = np.array([0, 3, 6, 9])
        kind = found.fit(rows)
        assert kind.shape == (1, 20, 16)
        assert "from 20 x 16 to 40 x 40, fitted into 20 x 16" in found.facts()["image"]["detail"]
        assert found.examples(kind, {})[torch.arange(12)]["image"].shape == (12, 1, 20, 16)
        assert material(tmp_path, ReadImages(memory=memory)).fit(np.arange(12)).shape == (3, 40, 40)


def test_a_model_that_there_is_already_gives_the_size(tmp_path: Path, pictures: Writer) -> None:
    folder = pictures(tmp_path / "p")
    kind = ImageKind((1, 12, 10), PixelScaling([0.0], [1.0]))
    for memory in (4.0, 1e-9):
        examples = material(folder, ReadImages(memory=memory)).examples(kind, {})
        assert examples[torch.tensor([3])]["image"].shape == (1, 1, 12, 10)
    with pytest.raises(DataError, match=r"p: pictures of shape \(3, 4, 4\); this model takes \(1, 12, 10\)"):
        of_pixels(np.zeros((2, 3, 4, 4), np.uint8)).examples(kind, {})


def test_many_pictures_are_held_with_the_help_of_processes(
    tmp_path: Path, pictures: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = pictures(tmp_path / "p")
    held = [material(folder, ReadImages(workers=workers)) for workers in (0, 2)]
    monkeypatch.setattr("penstock.kinds.pictures.MANY", 20)
    kinds = [each.fit(np.arange(24)) for each in held]
    assert kinds[0].to_json() == kinds[1].to_json()
    assert held[1].pictures.pixels is not None
    assert np.array_equal(held[0].pictures.pixels, held[1].pictures.pixels)


def test_held_and_streamed_are_the_same(tmp_path: Path, pictures: Writer) -> None:
    folder = pictures(tmp_path / "p")
    held, streamed = material(folder), material(folder, ReadImages(memory=1e-9))
    rows = np.arange(0, 24, 2)
    kinds = [each.fit(rows) for each in (held, streamed)]
    assert (held.streams, streamed.streams) == (False, True)
    assert kinds[0].to_json() == kinds[1].to_json()
    examples = [each.examples(kind, {"target": torch.arange(24)}) for each, kind in zip((held, streamed), kinds)]
    assert [type(each) for each in examples] == [InMemory, ImageFiles]
    wanted = torch.tensor([5, 0, 23])
    assert torch.equal(examples[0][wanted]["image"], examples[1][wanted]["image"])
    assert torch.equal(examples[1][wanted]["target"], wanted)
    assert held.show(3) == streamed.show(3)
    assert held.audit("classify", {"train": rows}) == streamed.audit("classify", {"train": rows})


def test_the_scaling_is_of_the_training_rows() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (10, 3, 4, 4), dtype=np.uint8)
    rows = np.array([1, 4, 7])
    kind = of_pixels(pixels).fit(rows)
    assert list(kind.scaling.mean) == pytest.approx(pixels[rows].mean((0, 2, 3)), rel=1e-6)
    assert list(kind.scaling.std) == pytest.approx(pixels[rows].std((0, 2, 3)), rel=1e-6)
    again = ImageKind.from_json(json.loads(json.dumps(kind.to_json())))
    assert (again.shape, again.scaling.to_json()) == (kind.shape, kind.scaling.to_json())
    assert again.augment is None  # it never leaves training
    assert again.sizes() == {"channels": 3, "height": 4, "width": 4}


def test_augmentation_is_for_training_only() -> None:
    found = of_pixels(np.random.default_rng(0).integers(0, 256, (10, 1, 16, 16), dtype=np.uint8))
    kind = found.fit(np.arange(10))
    examples = found.examples(kind, {})
    indices = torch.arange(10)
    plain, varied = kind.transform(training=False), kind.transform(training=True)
    assert plain is not None
    assert varied is not None
    one, two = (plain(examples[indices], indices, seed)["image"] for seed in (0, 1))
    assert torch.equal(one, two)
    assert abs(float(one.mean())) < 1e-5
    assert float(one.std(unbiased=False)) == pytest.approx(1, abs=1e-5)
    assert not torch.equal(one, varied(examples[indices], indices, 0)["image"])


def test_what_is_shown_is_the_picture() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 3, 5, 6), dtype=np.uint8)
    shown = of_pixels(pixels).show(2)
    assert shown["place"] == "p[2]"
    head, _, body = shown["picture"].partition(",")
    assert head == "data:image/png;base64"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(body)))), pixels[2].transpose(1, 2, 0))


def test_copies_and_contradictions_are_found() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 1, 5, 6), dtype=np.uint8)
    pixels[40] = pixels[0]  # both "a"
    pixels[41] = pixels[2]  # "b" and "a"
    findings = of_pixels(pixels).audit("classify", {"train": np.arange(30), "test": np.arange(30, 60)})
    assert any("2 pictures of test also stand in train" in finding for finding in findings)
    assert any("under different labels" in finding for finding in findings)


def test_empty_class_folders_are_told(tmp_path: Path, pictures: Writer) -> None:
    folder = pictures(tmp_path / "p")
    (folder / "兔").mkdir()
    findings = material(folder).audit("classify", {"train": np.arange(24)})
    assert any("'兔'" in finding for finding in findings)


def test_the_fingerprint_knows_pixels_labels_and_splits(tmp_path: Path, pictures: Writer) -> None:
    folder = pictures(tmp_path / "p")
    first = material(folder).fingerprint()
    assert material(folder).fingerprint() == first
    pixels = np.asarray(Image.open(folder / "cat" / "0.png")).copy()
    pixels[0, 0, 0] ^= 1
    Image.fromarray(pixels).save(folder / "cat" / "0.png")
    assert material(folder).fingerprint() != first
    (folder / "cat" / "1.png").rename(folder / "dog" / "x.png")
    assert material(folder, ReadImages(memory=1e-9)).fingerprint() != first


def test_reading_for_a_prediction(tmp_path: Path, pictures: Writer) -> None:
    folder = pictures(tmp_path / "p", each=2)
    kind = ImageKind((3, 8, 8), PixelScaling([0.0] * 3, [1.0] * 3))
    batch = np.zeros((2, 8, 8, 3), np.uint8)
    names, examples = kind.read([folder, folder / "cat" / "0.png", batch])
    assert names[0].endswith("cat/0.png")
    assert names[-2:] == ["input 3[0]", "input 3[1]"]
    assert torch.equal(examples[torch.tensor([0])]["image"], examples[torch.tensor([4])]["image"])
    with pytest.raises(DataError, match=r"input 1: pictures of shape \(1, 9, 9\); this model takes \(3, 8, 8\)"):
        kind.read([np.zeros((9, 9))])
    with pytest.raises(DataError, match=r"none\.png"):
        kind.read([tmp_path / "none.png"])


def test_a_listing_of_pictures(tmp_path: Path, listing: Writer) -> None:
    from penstock.data.opened import TableData
    from penstock.kinds.table import table_material

    def read(path: Path) -> ImageMaterial:
        found = open_data(str(path), ReadOptions())
        assert isinstance(found, TableData)
        data = table_material(
            found, target="shade", kinds={}, split_column=None, scaling="standard", reading=ReadOptions()
        )
        assert isinstance(data, ImageData)
        return ImageMaterial(data, ReadImages(), None, False)

    path = listing(tmp_path / "v1.2")
    whole = read(path)
    assert whole.fit(np.arange(30)).shape == (1, 8, 8)
    assert whole.labels.name == "shade"
    assert any("left out ('brightness')" in finding for finding in whole.audit("classify", {"train": np.arange(30)}))
    assert whole.labels.index[4] == "pics/4.png"
    (tmp_path / "v1.2" / "list.csv").rename(tmp_path / "v1.2" / "train.csv")
    assert read(tmp_path / "v1.2").fingerprint() != ""
    lines = (tmp_path / "v1.2" / "train.csv").read_text().splitlines()
    for bad, text in (("../pics/0.png", "leads out"), ("/etc/0.png", "leads out"), ("", "names no file")):
        (tmp_path / "v1.2" / "list.csv").write_text("\n".join([lines[0], f"{bad},1,dark", *lines[1:]]) + "\n")
        with pytest.raises(DataError, match=rf"list\.csv:2: .*{text}"):
            read(tmp_path / "v1.2" / "list.csv")
