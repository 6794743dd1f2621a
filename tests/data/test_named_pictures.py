"""The named sets of pictures, from small files in their official formats, and what is wrong with damaged ones."""

from __future__ import annotations

import gzip
import io
import shutil
import struct
import tarfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from penstock.core.errors import DataError
from penstock.data.named import NAMED, load

CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
HIRAGANA = "おきすつなはまやれを"


def idx(array: np.ndarray) -> bytes:
    """The format of LeCun, Cortes and Burges 1998: two zeros, 8 for unsigned bytes, the dimensions and their sizes."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(struct.pack(">I", size) for size in array.shape)
    return gzip.compress(header + array.tobytes(), mtime=0)


def mnist(train: int = 20, test: int = 10) -> tuple[dict[str, bytes], dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", train), ("t10k", test)):
        arrays[f"{part}-images-idx3-ubyte.gz"] = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        arrays[f"{part}-labels-idx1-ubyte.gz"] = rng.permutation(count).astype(np.uint8) % 10
    return {name: idx(array) for name, array in arrays.items()}, arrays


def tar(members: Sequence[tuple[str, bytes]], extra: Sequence[tarfile.TarInfo] = ()) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as file:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
        for member in extra:
            file.addfile(member)
    return buffer.getvalue()


def cifar(kind: int, records: int = 4) -> tuple[list[tuple[str, bytes]], np.ndarray]:
    """The members of an archive, and all its records, those to train on first. Record: label(s), red, green, blue."""
    rng = np.random.default_rng(kind)
    ten = kind == 10
    folder = "cifar-10-batches-bin" if ten else "cifar-100-binary"
    files = [f"data_batch_{n}.bin" for n in range(1, 6)] + ["test_batch.bin"] if ten else ["train.bin", "test.bin"]
    parts = rng.integers(0, 256, (len(files), records, (1 if ten else 2) + 3072), dtype=np.uint8)
    parts[:, :, 0] %= 10
    if not ten:
        parts[:, :, 1] %= 100
    names = CIFAR10 if ten else [f"fine_{n}" for n in range(100)]
    listed = ("\n".join(names) + "\n" + ("\n" if ten else "")).encode()
    members = [(f"{folder}/{file}", part.tobytes()) for file, part in zip(files, parts, strict=True)]
    members.insert(1, (f"{folder}/{'batches.meta.txt' if ten else 'fine_label_names.txt'}", listed))
    members.append((f"{folder}/readme.html", b"<html>"))
    if not ten:
        members.append((f"{folder}/coarse_label_names.txt", b"coarse\n" * 20))
    return members, parts.reshape(-1, parts.shape[-1])


def given(name: str, content: dict[str, bytes], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts a set below PENSTOCK_DATA."""
    monkeypatch.setenv("PENSTOCK_DATA", str(folder))
    (folder / name).mkdir(parents=True, exist_ok=True)
    for file, raw in content.items():
        (folder / name / file).write_bytes(raw)
    return folder / name


