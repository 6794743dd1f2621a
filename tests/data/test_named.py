"""Named sets: their content, their downloads, and the ways in which a download fails."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.core.errors import DataError, RecipeError, ResourceError
from penstock.data import convert
from penstock.data.named import NAMED, download, load, locate

PUBLIC = Path(__file__).parents[2].parent / "shared" / "data"
needs_public = pytest.mark.skipif(not PUBLIC.is_dir(), reason="needs the public sets beside the checkout")


@pytest.fixture
def home(server: tuple[Any, int], publish: Callable[..., None]) -> Any:
    """The server, with a small adult set."""
    rows = [["39", "State-gov", "?", *["x"] * 11, label] for label in ("<=50K", ">50K")]
    train = "\n".join(", ".join(row) for row in rows) + "\n\n"
    test = b"|1x3 Cross validator\n" + train.replace("50K", "50K.").encode()
    publish("adult", {"adult.data": train.encode(), "adult.test": test})
    return server[0]


def kept(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "缓存" / "adult").iterdir())


def test_a_set_is_downloaded_once_converted_and_counted(home: Any, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    adult = load("adult", lambda arrived, total: seen.append((arrived, total)))
    total = sum(map(len, home.files.values()))
    assert seen[-1] == (total, total)
    assert adult.frame is not None
    assert adult.splits is not None
    assert list(adult.frame.columns) == convert.ADULT.split(",")
    assert adult.frame["income"].tolist() == ["<=50K", ">50K"] * 2
    assert adult.frame["fnlwgt"].tolist() == [None] * 4
    assert adult.splits.tolist() == ["train", "train", "test", "test"]
    assert kept(tmp_path) == ["test.csv", "train.csv"]
    home.files.clear()
    assert load("adult").frame is not None


def test_a_wrong_checksum_keeps_nothing(home: Any, tmp_path: Path) -> None:
    home.files["/adult.test"] = home.files["/adult.test"].replace(b"39", b"93")
    with pytest.raises(DataError, match=r"adult\.test: the file has SHA-256"):
        download("adult")
    assert kept(tmp_path) == ["train.csv"]


def test_a_download_that_breaks_off_keeps_nothing(home: Any, tmp_path: Path) -> None:
    home.cut.add("/adult.data")
    size = len(home.files["/adult.data"])
    with pytest.raises(DataError, match=f"broke off after {size // 2} of {size} bytes"):
        download("adult")
    assert kept(tmp_path) == []
    home.cut.clear()
    assert download("adult") == tmp_path / "缓存" / "adult"


def test_a_download_never_exceeds_the_published_length(home: Any, tmp_path: Path) -> None:
    home.files["/adult.data"] += bytes(1 << 20)
    received: list[int] = []
    with pytest.raises(DataError, match="sends more than"):
        download("adult", lambda arrived, total: received.append(arrived))
    assert sum(received) == 0
    assert kept(tmp_path) == []


def test_without_network_the_error_says_what_to_put_where(home: Any, tmp_path: Path) -> None:
    content = dict(home.files)
    home.files.clear()
    folder = tmp_path / "缓存" / "adult"
    with pytest.raises(DataError) as caught:
        load("adult")
    assert NAMED["adult"].files[0].url in str(caught.value)
    assert f"put adult.data from there into {folder} by hand" in str(caught.value)
    for path, raw in content.items():
        (folder / path[1:]).write_bytes(raw)
    loaded = load("adult")
    assert loaded.frame is not None
    assert len(loaded.frame) == 4
    (folder / "train.csv").unlink()
    (folder / "adult.data").write_bytes(b"other")
    with pytest.raises(DataError, match=r"remove .*adult\.data"):
        load("adult")


@pytest.mark.usefixtures("home")
def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PENSTOCK_CACHE", str(tmp_path / "file"))
    with pytest.raises(ResourceError, match="PENSTOCK_CACHE"):
        load("adult")


def test_the_named_folder_comes_before_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, income in (("PENSTOCK_DATA", "given"), ("PENSTOCK_CACHE", "cached")):
        monkeypatch.setenv(variable, str(tmp_path / income))
        (tmp_path / income / "adult").mkdir(parents=True)
        for name in ("train.csv", "test.csv"):
            (tmp_path / income / "adult" / name).write_text(f"age,income\n1,{income}\n")
    assert locate("adult") == tmp_path / "given" / "adult"
    (tmp_path / "given" / "adult" / "test.csv").unlink()
    assert locate("adult") == tmp_path / "cached" / "adult"


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(RecipeError, match="did you mean 'fashion-mnist'"):
        load("fashon-mnist")


def test_the_catalogue_is_complete() -> None:
    for name, known in NAMED.items():
        assert known.name == name
        assert all(len(file.sha256) == 64 and file.size > 0 for file in known.files)
        assert all(set(file.sha256) <= set("0123456789abcdef") for file in known.files)
        assert (known.target is None) == (known.kind == "image" or known.task == "language")
        assert len(set(known.classes)) == len(known.classes)
    digests = [file.sha256 for known in NAMED.values() for file in known.files]
    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize("name", ["wine", "breast-cancer", "diabetes"])
def test_tables_that_need_no_file(name: str) -> None:
    from sklearn import datasets

    loaded = load(name)
    bunch = {
        "wine": datasets.load_wine,
        "breast-cancer": datasets.load_breast_cancer,
        "diabetes": lambda: datasets.load_diabetes(scaled=False),
    }[name]()
    assert loaded.frame is not None
    assert loaded.target == NAMED[name].target
    assert len(loaded.frame) == NAMED[name].rows
    np.testing.assert_array_equal(loaded.frame.drop(columns=loaded.target), bunch.data)
    target = loaded.frame[loaded.target]
    if name == "diabetes":
        np.testing.assert_array_equal(target, bunch.target)
    else:
        assert target.tolist() == [bunch.target_names[number] for number in bunch.target]
    assert loaded.frame.index[-1] == f"{name}:{len(target)}"


def test_digits() -> None:
    digits = load("digits")
    assert digits.images is not None
    assert digits.labels is not None
    assert digits.images.shape == (1797, 1, 8, 8)
    assert (digits.images.dtype, digits.images.min(), digits.images.max()) == (np.uint8, 0, 255)
    assert sorted(set(digits.labels)) == [str(number) for number in range(10)]
    assert digits.splits is None


def archive(name: str, content: bytes, kind: bytes = tarfile.REGTYPE) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        member = tarfile.TarInfo(name)
        member.type, member.size, member.linkname = kind, len(content), "/etc/hostname"
        file.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def test_the_houses_are_taken_from_one_plain_member_alone() -> None:
    line = b"-122.230000,37.880000,41.000000,880.000000,129.000000,322.000000,126.000000,8.325200,452600.000000\n"
    table = convert.california(archive("CaliforniaHousing/cal_housing.data", line)).decode().splitlines()
    assert table == [convert.CALIFORNIA, "-122.23,37.88,41,880,129,322,126,8.3252,452600"]
    for bad in (
        archive("CaliforniaHousing/cal_housing.data", b"", tarfile.SYMTYPE),
        archive("../cal_housing.data", line),
        archive("CaliforniaHousing/cal_housing.data", line)[:-30],
        b"no archive",
        archive("CaliforniaHousing/cal_housing.data", b"1,2\n"),
    ):
        with pytest.raises(DataError, match="california-housing"):
            convert.california(bad)


@needs_public
def test_conversions_give_the_public_files_byte_for_byte() -> None:
    """The published files are rebuilt from the csv ones; their digests show that the rebuilding is right."""
    for file, first in zip(NAMED["adult"].files, (b"", b"|1x3 Cross validator\n"), strict=True):
        table = (PUBLIC / "adult" / file.save_as).read_bytes()
        ending = b"." if first else b""
        rows = [line.replace(b",", b", ") + ending for line in table.splitlines()[1:]]
        published = first + b"\n".join(rows) + b"\n\n"
        assert hashlib.sha256(published).hexdigest() == file.sha256
        assert len(published) == file.size
        assert convert.adult(published) == table
    table = (PUBLIC / "california-housing" / "housing.csv").read_bytes()
    rows = [",".join(f"{float(cell):.6f}" for cell in line.split(",")) for line in table.decode().splitlines()[1:]]
    packed = archive("CaliforniaHousing/cal_housing.data", "\n".join(rows).encode())
    assert convert.california(packed) == table


@needs_public
def test_the_public_sets_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_DATA", str(PUBLIC))
    adult = load("adult")
    assert adult.frame is not None
    assert adult.splits is not None
    assert len(adult.frame) == NAMED["adult"].rows
    assert (adult.splits == "train").sum() == 32_561
    assert adult.frame.iloc[14]["native_country"] is None
    houses = load("california-housing")
    assert houses.frame is not None
    assert len(houses.frame) == NAMED["california-housing"].rows
    assert houses.splits is None
    assert houses.frame.iloc[0]["median_house_value"] == "452600"


@needs_public
def test_the_clothes_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_DATA", str(PUBLIC))
    for file in NAMED["fashion-mnist"].files:
        assert hashlib.sha256((PUBLIC / "fashion-mnist" / file.save_as).read_bytes()).hexdigest() == file.sha256
    clothes = load("fashion-mnist")
    assert clothes.images is not None
    assert clothes.labels is not None
    assert clothes.splits is not None
    assert clothes.images.shape == (70_000, 1, 28, 28)
    assert clothes.images.dtype == np.uint8
    np.testing.assert_array_equal(np.unique(clothes.labels, return_counts=True)[1], 7_000)
    assert clothes.labels[0] == "Ankle boot"
    assert (clothes.splits[:60_000] == "train").all()
    assert (clothes.splits[60_000:] == "test").all()
