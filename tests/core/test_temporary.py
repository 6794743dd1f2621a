"""What dead processes left half done goes, and comes back where it was being replaced; the living keep theirs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from penstock.core.temporary import beside, discard, done_with, remove_leftovers


@pytest.fixture
def dead() -> int:
    """The number of a process that is no more."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_leftovers_of_the_dead_go(tmp_path: Path, dead: int) -> None:
    (tmp_path / f".a.json.{dead}.part").write_text("half")
    (tmp_path / f".模型.{dead}.part" / "inner").mkdir(parents=True)
    (tmp_path / f".report.{os.getppid()}.part").write_text("half")
    for name in ("a.json", ".hidden", f".x.{dead}.party", ".x.y.part", f"b.{dead}.part"):
        (tmp_path / name).write_text("whole")
    before = set(os.listdir(tmp_path))
    remove_leftovers(tmp_path)
    assert before - set(os.listdir(tmp_path)) == {f".a.json.{dead}.part", f".模型.{dead}.part"}
    remove_leftovers(tmp_path / "nowhere")


def test_what_was_being_replaced_comes_back(tmp_path: Path, dead: int) -> None:
    for name in ("gone", "there"):
        (tmp_path / f".{name}.{dead}.old").mkdir()
        (tmp_path / f".{name}.{dead}.old" / "file").write_text("old")
    (tmp_path / "there").mkdir()
    remove_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["gone", "there"]
    assert (tmp_path / "gone" / "file").read_text() == "old"
    assert os.listdir(tmp_path / "there") == []


def test_a_dead_process_may_have_had_our_number(tmp_path: Path) -> None:
    """As in containers, where each start has the same."""
    ours = beside(tmp_path / "a", "part")
    ours.write_text("half")
    (tmp_path / f".b.{os.getpid()}.part").write_text("half")
    remove_leftovers(tmp_path)
    assert os.listdir(tmp_path) == [ours.name]
    done_with(ours)
    assert os.listdir(tmp_path) == []


def test_a_folder_is_discarded_whole(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_text("x")
    discard(tmp_path / "a")
    discard(tmp_path / "nowhere")
    assert os.listdir(tmp_path) == []
