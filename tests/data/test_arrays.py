"""Arrays from idx, npy and npz; damaged, lying and malicious files refused."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from penstock.core.errors import DataError
from penstock.data.arrays import read_idx, read_npz

IDX = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def idx(code: int, array: np.ndarray) -> bytes:
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(IDX[code]).tobytes()


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("code", IDX)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_every_idx_kind(tmp_path: Path, code: int, pack: object) -> None:
    array = np.random.default_rng(0).integers(0, 100, (3, 4, 5))
    path = written(tmp_path / "数.idx", pack(idx(code, array)))  # type: ignore[operator]
    found = read_idx(path)
    np.testing.assert_array_equal(found, array)
    assert found.dtype == np.dtype(IDX[code]).newbyteorder("=")
    assert found.flags.writeable


def test_damaged_idx_files(tmp_path: Path) -> None:
    whole = idx(8, np.arange(60).reshape(3, 20))
    path = tmp_path / "t.idx"
    for content, problem in [
        (whole[:-1], "declares 60 bytes"),
        (whole + b"\0", "declares 60 bytes"),
        (gzip.compress(whole[:-1]), "and holds 59"),
        (gzip.compress(whole + b"\0"), "and holds more than 60"),
        (whole[:6], "ends within its header"),
        (b"\x89PNG", "is not an idx file"),
        (b"\0\0\x07\x01" + bytes(4), "is not an idx file"),
        (b"\0\0", "is not an idx file"),
        (gzip.compress(whole)[:-9], "cannot be read"),
        (b"\0\0\x08\xff" + struct.pack(">255I", *[1] * 255) + b"\0", "255 dimensions"),
        (b"", "is empty"),
    ]:
        with pytest.raises(DataError, match=problem):
            read_idx(written(path, content))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_idx_header_that_lies_costs_no_memory(tmp_path: Path, pack: object) -> None:
    header = b"\0\0\x0e\x03" + struct.pack(">3I", 1 << 31, 1 << 31, 2)
    path = written(tmp_path / "t.idx", pack(header + bytes(100)))  # type: ignore[operator]
    tracemalloc.start()
    with pytest.raises(DataError, match="more than it can hold"):
        read_idx(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_npz_and_npy_come_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        "像": rng.integers(0, 256, (5, 2, 3), dtype=np.uint8),
        "y": np.array(["甲", "乙", "丙"]),
        "order": np.asfortranarray(rng.normal(size=(4, 3))),
        "swapped": np.arange(3, dtype=">f4"),
        "scalar": np.array(3),
        "none": np.zeros((0, 3)),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "t.npz", **arrays)
        found = read_npz(tmp_path / "t.npz")
        assert list(found) == list(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)
            assert found[name].dtype.isnative
    np.save(tmp_path / "t.npy", arrays["order"])
    np.testing.assert_array_equal(read_npz(tmp_path / "t.npy")["x"], arrays["order"])


class Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_objects_are_never_loaded(tmp_path: Path, suffix: str) -> None:
    canary = tmp_path / "canary"
    path = tmp_path / f"t.{suffix}"
    evil = np.array([Canary(canary)], dtype=object)
    if suffix == "npz":
        np.savez(path, x=evil)
    else:
        np.save(path, evil)
    with pytest.raises(DataError, match="holds Python objects, and loading those could run code"):
        read_npz(path)
    with pytest.raises(DataError):
        read_npz(written(path, pickle.dumps(Canary(canary))))
    assert not canary.exists()


def test_a_header_larger_than_its_file_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": (1 << 40,)})
    lie = buffer.getvalue() + bytes(64)
    tracemalloc.start()
    with pytest.raises(DataError, match="declares 8,796,093,022,208 bytes"):
        read_npz(written(tmp_path / "t.npy", lie))
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
        archive.writestr("x.npy", lie)
    with pytest.raises(DataError, match="declares 8,796,093,022,208 bytes"):
        read_npz(tmp_path / "t.npz")
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_records_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", np.zeros(3, dtype=[("a", "f4"), ("b", "i4")]))
    with pytest.raises(DataError, match="holds records"):
        read_npz(tmp_path / "t.npy")


def test_any_damage_is_one_error(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 9, (40, 30), dtype=np.uint8)
    rng = np.random.default_rng(1)
    for save, name in [(np.savez, "t.npz"), (np.savez_compressed, "t.npz"), (np.save, "t.npy")]:
        path = tmp_path / name
        save(path, array)  # type: ignore[operator]
        whole = path.read_bytes()
        for _ in range(60):
            content = bytearray(whole)
            at = int(rng.integers(0, len(whole)))
            content[at] ^= 1 << int(rng.integers(0, 8))
            try:
                found = read_npz(written(path, bytes(content)))
            except DataError:
                continue
            # zip protects the content by a checksum, npy does not
            assert name == "t.npy" or all((value == array).all() for value in found.values())
        for _ in range(20):
            with pytest.raises(DataError):
                read_npz(written(path, whole[: rng.integers(0, len(whole))]))
