"""Checkpoints that are damaged are noticed; one that verifies is found, or it is said that there is none."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from penstock.core.errors import CheckpointError
from penstock.core.manifest import MANIFEST
from penstock.data.examples import InMemory
from penstock.data.sources import Shuffled
from penstock.engine.checkpoint import STATE, TENSORS, Checkpoints
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.objectives.supervised import Regression
from penstock.optim.adam import AdamW
from penstock.optim.sgd import SGD

FILES = [TENSORS, STATE, MANIFEST]
NAMES = ["step-000000007", "step-000000012"]


def content(step: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
    generator = torch.Generator().manual_seed(step)
    return {"模型/weight": torch.randn(5, 7, generator=generator)}, {"step": step, "名": ["a", 0.1, None]}


@pytest.fixture
def two(tmp_path: Path) -> Checkpoints:
    """Two checkpoints, of steps 7 and 12, below a folder with a Chinese name."""
    checkpoints = Checkpoints(tmp_path / "检查点")
    for step in (7, 12):
        checkpoints.save(step, *content(step))
    return checkpoints


def test_what_is_saved_is_loaded(two: Checkpoints) -> None:
    assert two.names() == NAMES
    for name, step in zip(NAMES, (7, 12), strict=True):
        tensors, state = two.load(name)
        expected, expected_state = content(step)
        assert state == expected_state
        assert tensors.keys() == expected.keys()
        assert torch.equal(tensors["模型/weight"], expected["模型/weight"])
    assert two.newest()[0] == NAMES[1]
    assert two.newest()[3] == []
    assert sorted(os.listdir(two.folder / NAMES[0])) == sorted(FILES)


def test_the_manifest_tells_sizes_and_digests(two: Checkpoints) -> None:
    manifest = json.loads((two.folder / NAMES[1] / MANIFEST).read_text())
    assert manifest["format"] == 1
    assert manifest["step"] == 12
    for name in (TENSORS, STATE):
        assert manifest["files"][name]["bytes"] == (two.folder / NAMES[1] / name).stat().st_size
        assert len(manifest["files"][name]["sha256"]) == 64


def test_so_many_are_kept(tmp_path: Path) -> None:
    two, three = Checkpoints(tmp_path / "2"), Checkpoints(tmp_path / "3", keep=3)
    for step in (1, 5, 10, 200):
        for checkpoints in (two, three):
            checkpoints.save(step, *content(step))
    assert two.names() == ["step-000000010", "step-000000200"]
    assert three.names() == ["step-000000005", *two.names()]
    two.save(200, *content(3))  # again, with other content
    assert two.load("step-000000200")[1] == content(3)[1]
    assert sorted(os.listdir(tmp_path / "2")) == two.names()


def test_where_none_verifies_it_is_said(two: Checkpoints, tmp_path: Path) -> None:
    for name in NAMES:
        with (two.folder / name / TENSORS).open("ab") as file:
            file.write(b"x")
    with pytest.raises(
        CheckpointError, match=rf"no checkpoint to resume from \(none of 2 verifies: .*{NAMES[1]}.*its co"
    ):
        two.newest()
    empty = Checkpoints(tmp_path / "nowhere")
    assert empty.names() == []
    with pytest.raises(CheckpointError, match=r"no checkpoint to resume from \(there is none\); train again"):
        empty.newest()


def test_a_name_that_is_not_there_gets_those_that_are(two: Checkpoints) -> None:
    with pytest.raises(
        CheckpointError, match=rf"there is no such checkpoint; those of this run are: {', '.join(NAMES)}$"
    ):
        two.load("step-000000013")


def engine(model: nn.Module, optimizer: Any = None, **plan: Any) -> Engine:
    stored = InMemory({"x": torch.randn(8, 3), "target": torch.randn(8)})
    source = Shuffled(stored, torch.arange(8), batch_size=4, seed=0)
    settings = Plan(**({"steps": 2, "device": "cpu"} | plan))
    return Engine(Regression(model, ["x"]), source, settings, {"model": optimizer or AdamW()})


def narrow() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: engine(nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 1))),
            r"^checkpoint: 'model.0.weight' is \(4, 3\) float32 in the file, \(5, 3\) float32 in the model; ",
        ),
        (
            lambda: engine(narrow().double()),
            r"^checkpoint: 'model.0.weight' is \(4, 3\) float32 in the file, \(4, 3\) float64 in the model; ",
        ),
        (
            lambda: engine(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1), nn.PReLU())),
            r"^checkpoint: 'model.2.weight' is missing; use the recipe or the model that wrote it$",
        ),
        (lambda: engine(nn.Sequential(nn.Linear(3, 4))), r"^checkpoint: 'model.1.bias' has no place in the model; "),
        (lambda: engine(narrow(), SGD()), r"^optimizer of role 'model': 'momentum.0.weight' is missing; "),
        (lambda: engine(narrow(), ema=0.9), r"^moving average: '0' is missing; "),
    ],
)
def test_a_checkpoint_that_does_not_fit_names_the_first_difference(make: Callable[[], Engine], message: str) -> None:
    saved = engine(narrow())
    saved.run()
    with pytest.raises(CheckpointError, match=message):
        make().load_state(*saved.state())


def test_a_state_without_a_part_is_refused() -> None:
    saved = engine(narrow())
    tensors, state = saved.state()
    for key in ("stepper", "best", "source", "rows", "seconds", "random"):
        with pytest.raises(CheckpointError, match=rf"^checkpoint: '{key}' is missing; "):
            engine(narrow()).load_state(tensors, {name: value for name, value in state.items() if name != key})
    without = {name: value for name, value in tensors.items() if name != "random/torch"}
    with pytest.raises(CheckpointError, match=r"^checkpoint: 'torch' is missing; "):
        engine(narrow()).load_state(without, state)


def test_a_branch_that_was_left_does_not_win(two: Checkpoints) -> None:
    """After going on from step 7, what lies ahead belongs to another training; half-written folders go as well."""
    (two.folder / ".step-000000013.99999999.part").mkdir()
    two.save(9, *content(9))
    assert sorted(os.listdir(two.folder)) == two.names()
    assert two.names() == [NAMES[0], "step-000000009"]
    assert two.newest()[0] == "step-000000009"