def put_cifar(kind: int, raw: bytes, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given(f"cifar{kind}", {f"cifar-{kind}-binary.tar.gz": raw}, folder, monkeypatch)


@pytest.mark.parametrize("name", ["mnist", "kmnist"])
def test_idx_sets(name: str, publish: Callable[..., None], tmp_path: Path) -> None:
    content, arrays = mnist()
    publish(name, content)
    loaded = load(name)
    assert sorted(path.name for path in (tmp_path / "缓存" / name).iterdir()) == sorted(content)
    images = np.concatenate([arrays[f"{part}-images-idx3-ubyte.gz"] for part in ("train", "t10k")])
    labels = np.concatenate([arrays[f"{part}-labels-idx1-ubyte.gz"] for part in ("train", "t10k")])
    assert loaded.images is not None
    assert loaded.labels is not None
    assert loaded.splits is not None
    assert np.array_equal(loaded.images[:, 0], images)
    assert loaded.splits.tolist() == ["train"] * 20 + ["test"] * 10
    if name == "mnist":
        assert loaded.labels.tolist() == [str(label) for label in labels]
    else:
        assert [label[-1] for label in loaded.labels] == [HIRAGANA[label] for label in labels]
        assert sorted(set(loaded.labels)) == sorted(
            ["o お", "ki き", "su す", "tsu つ", "na な", "ha は", "ma ま", "ya や", "re れ", "wo を"]
        )


@pytest.mark.parametrize("kind", [10, 100])
def test_cifar(kind: int, publish: Callable[..., None], tmp_path: Path) -> None:
    members, records = cifar(kind)
    name = f"cifar{kind}"
    publish(name, {f"cifar-{kind}-binary.tar.gz": tar(members)})
    loaded = load(name)
    assert [path.name for path in (tmp_path / "缓存" / name).iterdir()] == [f"cifar-{kind}-binary.tar.gz"]
    assert loaded.images is not None
    assert loaded.labels is not None
    assert loaded.splits is not None
    skipped = 1 if kind == 10 else 2
    assert loaded.images.shape == (len(records), 3, 32, 32)
    # "the first 1024 entries contain the red channel values, ... the image is stored in row-major order"
    for row, channel, y, x in ((0, 0, 0, 0), (3, 0, 1, 0), (2, 1, 0, 31), (5, 2, 31, 30)):
        assert loaded.images[row, channel, y, x] == records[row, skipped + 1024 * channel + 32 * y + x]
    names = CIFAR10 if kind == 10 else [f"fine_{n}" for n in range(100)]
    assert loaded.labels.tolist() == [names[record[skipped - 1]] for record in records]
    train = 20 if kind == 10 else 4
    assert loaded.splits.tolist() == ["train"] * train + ["test"] * 4


def test_a_wrong_digest_keeps_nothing(publish: Callable[..., None], server: tuple[type, int], tmp_path: Path) -> None:
    members, _ = cifar(10)
    publish("cifar10", {"cifar-10-binary.tar.gz": tar(members)})
    raw = server[0].files["/cifar-10-binary.tar.gz"]
    server[0].files["/cifar-10-binary.tar.gz"] = raw[:-9] + bytes([raw[-9] ^ 1]) + raw[-8:]
    with pytest.raises(DataError, match=r"cifar-10-binary\.tar\.gz: the file has SHA-256"):
        load("cifar10")
    assert list((tmp_path / "缓存" / "cifar10").iterdir()) == []


LABELS = "train-labels-idx1-ubyte.gz"
IMAGES = "t10k-images-idx3-ubyte.gz"


@pytest.mark.parametrize(
    ("file", "content", "text"),
    [
        (LABELS, lambda raw: raw[:11] + b"\x0a" + raw[12:], r"labels.*: byte 11 is label 10, of 10 classes"),
        (LABELS, lambda raw: raw[:4] + struct.pack(">I", 19) + raw[8:-1], r"labels.*: 19 labels for 20 images"),
        (LABELS, lambda raw: raw[:-1], r"labels.*: declares 20 bytes of \(20,\) and holds 19"),
        (LABELS, lambda raw: raw + b"\0", r"labels.*: declares 20 bytes of \(20,\) and holds more than 20"),
        (LABELS, lambda raw: b"PK" + raw[2:], r"labels.*: is not an idx file \(it starts with 50 4b 08 01\)"),
        (LABELS, lambda raw: raw[:2] + b"\x09" + raw[3:], r"labels.*: byte 2: int8 of 1 dimensions"),
        (
            IMAGES,
            lambda raw: raw[:3] + b"\x01" + struct.pack(">I", 7848) + raw[8:],
            r"images.*: byte 2: uint8 of 1 dim",
        ),
        (
            IMAGES,
            lambda raw: raw[:8] + struct.pack(">II", 14, 56) + raw[16:],
            r"images of \(28, 28\) and of \(14, 56\)",
        ),
    ],
)
def test_damaged_idx(
    file: str, content: Callable[[bytes], bytes], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, _ = mnist()
    files[file] = gzip.compress(content(gzip.decompress(files[file])))
    given("mnist", files, tmp_path, monkeypatch)
    with pytest.raises(DataError, match=text) as caught:
        load("mnist")
    assert caught.value.code == 3


@pytest.mark.parametrize("kind", [10, 100])
def test_damaged_cifar(kind: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    members, _ = cifar(kind)
    size = 3072 + (1 if kind == 10 else 2)
    victim, classes = (2, "batches.meta.txt") if kind == 10 else (0, "fine_label_names.txt")
    name, content = members[victim]
    file = name.rpartition("/")[2]
    bad = bytearray(content)
    bad[size + (0 if kind == 10 else 1)] = kind

    def changed(new: bytes) -> list[tuple[str, bytes]]:
        return [*members[:victim], (name, new), *members[victim + 1 :]]

    for raw, text in (
        (tar(changed(bytes(bad))), rf"{file}: byte {size + (kind == 100):,} is label {kind}, of {kind} classes"),
        (tar(changed(content[:-7])), rf"{file}: the record at byte {3 * size:,} has {size - 7:,} of {size:,} bytes"),
        (tar(changed(b"")), rf"{file}: the record at byte 0 has 0 of {size:,} bytes"),
        (tar([member for member in members if member[0] != name]), rf"{name} is not in the archive"),
        (tar([(n, b"one\ntwo\n" if classes in n else c) for n, c in members]), rf"{classes}: 2 class names instead"),
        (tar([(n, b"\xff" if classes in n else c) for n, c in members]), rf"{classes}: byte 0 is not ASCII"),
        (tar(members)[:-200], "the archive is damaged"),
        (gzip.compress(b"no archive at all"), "the archive is damaged"),
        (b"no archive", "the archive is damaged"),
    ):
        put_cifar(kind, raw, tmp_path, monkeypatch)
        with pytest.raises(DataError, match=text) as caught:
            load(f"cifar{kind}")
        assert f"cifar-{kind}-binary.tar.gz" in caught.value.where
        assert caught.value.code == 3


def test_nothing_leaves_a_hostile_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Line 40: names that lead out, links, members that are no files, one that declares 10 GB."""
    members, _ = cifar(10)
    canary = tmp_path / "canary"
    link = tarfile.TarInfo("cifar-10-batches-bin/out")
    link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
    outside = [("../../canary", b"x"), (str(canary), b"x"), ("cifar-10-batches-bin/out/canary", b"x")]
    put_cifar(10, tar([*outside, *members], [link]), tmp_path / "d", monkeypatch)
    assert load("cifar10").images is not None
    assert not canary.exists()
    linked = tarfile.TarInfo(members[0][0])
    linked.type, linked.linkname = tarfile.SYMTYPE, "/etc/hostname"
    put_cifar(10, tar(members[1:], [linked]), tmp_path / "d", monkeypatch)
    with pytest.raises(DataError, match=r"data_batch_1\.bin: not a plain file of up to 30,730,000 bytes"):
        load("cifar10")
    huge = tarfile.TarInfo(members[0][0])
    huge.size = 10 << 30
    buffer = io.BytesIO()
    with gzip.open(buffer, "wb") as packed:
        packed.write(huge.tobuf())
    put_cifar(10, buffer.getvalue(), tmp_path / "d", monkeypatch)
    with pytest.raises(DataError, match=r"data_batch_1\.bin: not a plain file of up to 30,730,000 bytes"):
        load("cifar10")
    assert [path.name for path in (tmp_path / "d" / "cifar10").iterdir()] == ["cifar-10-binary.tar.gz"]


def test_an_archive_that_expands_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten gigabytes of zeros, under a name that does not count."""
    member = tarfile.TarInfo("cifar-10-batches-bin/more")
    member.size = 10 << 30
    path = given("cifar10", {}, tmp_path, monkeypatch) / "cifar-10-binary.tar.gz"
    piece = gzip.compress(bytes(64 << 20), 1)  # gzip files one after the other are one
    with path.open("wb") as file:
        file.write(gzip.compress(member.tobuf()))
        for _ in range(160):
            file.write(piece)
    began = time.perf_counter()
    with pytest.raises(DataError, match="unpacks to more than such an archive holds"):
        load("cifar10")
    assert time.perf_counter() - began < 5


def test_trained_by_name(penstock: Callable[..., object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content, _ = mnist(60, 20)
    given("kmnist", content, tmp_path / "d", monkeypatch)
    outcome = penstock("train classify --data kmnist --steps 2 --threads 1 --net.widths 4 --name r")
    assert outcome.code == 0, outcome.err
    assert "tsu つ" in outcome.err
    assert "つ" in (tmp_path / "runs/classify/r/report.html").read_text(encoding="utf-8")
    shutil.copy(tmp_path / "d" / "kmnist" / IMAGES, tmp_path / "d" / "kmnist" / LABELS)
    penstock("train classify --data kmnist --steps 2").refused(3, LABELS, "uint8 of 3 dimensions")


def test_the_list_has_them(penstock: Callable[..., object]) -> None:
    listed = penstock("data").out
    for name in ("mnist", "kmnist", "cifar10", "cifar100"):
        assert any(line.startswith(f"{name} ") for line in listed.splitlines())
        told = penstock(f"data describe {name}").out
        assert all(file.url in told for file in NAMED[name].files)
