"""Files are wholly there or not at all; JSON of ours is read back or refused in one line."""

from __future__ import annotations

import hashlib
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.core import files
from penstock.core.errors import CheckpointError, ResourceError
from penstock.core.files import folder_in_one_piece, read_json, sha256, write_bytes, write_json, write_text


def broken_fsync(handle: int) -> None:
    raise OSError(28, "No space left on device")


def test_text_and_json_come_back_in_any_alphabet(tmp_path: Path) -> None:
    place = tmp_path / "记录.json"
    write_json(place, {"名字": ["猫", 1.5, None, True], "n": 3})
    assert read_json(place) == {"名字": ["猫", 1.5, None, True], "n": 3}
    assert "猫" in place.read_text(encoding="utf-8")
    write_text(place, "再来\n")
    assert place.read_bytes() == "再来\n".encode()
    assert os.listdir(tmp_path) == ["记录.json"]


def test_numbers_that_are_not_finite_become_null(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": [math.nan, (math.inf, 1.0)], "y": {"z": -math.inf}, 3: 0.1})
    assert read_json(tmp_path / "a.json") == {"x": [None, [None, 1.0]], "y": {"z": None}, "3": 0.1}


def test_a_float_comes_back_bit_for_bit(tmp_path: Path) -> None:
    numbers = [0.1 + 0.2, 1 / 3, 5e-324, 1.7976931348623157e308]
    write_json(tmp_path / "a.json", numbers)
    assert read_json(tmp_path / "a.json") == numbers


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe{}", b'{"a": 1} x', b"[" * 200_000])
def test_damaged_json_is_a_checkpoint_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "坏.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"坏\.json: cannot be read as JSON \("):
        read_json(tmp_path / "坏.json")


def test_missing_json_is_a_checkpoint_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"a\.json: this file is missing; "):
        read_json(tmp_path / "a.json")


def test_what_was_there_stays_when_the_disk_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text(tmp_path / "a", "before")
    monkeypatch.setattr(files.os, "fsync", broken_fsync)
    with pytest.raises(
        ResourceError, match=r"a: cannot be written \(No space left on device; 5 bytes needed, [\d,]+ fr"
    ):
        write_bytes(tmp_path / "a", b"after")
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "before"


@pytest.mark.parametrize("name", ["file/inside", "猫" * 90, "missing/inside"])
def test_a_place_that_cannot_be_is_a_resource_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ResourceError, match="cannot be written"):
        write_text(tmp_path / name, "text")


def test_an_exception_out_of_a_signal_leaves_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_text(tmp_path / "a", "text")
    assert os.listdir(tmp_path) == []


def test_a_folder_is_there_only_when_its_block_ends_well(tmp_path: Path) -> None:
    place = tmp_path / "模型"
    with folder_in_one_piece(place) as folder:
        write_text(folder / "a", "1")
        assert not place.exists()
    assert (place / "a").read_text() == "1"
    with folder_in_one_piece(place) as folder:
        write_text(folder / "b", "2")
    assert os.listdir(place) == ["b"]  # the new one, nothing of the old
    for failure in (ValueError, KeyboardInterrupt):
        with pytest.raises(failure), folder_in_one_piece(place) as folder:  # noqa: PT012
            write_text(folder / "c", "3")
            raise failure
    assert os.listdir(tmp_path) == ["模型"]
    assert os.listdir(place) == ["b"]


def test_a_folder_that_the_disk_refuses_says_how_much_was_needed(tmp_path: Path) -> None:
    with (
        pytest.raises(ResourceError, match=r"模型: cannot be written \(No space left on device; 12,345 bytes needed"),
        folder_in_one_piece(tmp_path / "模型", 12_345),
    ):
        raise OSError(28, "No space left on device")
    assert os.listdir(tmp_path) == []


def test_a_kill_in_the_block_leaves_what_was_there(tmp_path: Path) -> None:
    with folder_in_one_piece(tmp_path / "model") as folder:
        write_text(folder / "a", "before")
    program = (
        "import os, signal, sys; from pathlib import Path; from penstock.core.files import *\n"
        "with folder_in_one_piece(Path(sys.argv[1])) as folder:\n"
        "    write_text(folder / 'a', 'after'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "model")], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "model" / "a").read_text() == "before"
    assert [name for name in os.listdir(tmp_path) if not name.startswith(".")] == ["model"]


def test_sha256_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(range(256)) * 999)
    assert sha256(tmp_path / "a") == hashlib.sha256(bytes(range(256)) * 999).hexdigest()


def test_what_was_there_comes_back_when_its_place_cannot_be_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old folder has stepped aside already."""
    with folder_in_one_piece(tmp_path / "model") as folder:
        write_text(folder / "a", "before")
    rename = os.rename

    def refused(source: Path, target: Path) -> None:
        if str(source).endswith(".part"):
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(os, "rename", refused)
    with pytest.raises(ResourceError), folder_in_one_piece(tmp_path / "model") as folder:
        write_text(folder / "a", "after")
    assert os.listdir(tmp_path) == ["model"]
    assert (tmp_path / "model" / "a").read_text() == "before"


def test_an_error_within_a_folder_names_the_folder(tmp_path: Path) -> None:
    with (  # noqa: PT012
        pytest.raises(ResourceError, match=r"模型: cannot be written \(Is a directory; 99 bytes needed, [\d,]+ free\)"),
        folder_in_one_piece(tmp_path / "模型", 99) as folder,
    ):
        (folder / "a").mkdir()
        write_text(folder / "a", "text")
    assert os.listdir(tmp_path) == []


def test_a_link_stays_and_a_device_is_written_to(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a").write_text("before")
    (tmp_path / "link").symlink_to(Path("elsewhere") / "a")
    write_text(tmp_path / "link", "after")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "elsewhere" / "a").read_text() == "after"
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", str(tmp_path / "pipe")], stdout=subprocess.PIPE) as reader:
        write_text(tmp_path / "pipe", "text")
        assert reader.communicate(timeout=60)[0] == b"text"
    assert (tmp_path / "pipe").is_fifo()
    full = Path("/dev/full")
    if not full.is_char_device():
        pytest.skip("no /dev/full here")
    with pytest.raises(ResourceError, match=r"/dev/full: cannot be written \(No space left on device; 4 bytes"):
        write_text(full, "text")
    assert full.is_char_device()
