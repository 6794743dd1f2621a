"""Lines 24 to 27 of the faults, for checkpoints: damage is noticed, the one before is used, a full disk harms none."""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from penstock.core.errors import CheckpointError, ResourceError
from penstock.core.manifest import MANIFEST, write_manifest
from penstock.engine.checkpoint import FILES as DESCRIBED
from penstock.engine.checkpoint import FORMAT, STATE, TENSORS, Checkpoints

FILES = [TENSORS, STATE, MANIFEST]
NAMES = ["step-000000007", "step-000000012"]


def content(step: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
    generator = torch.Generator().manual_seed(step)
    tensors = {"模型/weight": torch.randn(50, 70, generator=generator), "count": torch.tensor(step)}
    return tensors, {"step": step, "名": ["a", 0.1, None] * 30}


@pytest.fixture
def two(fast_folder: Path) -> Checkpoints:
    """Two checkpoints, of steps 7 and 12, below a folder with a Chinese name."""
    checkpoints = Checkpoints(fast_folder / "检查点")
    for step in (7, 12):
        checkpoints.save(step, *content(step))
    return checkpoints


def flip(path: Path, bit: int) -> None:
    """The same once more undoes it."""
    with path.open("r+b") as file:
        file.seek(bit // 8)
        (byte,) = file.read(1)
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))


def assert_falls_back(checkpoints: Checkpoints, what: str) -> None:
    """The newer one is refused by name, the older one is used, and that is said."""
    with pytest.raises(CheckpointError) as caught:
        checkpoints.load(NAMES[1])
    assert caught.value.code == 4, what
    name, tensors, state, skipped = checkpoints.newest()
    expected, expected_state = content(7)
    assert (name, state) == (NAMES[0], expected_state), what
    assert all(torch.equal(tensors[key], expected[key]) for key in expected)
    assert len(skipped) == 1
    assert NAMES[1] in skipped[0]
    assert "\n" not in skipped[0]


def test_500_flipped_bits_are_noticed(two: Checkpoints) -> None:
    chance = random.Random(0)
    for turn in range(500):
        path = two.folder / NAMES[1] / FILES[turn % 3]
        bit = chance.randrange(8 * path.stat().st_size)
        flip(path, bit)
        assert_falls_back(two, f"bit {bit} of {path.name}")
        flip(path, bit)
    assert two.newest()[0] == NAMES[1]


def test_every_single_bit_of_a_manifest_counts(two: Checkpoints) -> None:
    path = two.folder / NAMES[1] / MANIFEST
    unnoticed = []
    for bit in range(8 * path.stat().st_size):
        flip(path, bit)
        try:
            two.load(NAMES[1])
            unnoticed.append((bit, path.read_bytes()[max(bit // 8 - 5, 0) : bit // 8 + 5]))
        except CheckpointError:
            pass
        flip(path, bit)
    assert unnoticed == []


@pytest.mark.parametrize("file", FILES)
def test_truncation_is_noticed(two: Checkpoints, file: str) -> None:
    """100 in all; that of a last newline as well."""
    path = two.folder / NAMES[1] / file
    sound = path.read_bytes()
    for length in [0, 1, len(sound) - 1, *random.Random(file).sample(range(len(sound)), 31)]:
        path.write_bytes(sound[:length])
        assert_falls_back(two, f"{length} bytes of {file}")
    path.write_bytes(sound + b"x")
    assert_falls_back(two, f"a byte more of {file}")


@pytest.mark.parametrize("file", FILES)
def test_a_deleted_file_is_noticed(two: Checkpoints, file: str) -> None:
    (two.folder / NAMES[1] / file).unlink()
    assert_falls_back(two, file)
    (two.folder / NAMES[1] / file).mkdir()
    assert_falls_back(two, f"a folder in place of {file}")


def test_files_of_another_checkpoint_are_noticed(two: Checkpoints) -> None:
    shutil.rmtree(two.folder / NAMES[1])
    shutil.copytree(two.folder / NAMES[0], two.folder / NAMES[1])
    assert_falls_back(two, "a copy under another name")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, r"its format is 2, this version reads 1; use the version that wrote it"),
        ({"format": None}, r"its format is None"),
        ({"format": True}, r"not what was written for it; "),
        ({"files": []}, r"not what was written for it; "),
        ({"files": {}}, r"not what was written for it; "),
        ({"step": "x"}, r"not what was written for it; "),
        ({"more": 1}, r"not what was written for it; "),
    ],
)
def test_other_manifests_are_refused(two: Checkpoints, change: dict[str, Any], message: str) -> None:
    path = two.folder / NAMES[1] / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | change, indent=1) + "\n")
    with pytest.raises(CheckpointError, match=message):
        two.load(NAMES[1])
    assert_falls_back(two, str(change))


@pytest.mark.parametrize("text", ["[]", "3", "{}", '{"files": {}}'])
def test_what_is_no_manifest_is_refused(two: Checkpoints, text: str) -> None:
    (two.folder / NAMES[1] / MANIFEST).write_text(text)
    with pytest.raises(CheckpointError, match="not a manifest; "):
        two.load(NAMES[1])


def test_what_is_called_like_a_checkpoint_is_left_alone(two: Checkpoints) -> None:
    """A copy that the user made does not count, is not resumed from, and does not go."""
    shutil.copytree(two.folder / NAMES[1], two.folder / "step-000000012-mine")
    assert two.names() == NAMES
    for name in ("step-000000012-mine", "../检查点/step-000000012", ""):
        with pytest.raises(CheckpointError, match="there is no such checkpoint"):
            two.load(name)
    two.save(13, *content(13))
    assert (two.folder / "step-000000012-mine" / MANIFEST).exists()


