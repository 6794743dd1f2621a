"""Playing against a model that has learned a board game."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
FEW = (
    "--threads 1 --steps 2 --batch-size 8 --play.games 4 --play.moves 3 --play.capacity 60 --net.width 4"
    " --net.layers 1 --search.simulations 4 --measure.validation 2 --measure.test 4"
)


@pytest.mark.usefixtures("no_report")
def test_moves_are_typed(penstock: Command, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert penstock(f"train selfplay {FEW} --name run").code == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("b2\n"))
    begun = penstock("play run")
    assert begun.code == 0, begun.err
    assert begun.out.splitlines()[4] == "your move (a3 to c1)?"
    assert begun.out.count("I play") == 1
    assert begun.out.splitlines()[-1] == "the game was left"
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    answered = penstock("play run --second").out.splitlines()
    assert answered[4].startswith("I play ")
    assert answered[5].count("X") + answered[6].count("X") + answered[7].count("X") == 1
