"""Several agents in one world: every algorithm, shared and independent; small games whose answers are known."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import penstock as api
from penstock.engine.stepper import Stepper
from penstock.models.apart import Apart
from penstock.recipes.job import Job, Supplied
from penstock.recipes.recipe import nested, recipe_type
from penstock.run.report.page import render
from penstock.run.report.records import read_run

pytest.importorskip("pettingzoo", reason="needs penstock[multi-agent]")
Command = Callable[..., Any]
OWN = str(Path(__file__).parents[1] / "own_teams.py")
FEW = "--trust-env --threads 1 --net.hidden 8 --measure.validation 2 --measure.test 4 --log-every 3 --steps 6"
GATHERED = "--environments 4 --rollout.steps 8 --batch-size 16"
KEPT = "--environments 4 --replay.warmup 12 --replay.capacity 60 --batch-size 8"
CASES = {
    "ppo shared": GATHERED,
    "ppo": f"{GATHERED} --learners independent",
    "ppo of frames": f"{GATHERED} --learners independent --world.frames 2",
    "rainbow": f"--algorithm dqn {KEPT} --dueling --noisy --form c51 --prioritised --learners independent",
    "sac": f"--algorithm sac {KEPT} --learners independent",
    "sac shared": f"--algorithm sac {KEPT}",
}


@pytest.mark.usefixtures("no_report")
@pytest.mark.parametrize("case", CASES)
def test_each_goes_on_bit_for_bit_and_is_judged_again_alike(
    case: str, penstock: Command, here: Path, same_runs: Command, signalled: Callable[..., None]
) -> None:
    words = f"train control --env {OWN}:Kept {FEW} {CASES[case]}"
    outcome = penstock(f"{words} --name whole")
    assert outcome.code == 0, outcome.err
    assert "agents: ann, bob, cyd; learners: " in outcome.err
    assert "2 at once" in outcome.err  # 4 agents are made 6
    runs = here / "runs" / "control"
    signalled(Stepper, "step", 4)
    penstock(f"{words} --name part").refused(143, "step 4", alone=False)
    assert penstock("resume part --trust-env").code == 0
    same_runs(runs / "whole", runs / "part")
    found = json.loads((runs / "whole" / "evaluation.json").read_text(encoding="utf-8"))
    metrics = found["metrics"]
    assert found["examples"] == 4
    assert metrics["episode_length"] == 5
    each = [metrics[f"return_{name}"] for name in ("ann", "bob", "cyd")]
    assert metrics["return"] == pytest.approx(sum(each) / 3)
    assert [4 <= each[0] <= 8, 48 <= each[1] <= 56, 110 <= each[2] <= 120] == [True] * 3
    again = penstock("evaluate whole --trust-env --format json")
    assert json.loads(again.out) == pytest.approx(metrics)
    assert "test (6)" in penstock("evaluate whole --trust-env --episodes 6").out


@pytest.mark.usefixtures("no_report")
def test_one_that_cannot_be_saved_is_resumed_with_new_games(
    penstock: Command, here: Path, signalled: Callable[..., None]
) -> None:
    signalled(Stepper, "step", 4)
    told = penstock(f"train control --env {OWN}:Relay {FEW} {GATHERED} --world.workers 2 --name part")
    told.refused(143, alone=False)
    assert "look: this environment cannot be saved" in told.err
    assert penstock("resume part --trust-env").code == 0


def test_it_is_watched_and_reported(here: Path) -> None:
    """A game to its end, when nobody is left; its film; and what each agent gets, over the frames."""
    few: dict[str, Any] = {"steps": 24, "environments": 6, "rollout.steps": 4, "batch_size": 8, "measure.test": 2}
    run = api.train("control", env=f"{OWN}:Relay", trust_env=True, quiet=True, threads=1, **few)
    assert (run.folder / "best-episode.gif").is_file()
    frames = [(frame.step, frame.gain, frame.last, int(frame.picture[0, 0, 0])) for frame in run.play()]
    assert [(step, last, picture) for step, _, last, picture in frames] == [(at, at == 5, at) for at in range(6)]
    assert frames[-1][1] == pytest.approx(run.evaluate()["return"], abs=8)
    page = render(read_run(run.folder))
    assert "Return of each agent" in page
    assert all(name in page.partition("Return of each agent")[2][:600] for name in ("ann", "bob", "cyd"))


def learned(game: str, **settings: Any) -> dict[str, float]:
    """What is won when it counts."""
    run = api.train("control", env=f"{OWN}:{game}", trust_env=True, quiet=True, threads=1, **settings)
    return run.evaluate()


QUICK: dict[str, Any] = {"measure.film": False, "measure.test": 4, "measure.validation": 4, "keep": "last"}
PPO: dict[str, Any] = {"algorithm": "ppo", "frames": 2048, "net.hidden": [8], "optim.lr": 0.03, "rollout.steps": 4}


@pytest.mark.usefixtures("here", "no_report")
@pytest.mark.parametrize(
    ("game", "learners", "expected"),
    [
        ("Meeting", "shared", (1.0, 1.0)),
        ("Meeting", "independent", (1.0, 1.0)),
        ("Dilemma", "independent", (1.0, 1.0)),  # both betray, and have less than by silence
        ("Differ", "shared", (1.0, 1.0)),  # one policy that knows whose part it plays
        ("Differ", "independent", (1.0, 1.0)),
    ],
)
def test_small_games_are_solved(game: str, learners: str, expected: tuple[float, float]) -> None:
    found = learned(game, **QUICK, **PPO, **{"team.learners": learners})
    assert (found["return_ann"], found["return_bob"]) == expected


@pytest.mark.usefixtures("here", "no_report")
@pytest.mark.parametrize("learners", ["shared", "independent"])
def test_a_table_for_each(learners: str) -> None:
    """Numbered states, and one by one, as the tabular algorithms learn; a mark makes one table two."""
    found = learned("Dilemma", **QUICK, **{"frames": 1000, "team.learners": learners, "optim.lr": 0.1})
    assert (found["return_ann"], found["return_bob"]) == (1, 1)


@pytest.mark.usefixtures("no_report")
def test_the_game_of_the_guide(here: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "teams.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    (here / "dilemma.py").write_text(text, encoding="utf-8")
    run = api.train("control", env="dilemma.py", trust_env=True, quiet=True, threads=1, **QUICK, **PPO)
    assert run.evaluate()["return"] == 1


def built(**settings: Any) -> Job:
    return recipe_type("control").parse(nested(settings)).build(Supplied())


def test_what_is_made() -> None:
    job = built(env=f"{OWN}:Relay", trust_env=True, **{"team.learners": "independent"})
    assert isinstance(job.trained.network.model, Apart)
    first, second, _ = (
        torch.cat([p.flatten() for p in net.parameters()]) for net in job.trained.network.model.networks
    )
    assert not first.equal(second)
    assert job.recipe.environments == 66  # type: ignore[attr-defined]
    assert job.source.environment.count == 66  # type: ignore[attr-defined]
    test = job.held_out["test"]
    assert (test.environment.count, test.each) == (10 * 3, 10)  # type: ignore[attr-defined]
    job.close()


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (f"--env {OWN}:Relay --trust-env --team.learners alone", ["learners", "shared"]),
        ("--team.learners independent", ["team.learners", "cartpole", "beside others"]),
        ("--env mpe3/simple_spread_v3", ["mpe3"]),
        (f"--env {OWN}:Relay", ["--trust-env"]),
    ],
)
def test_what_does_not_go_together(words: str, texts: list[str], penstock: Command, here: Path) -> None:
    penstock(f"train control {words}").refused(2, *texts)
    assert not (here / "runs").exists()


@pytest.mark.usefixtures("no_report", "here")
def test_a_game_of_a_library(penstock: Command) -> None:
    pytest.importorskip("mpe2", reason="needs penstock[multi-agent]")
    few = FEW.replace("--trust-env ", "")
    outcome = penstock(f"train control --env mpe2/simple_spread_v3 {few} {GATHERED} --learners independent --name run")
    assert outcome.code == 0, outcome.err
    assert "return_agent_2" in outcome.err
    outcome = penstock("play run --output game.gif")
    assert outcome.code == 0, outcome.err
    assert Path("game.gif").stat().st_size > 1000