def test_names_are_in_the_order_of_their_steps(two: Checkpoints) -> None:
    for step in (999_999_999, 1_000_000_000):
        two.save(step, *content(step))
    assert two.names() == ["step-999999999", "step-1000000000"]
    assert two.newest()[0] == "step-1000000000"


def header(text: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text


def entry(start: int, end: int, shape: int, kind: str = "F32") -> dict[str, Any]:
    return {"dtype": kind, "shape": [shape], "data_offsets": [start, end]}


def packed(*entries: dict[str, Any]) -> bytes:
    return header(json.dumps(dict(zip("abc", entries))).encode()) + bytes(64)


HOSTILE = {
    "pickle": b"\x80\x04cposix\nsystem\n(S'touch canary'\ntR.",
    "header of 8 EiB": header(b"{}", (1 << 63) - 1),
    "header of 99 MB": header(b"{}", 99_000_000),
    "header that ends nowhere": header(b'{"a":'),
    "deep header": header(b"[" * 200_000),
    "deep header within": header(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "overlapping": packed(entry(0, 40, 10), entry(24, 64, 10)),
    "beyond the end": packed(entry(0, 1 << 40, 1 << 38)),
    "a gap": packed(entry(0, 16, 4), entry(32, 64, 8)),
    "backwards": packed(entry(64, 0, 16)),
    "negative": packed(entry(-64, 64, 16)),
    "other shape than bytes": packed(entry(0, 64, 1 << 40)),
    "shape that overflows": packed({"dtype": "F32", "shape": [1 << 40, 1 << 40], "data_offsets": [0, 64]}),
    "an object": packed(entry(0, 64, 16, "O")),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_tensors_under_a_manifest_that_fits(two: Checkpoints, name: str) -> None:
    place = two.folder / NAMES[1]
    (place / TENSORS).write_bytes(HOSTILE[name])
    write_manifest(place, DESCRIBED, FORMAT, step=12)
    with pytest.raises(CheckpointError, match="not a sound safetensors file"):
        two.load(NAMES[1])
    assert_falls_back(two, name)


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "null", '{"a": NaN', "\x00"])
def test_a_hostile_state_under_a_manifest_that_fits(two: Checkpoints, text: str) -> None:
    place = two.folder / NAMES[1]
    (place / STATE).write_text(text)
    write_manifest(place, DESCRIBED, FORMAT, step=12)
    assert_falls_back(two, text[:9])


def test_a_manifest_without_end_is_not_read(two: Checkpoints) -> None:
    with (two.folder / NAMES[1] / MANIFEST).open("r+b") as file:
        file.truncate(1 << 40)  # a hole: it takes no room on the disk
    with pytest.raises(CheckpointError, match="too large for a manifest"):
        two.load(NAMES[1])
    assert_falls_back(two, "manifest")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_refused(checkpoints: Checkpoints, where: str) -> None:
    """A save fails with 6 and both numbers of bytes; what was there is untouched, and nothing else is."""
    before = files(checkpoints.folder)
    with pytest.raises(
        ResourceError, match=r"cannot be written \(.*; 1[45],\d\d\d bytes needed, [\d,]+ free\)"
    ) as caught:
        checkpoints.save(20, *content(20))
    assert caught.value.code == 6
    assert caught.value.where.endswith("step-000000020"), where
    assert files(checkpoints.folder) == before, where
    assert sorted(os.listdir(checkpoints.folder)) == NAMES, where
    assert checkpoints.newest()[0] == NAMES[1], where


def test_a_file_that_may_not_grow_at_a_random_byte(
    two: Checkpoints, largest_file: Callable[[int], AbstractContextManager[None]]
) -> None:
    size = (two.folder / NAMES[1] / TENSORS).stat().st_size
    for limit in [0, 1, *random.Random(0).sample(range(size), 60), size - 1]:
        with largest_file(limit):
            assert_refused(two, f"{limit} bytes")
    with largest_file(size):
        two.save(20, *content(20))
    assert two.newest()[0] == "step-000000020"


def test_a_full_disk(small_disk: Path) -> None:
    """With room for ever more of a checkpoint, in pages, until it fits."""
    checkpoints, refused, room = Checkpoints(small_disk / "检查点"), 0, 0
    for step in (7, 12):
        checkpoints.save(step, *content(step))
    while True:
        ballast = small_disk / "ballast"
        ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free - room))
        assert shutil.disk_usage(small_disk).free == room
        try:
            checkpoints.save(20, *content(20))
            break
        except ResourceError:
            assert_refused(checkpoints, f"room for {room} bytes")
            refused, room = refused + 1, room + 4096
            ballast.unlink()
    assert refused > 3
    assert checkpoints.newest()[0] == "step-000000020"


@pytest.mark.parametrize("fails_at", [1, 2, 3, 4])
def test_a_disk_that_refuses_to_flush(two: Checkpoints, fails_at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Network file systems tell only then that they are full."""
    calls, fsync = 0, os.fsync

    def full(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls == fails_at:
            raise OSError(28, "No space left on device")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", full)
    assert_refused(two, f"flush {fails_at}")


def test_a_folder_that_cannot_be_written(
    two: Checkpoints, read_only: Callable[[Path], AbstractContextManager[None]]
) -> None:
    with read_only(two.folder):
        assert_refused(two, "read-only")
    with read_only(two.folder.parent), pytest.raises(ResourceError, match="Read-only file system"):
        Checkpoints(two.folder.parent / "other").save(20, *content(20))
    two.save(20, *content(20))


@pytest.fixture(autouse=True)
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What runs code out of a file touches one of this name."""
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / "canary").exists()
