"""Line 23 of the faults: a training is killed at every change it makes to the file system, and at random moments."""

from __future__ import annotations

import importlib.util
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from penstock.core.temporary import remove_leftovers
from penstock.engine.checkpoint import Checkpoints

LIVES = Path(__file__).with_name("lives.py")
_spec = importlib.util.spec_from_file_location("penstock_test_lives", LIVES)
assert _spec is not None
lives = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = lives
assert _spec.loader is not None
_spec.loader.exec_module(lives)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training that nobody disturbed."""
    return tmp_path_factory.mktemp("whole") / "run"


@pytest.fixture(scope="module")
def history(whole: Path) -> dict[str, Any]:
    """What each of its checkpoints held."""
    found: dict[str, Any] = lives.history(whole)
    assert list(found) == [f"step-{step:09d}" for step in range(lives.STEPS + 1)]
    return found


def assert_equal(one: Any, other: Any) -> None:
    """Tensors and state of two checkpoints, bit for bit; how long it took differs."""
    assert one[0].keys() == other[0].keys()
    assert all(torch.equal(tensor, other[0][name]) for name, tensor in one[0].items())
    assert {**one[1], "seconds": 0} == {**other[1], "seconds": 0}


def survived(folder: Path, history: dict[str, Any], before: str | None = None) -> str | None:
    """The newest checkpoint after a kill: sound, equal to that of the whole training, and the last that was told of, or
    the one after it. `before` is what this life began with."""
    told = (folder.parent / "told.txt").read_text().split() if (folder.parent / "told.txt").exists() else []
    checkpoints = Checkpoints(folder / "checkpoints")
    if not checkpoints.names():
        assert told == []
        return None
    name, tensors, state, skipped = checkpoints.newest()
    assert skipped == []
    assert_equal((tensors, state), history[name])
    names = list(history)
    known = max(names.index(seen) for seen in (*told[-1:], before, names[0]) if seen is not None)
    assert names.index(name) - known in (0, 1)
    return name


def assert_done(folder: Path, whole: Path, history: dict[str, Any]) -> None:
    """The end is that of the training that nobody disturbed, and nothing else lies about."""
    last = list(history)[-1]
    assert_equal(Checkpoints(folder / "checkpoints").load(last), history[last])
    assert (folder / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    assert sorted(os.listdir(folder)) == ["checkpoints", "metrics.jsonl"]
    left = sorted(os.listdir(folder / "checkpoints"))
    assert left[-2:] == list(history)[-2:]
    assert set(left) <= set(history)  # a third, where the kill came before its removal


def test_at_every_change_of_the_file_system(
    processes: Any, whole: Path, history: dict[str, Any], fast_folder: Path
) -> None:
    """From a folder with two checkpoints, so that old ones are removed; the kill comes once at each place."""
    begun, reached, torn = fast_folder / "begun", [], 0
    begun.mkdir()
    assert processes.run(begun, call=[str(LIVES), "live", "run"], deadly=60).code == -signal.SIGKILL
    first = survived(begun / "run", history)
    assert first is not None
    for n in range(1, 10_000):
        place = fast_folder / str(n)
        shutil.copytree(begun, place)
        code = processes.run(place, call=[str(LIVES), "live", "run"], deadly=n).code
        name = survived(place / "run", history, first)
        torn += bool([*(place / "run").rglob("*.part")])
        reached.append(name)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        if n % 5 == 0:  # going on costs as much as all the rest
            lives.live(str(place / "run"))
            assert_done(place / "run", whole, history)
        shutil.rmtree(place)
        if name is not None and name > list(history)[list(history).index(first) + 2]:
            break  # each further save is like these
    assert len(reached) > 40
    assert torn > 15
    assert list(dict.fromkeys(reached)) == list(history)[list(history).index(first) :][:4]


def test_after_200_random_delays(processes: Any, whole: Path, history: dict[str, Any], fast_folder: Path) -> None:
    chance = random.Random(0)
    longest = 1.0
    for turn in range(3):
        began = time.perf_counter()
        processes.run(fast_folder, call=[str(LIVES), "live", f"timed {turn}"])
        longest = min(longest, time.perf_counter() - began)
    kills, turn, reached, before = 0, 0, set(), None
    while kills < 200:
        folder = fast_folder / str(turn)
        folder.mkdir(exist_ok=True)
        after = (chance.uniform(0, longest), signal.SIGKILL)
        code = processes.run(folder, call=[str(LIVES), "live", "run"], after=after).code
        assert code in (0, -signal.SIGKILL)
        if code:
            kills += 1
            before = survived(folder / "run", history, before)
            reached.add(before)
        else:
            assert_done(folder / "run", whole, history)
            turn, before = turn + 1, None
    lives.live(str(folder / "run"))
    assert_done(folder / "run", whole, history)
    assert turn >= 5
    assert len(reached) > 6


def test_what_a_living_process_is_writing_stays(tmp_path: Path) -> None:
    """At the start of another, which can be a report beside the training."""
    own = tmp_path / f".report.html.{os.getppid()}.part"
    own.write_text("half")
    (tmp_path / ".model.99999999.part").mkdir()
    remove_leftovers(tmp_path)
    assert os.listdir(tmp_path) == [own.name]
