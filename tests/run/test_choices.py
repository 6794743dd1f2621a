"""How a run is computed is chosen once, recorded in its recipe, and used again where it is resumed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import penstock as api
from penstock.core.errors import Interrupted
from penstock.core.machine import cores
from penstock.engine.stepper import Stepper
from penstock.engine.tuning import rules, whole_step

SETTINGS: dict[str, Any] = {
    "quiet": True,
    "steps": 30,
    "batch_size": 6,
    "evaluate_every": 100,
    "log_every": 7,
    "net.hidden": [8],
    "net.dropout": 0.2,
}
CHOICES = ("precision", "compile", "onednn", "threads")


def arrays() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    return x, np.arange(60) % 3


def recorded(folder: Path) -> dict[str, Any]:
    recipe = json.loads((folder / "recipe.json").read_text())
    return {name: recipe[name] for name in CHOICES}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, no_report: None) -> list[int]:
    """Whole steps are made as if compiled; the number of the first one of each call."""
    made: list[int] = []
    original = whole_step.WholeStep.__call__

    def call(self: whole_step.WholeStep, batches: Any, progress: Any, step: int) -> Any:
        made.append(step)
        return original(self, batches, progress, step)

    monkeypatch.setattr(whole_step, "COMPILER", {"disable": True})
    monkeypatch.setattr(whole_step.WholeStep, "__call__", call)
    return made


def test_a_compiled_run_is_the_same_run(calls: list[int], here: Path) -> None:
    compiled = api.train("classify", data=arrays(), name="a", compile="on", precision="float32", **SETTINGS)
    assert calls == [2, 10, 18]
    plain = api.train("classify", data=arrays(), name="b", compile="off", precision="float32", **SETTINGS)
    assert calls == [2, 10, 18]
    assert (compiled.summary["compiled"], plain.summary["compiled"]) == (True, False)
    assert recorded(compiled.folder) == recorded(plain.folder) | {"compile": "on", "threads": min(cores(), 2)}
    rows = [(run.folder / "metrics.jsonl").read_text().splitlines() for run in (compiled, plain)]
    for row, other in zip(*rows, strict=True):
        found, expected = json.loads(row), json.loads(other)
        assert found.pop("split") == expected.pop("split")
        assert found == pytest.approx(expected, rel=1e-4)
    assert compiled.evaluate().keys() == plain.evaluate().keys()


@pytest.mark.parametrize(("method", "call", "reached"), [("note", 5, 9), ("note", 17, 25), ("step", 3, 27)])
def test_a_resumed_run_computes_as_it_began(
    method: str,
    call: int,
    reached: int,
    calls: list[int],
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    signalled: Callable[..., None],
    same_runs: Callable[[Path, Path], None],
) -> None:
    monkeypatch.setattr(rules, "LONG", 30)
    monkeypatch.setattr(rules, "which", lambda name: "/usr/bin/g++")
    whole = api.train("classify", data=arrays(), name="whole", **SETTINGS)
    chosen = {"precision": "float32", "compile": "on", "onednn": "off", "threads": min(cores(), 2)}
    assert recorded(whole.folder) == chosen
    signalled(Stepper, method, call)
    with pytest.raises(Interrupted):
        api.train("classify", data=arrays(), name="parts", **SETTINGS)
    parts = Path("runs/classify/parts")
    assert recorded(parts) == chosen
    assert sorted(entry.name for entry in (parts / "checkpoints").iterdir())[-1] == f"step-{reached:09}"
    monkeypatch.setattr(rules, "LONG", 10**9)  # by the rules, it would not be compiled now
    calls.clear()
    api.resume(parts, data=arrays(), quiet=True)
    assert calls == [first for first in (2, 10, 18) if first > reached]
    assert recorded(parts) == chosen
    same_runs(parts, whole.folder)


def test_a_run_that_cannot_be_compiled_says_so_and_records_it(
    calls: list[int], here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(self: whole_step.WholeStep, *inputs: Any) -> Any:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(whole_step.WholeStep, "_run", broken)
    settings = SETTINGS | {"quiet": False}
    run = api.train("classify", data=arrays(), name="a", compile="on", **settings)
    assert capsys.readouterr().err.splitlines().count("not compiled: no compiler") == 1
    assert recorded(run.folder)["compile"] == "off"
    assert run.summary["compiled"] is False
    plain = api.train("classify", data=arrays(), name="b", compile="off", onednn="off", **SETTINGS)
    weights = [(made.folder / "model" / "weights.safetensors").read_bytes() for made in (run, plain)]
    assert weights[0] == weights[1]
