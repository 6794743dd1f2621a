"""Environments of a user's own: run where they are trusted, every time anew; tried out before anything is learned."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import own_market
import own_worlds
import pytest

import penstock as api
from penstock.core.errors import RecipeError
from penstock.engine.stepper import Stepper

Command = Callable[..., Any]
FEW = "--threads 1 --net.hidden 4 --measure.validation 2 --measure.test 2 --world.limit 6 --steps 6"
FEW += " --environments 2 --rollout.steps 4 --batch-size 4"
OWN, MARKET = str(Path(own_worlds.__file__)), str(Path(own_market.__file__))


@pytest.fixture
def canary(here: Path) -> Path:
    """A module that leaves a trace where it is run."""
    path = here / "canary.py"
    path.write_text("from pathlib import Path\nPath('sung').touch()\n", encoding="utf-8")
    return here / "sung"


@pytest.mark.usefixtures("no_report")
@pytest.mark.parametrize("env", [f"{OWN}:Kept", f"{MARKET}:Hidden"], ids=["Kept", "Hidden"])
def test_trained_resumed_evaluated_and_played(
    env: str, penstock: Command, here: Path, same_runs: Command, signalled: Callable[..., None]
) -> None:
    words = f"train control --env {env} --trust-env {FEW}"
    outcome = penstock(f"{words} --name whole")
    assert outcome.code == 0, outcome.err
    runs = here / "runs" / "control"
    signalled(Stepper, "step", 4)
    told = penstock(f"{words} --name part").refused(143, "--trust-env", alone=False)
    assert told.endswith("part --trust-env")
    penstock("resume part").refused(2, "env", "--trust-env")
    assert penstock("resume part --trust-env").code == 0
    same_runs(runs / "whole", runs / "part")
    penstock("evaluate whole").refused(2, "env", "--trust-env")
    assert penstock("evaluate whole --trust-env").code == 0
    penstock("play whole").refused(2, "env", "--trust-env")
    penstock("play whole --trust-env").refused(2, "draws no picture", alone=False)
    assert api.load(runs / "whole", trust_env=True).evaluate()["episode_length"] <= 6
    recipe = (runs / "whole" / "recipe.json").read_text(encoding="utf-8")
    assert "trust" not in recipe
    command = json.loads((runs / "whole" / "summary.json").read_text(encoding="utf-8"))["command"]
    assert command.endswith("--trust-env")


def test_nothing_is_run_that_is_not_trusted(penstock: Command, canary: Path) -> None:
    for env in ("canary.py", "canary.py:World", "canary:World-v0"):
        penstock(f"train control --env {env}").refused(2, "env", env, "--trust-env")
    (canary.parent / "r.toml").write_text('env = "canary.py"\ntrust_env = true\n', encoding="utf-8")
    penstock("train control --recipe r.toml").refused(2, "r.toml", "trust_env", "--trust-env")
    assert not canary.exists()
    penstock("train control --env canary.py --trust-env").refused(2, "canary.py", "0 environments")
    assert canary.exists()


@pytest.mark.usefixtures("no_report")
def test_a_run_of_others_cannot_ask_for_trust(penstock: Command, here: Path, canary: Path) -> None:
    assert penstock(f"train control {FEW} --name run").code == 0
    path = here / "runs" / "control" / "run" / "recipe.json"
    recipe = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(recipe | {"env": "canary.py", "trust_env": True}), encoding="utf-8")
    for verb in ("resume", "evaluate", "play"):
        penstock(f"{verb} run").refused(2, "recipe.json", "trust_env")
    assert not canary.exists()


def test_a_task_without_such_code_is_not_to_be_trusted(penstock: Command) -> None:
    assert penstock("train classify --data wine --steps 1 --name run").code == 0
    penstock("evaluate run --trust-env").refused(2, "--trust-env", "classify")
    penstock("train classify --data wine --trust-env").refused(2, "--trust-env")


@pytest.mark.parametrize(
    ("env", "code", "texts"),
    [
        (OWN, 2, ["3 environments (Walk, Kept, Painted)", "own_worlds.py:Name"]),
        (f"{OWN}:Wlak", 2, ["no environment 'Wlak'"]),
        ("nowhere.py", 2, ["nowhere.py", "no Python file"]),
        ("nowhere.at.all:World", 2, ["nowhere.at.all", "ModuleNotFoundError"]),
        (f"{MARKET}:Double", 7, ["observation at reset", "float64", "float32"]),
        (f"{MARKET}:Endless", 7, ["reward at step", "not finite"]),
    ],
)
def test_what_cannot_be_learned_in(env: str, code: int, texts: list[str], penstock: Command, here: Path) -> None:
    penstock(f"train control --env {env} --trust-env").refused(code, *texts)
    assert not (here / "runs").exists()


@pytest.mark.parametrize(
    ("wrong", "texts"), [("old step", ["4 values", "terminated, truncated"]), ("bounds", ["expected within"])]
)
def test_the_environment_is_checked_before_training(
    wrong: str, texts: list[str], penstock: Command, here: Path
) -> None:
    source = f"import sys\nsys.path.insert(0, {str(Path(OWN).parent)!r})\nfrom own_worlds import Walk\n"
    source += f"class Wrong(Walk):\n    def __init__(self):\n        super().__init__({wrong!r})\n"
    (here / f"{wrong.split()[0]}.py").write_text(source, encoding="utf-8")
    penstock(f"train control --env {wrong.split()[0]}.py --trust-env").refused(7, *texts)
    assert not (here / "runs").exists()


@pytest.mark.usefixtures("no_report")
def test_one_that_cannot_be_repeated_is_told_of(penstock: Command) -> None:
    outcome = penstock(f"train control --env {MARKET}:Moody --trust-env {FEW}")
    assert outcome.code == 0, outcome.err
    assert "look: it is not reproducible" in outcome.err


def test_in_python(here: Path) -> None:
    few: dict[str, Any] = {"steps": 1, "environments": 2, "rollout.steps": 4, "batch_size": 8, "measure.test": 2}
    with pytest.raises(RecipeError, match="--trust-env"):
        api.train("control", env=f"{OWN}:Kept", quiet=True, **few)
    run = api.train("control", env=f"{OWN}:Painted", trust_env=True, quiet=True, threads=1, **few)
    assert run.folder.name.startswith("own_worlds-Painted")
    assert (run.folder / "best-episode.gif").is_file()
    frames = list(run.play(letters=True))
    assert [frame.step for frame in frames] == list(range(len(frames)))


@pytest.mark.usefixtures("no_report")
def test_the_market_of_the_guide(penstock: Command, here: Path) -> None:
    """What it teaches is there to be learned: a greedy trader earns, and sees nothing of the night that it pays for."""
    page = (Path(__file__).parents[2] / "docs" / "control.md").read_text(encoding="utf-8")
    (text,) = (block for block in re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S) if "class Market" in block)
    (here / "market.py").write_text(text, encoding="utf-8")
    market = runpy.run_path(str(here / "market.py"))["Market"]()
    seen, _ = market.reset(seed=0)
    for day in range(10, 40):
        assert seen == pytest.approx(100 * market.returns[day - 10 : day], rel=1e-5)
        seen, reward, *_ = market.step(1)
        assert reward == market.returns[day]
    outcome = penstock("train control --env market.py --trust-env --discount 0 --frames 4096 --threads 1 --name market")
    assert outcome.code == 0, outcome.err
    found = json.loads((here / "runs" / "control" / "market" / "evaluation.json").read_text(encoding="utf-8"))
    assert found["metrics"]["return"] > 0.3 > found["baseline"]["metrics"]["return"]
    assert "yesterday" in penstock("play market --trust-env").out
