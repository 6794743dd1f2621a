"""Learning to act: every algorithm is put together, resumed, saved and judged; wrong words are refused in a line."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import penstock as api
from penstock.core.errors import PenstockError, RecipeError
from penstock.engine.stepper import Stepper
from penstock.recipes.control_rules import frames_of
from penstock.recipes.job import Job, Supplied
from penstock.recipes.recipe import nested, recipe_from, recipe_type
from penstock.recipes.worlds import DAYS
from penstock.rl.markets import random_walk
from penstock.rl.spaces import Box, Discrete
from penstock.rl.trading import WINDOW, Trading
from penstock.rl.wrapper import bare
from penstock.run.execute import make_engine
from penstock.run.report.page import render
from penstock.run.report.records import read_run

Command = Callable[..., Any]

FEW = "--threads 1 --log-every 3 --net.hidden 8 --measure.validation 2 --measure.test 4 --world.limit 20"
GATHERED = "--environments 4 --rollout.steps 8 --batch-size 8"
KEPT = "--environments 4 --replay.warmup 12 --replay.capacity 40 --batch-size 8"
CASES = {
    "ppo": GATHERED,
    "ppo pendulum": f"{GATHERED} --env pendulum --algorithm ppo",
    "a2c": f"--algorithm a2c {GATHERED}",
    "reinforce": f"--algorithm reinforce {GATHERED}",
    "dqn": f"--algorithm dqn {KEPT}",
    "rainbow": f"--algorithm dqn {KEPT} --dueling --noisy --form c51 --prioritised --reach 3",
    "quantiles": f"--algorithm dqn {KEPT} --form quantiles --no-doubled",
    "sac": f"--env pendulum {KEPT}",
    "sac of choices": f"--algorithm sac {KEPT}",
    "td3": f"--env pendulum --algorithm td3 {KEPT} --prioritised",
    "q-learning": "--env gridworld",
    "sarsa": "--env gridworld --algorithm sarsa --map cliff",
    "dqn of states": f"--env gridworld --algorithm dqn {KEPT}",
    "trading": f"--env trading {GATHERED}",
    "gymnasium": f"--env CartPole-v1 {GATHERED}",
}


def built(**settings: Any) -> Job:
    return recipe_type("control").parse(nested(settings)).build(Supplied())


@pytest.mark.usefixtures("no_report")
@pytest.mark.parametrize("case", CASES)
def test_each_goes_on_bit_for_bit_and_is_judged_again_alike(
    case: str, penstock: Command, here: Path, same_runs: Command, signalled: Callable[..., None]
) -> None:
    words = f"train control --steps 7 {FEW} {CASES[case]}"
    outcome = penstock(f"{words} --name whole")
    assert outcome.code == 0, outcome.err
    runs = here / "runs" / "control"
    signalled(Stepper, "step", 4)
    penstock(f"{words} --name part").refused(143, "step 4", alone=False)
    assert penstock("resume part").code == 0
    same_runs(runs / "whole", runs / "part")
    found = json.loads((runs / "whole" / "evaluation.json").read_text(encoding="utf-8"))
    assert found["examples"] == 4
    assert found["metrics"]["return_deviation"] >= 0
    again = penstock("evaluate whole --format json")
    assert again.code == 0, again.err
    assert json.loads(again.out) == pytest.approx(found["metrics"])
    more = penstock("evaluate whole --episodes 6")
    assert "test (6)" in more.out
    assert ("trades at random" if case == "trading" else "as in training") in more.out


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        ("--env cartpol", ["env", "'cartpol'", "did you mean 'cartpole'?"]),
        ("--env CartPol-v1", ["env", "'CartPol-v1'", "did you mean 'CartPole-v1'?"]),
        ("--algorithm dpn", ["algorithm", "'dpn'"]),
        ("--env pendulum --algorithm dqn", ["dqn", "sac"]),
        ("--algorithm td3", ["td3", "sac or dqn"]),
        ("--algorithm sarsa", ["sarsa", "use dqn"]),
        ("--model cnn", ["cnn", "use mlp"]),
        ("--model table", ["ppo", "use mlp"]),
        ("--env gridworld --model mlp", ["q-learning", "leave --model out"]),
        ("--replay.capacity 7", ["replay.capacity", "no meaning for ppo"]),
        ("--algorithm sac --dueling", ["values.dueling", "use dqn"]),
        ("--env cartpole --data prices.csv", ["data", "--env trading"]),
        ("--batch-size 3000", ["batch_size", "2048 training examples"]),
        ("--trading.short", ["trading.short", "cartpole", "--env trading"]),
        ("--env trading --trading.cost 1", ["trading.cost"]),
        ("--algorithm dqn --replay.capacity 10", ["replay", "larger capacity"]),
    ],
)
def test_what_does_not_go_together(words: str, texts: list[str], penstock: Command, here: Path) -> None:
    penstock(f"train control {words}").refused(2, *texts)
    assert not (here / "runs").exists()


def test_prices_that_are_not_there(penstock: Command, here: Path) -> None:
    penstock("train control --data nowhere.csv").refused(3, "nowhere.csv")


@pytest.mark.usefixtures("no_report")
def test_prices_of_a_table(penstock: Command, here: Path, prices: Callable[..., Path]) -> None:
    """Given prices are traded at; judged on others, all days are; those that have changed are noticed."""
    prices(here / "p.csv", 180)
    outcome = penstock(f"train control --data p.csv --steps 3 {FEW} {GATHERED} --name run")
    assert outcome.code == 0, outcome.err
    assert "trading: 32 frames an epoch" in outcome.err
    prices(here / "other.csv", 200, seed=1)
    assert "all days (4)" in penstock("evaluate run --data other.csv").out
    lines = (here / "p.csv").read_text(encoding="utf-8").splitlines()
    (here / "bare.csv").write_text("".join(f"{line.rpartition(',')[0]}\n" for line in lines), encoding="utf-8")
    penstock("evaluate run --data bare.csv").refused(3, "bare.csv", "volumes")
    prices(here / "p.csv", 180, seed=2)
    penstock("evaluate run").refused(3, "p.csv", "changed")


def test_how_one_trades_is_a_setting(prices: Callable[..., Path], tmp_path: Path) -> None:
    path = str(prices(tmp_path / "p.csv", 180))
    trading = {"actions": "share", "short": True, "window": 20, "cost": 0.01, "slippage": 0.002, "risk": 0.5}
    job = built(
        data=path, env="trading", algorithm="ppo", **{f"trading.{name}": value for name, value in trading.items()}
    )
    world = bare(job.held_out["test"].environment)  # type: ignore[attr-defined]
    assert isinstance(world, Trading)
    assert world.action == Box((1,), -1.0, 1.0)
    assert (world.window, world.rate, world.risk) == (20, 0.012, 0.5)
    assert world.observation.shape == (41,)
    assert (world.first, world.last) == (20 + int(0.8 * 159), 179)


def test_columns_of_prices_can_be_named(penstock: Command, here: Path, prices: Callable[..., Path]) -> None:
    path = prices(here / "p.csv", 180)
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([head.replace("close", "paid").replace("volume", "shares"), *lines]), encoding="utf-8")
    penstock("train control --data p.csv").refused(3, "p.csv", "--trading.close")
    named = {"trading.close": "paid", "trading.window": 20}
    for volume, numbers in (({}, 21), ({"trading.volume": "shares"}, 41)):
        world = bare(built(data=str(path), env="trading", **named, **volume).held_out["test"].environment)  # type: ignore[attr-defined]
        assert world.observation.shape == (numbers,)
    penstock("train control --data p.csv --trading.close payd").refused(3, "p.csv", "'payd'", "'paid'")
    penstock("train control --env trading --trading.close paid").refused(2, "trading.close", "no columns")


@pytest.mark.usefixtures("no_report")
def test_prices_by_their_own_name_and_the_report(penstock: Command, here: Path, prices: Callable[..., Path]) -> None:
    prices(here / "p.csv", 180)
    outcome = penstock(f"train control --prices p.csv --steps 2 {FEW} {GATHERED} --name run")
    assert outcome.code == 0, outcome.err
    folder = here / "runs" / "control" / "run"
    told = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))["trading"]
    assert [trader["name"] for trader in told["traders"]] == ["model", "buy and hold", "cash", "trades at random"]
    days = told["day"]
    assert days == list(range(len(days)))
    for trader in told["traders"]:
        assert len(trader["equity"]) == len(trader["held"]) == len(days)
        assert trader["equity"][-1] == pytest.approx(1 + trader["metrics"]["profit"], abs=1e-5)
    assert set(told["traders"][2]["equity"]) == {1.0}
    page = render(read_run(folder))
    for text in ("Sharpe ratio", "Drawdown", "cash", "buy and hold", "turnover a year"):
        assert text in page


def test_what_was_earned_stands_beside_those_who_need_no_skill(tmp_path: Path) -> None:
    """On the last fifth of the days of a made-up market, with the costs of one purchase."""
    settings: dict[str, Any] = {"frames": 2048, "measure.validation": 1, "measure.test": 3}
    run = api.train("control", data="walk", runs=str(tmp_path), quiet=True, threads=1, **settings)
    found, close = run.findings(), random_walk(DAYS, seed=0).close
    first = WINDOW + int(0.8 * (DAYS - 1 - WINDOW))
    held = 0.9985 * float(close[-1] / close[first]) - 1
    assert found["baseline"]["name"] == "buy and hold"
    assert found["baseline"]["metrics"]["profit"] == pytest.approx(held)
    assert found["baseline"]["metrics"]["return"] == pytest.approx(math.log1p(held))
    assert found["metrics"]["profit"] == pytest.approx(math.expm1(found["metrics"]["return"]), abs=1e-5)
    assert found["reference"]["metrics"]["turnover"] > 10


def test_what_is_left_open_is_decided_by_what_is_seen_and_done() -> None:
    chosen = {env: built(env=env).recipe for env in ("cartpole", "pendulum", "gridworld")}
    assert [recipe.algorithm for recipe in chosen.values()] == ["ppo", "sac", "q-learning"]
    assert [recipe.model for recipe in chosen.values()] == ["mlp", "mlp", "table"]
    assert (chosen["cartpole"].steps, chosen["cartpole"].batch_size) == (32 * 24, 512)
    assert chosen["pendulum"].steps == (50_000 // 8 - 100) * 2
    assert [recipe.net.layer_norm for recipe in chosen.values()] == [False] * 3
    deep = built(algorithm="dqn")
    assert deep.recipe.net.layer_norm
    assert any(isinstance(part, nn.LayerNorm) for part in deep.trained.objective.modules())
    where = {"cartpole": 50, "trading": 20, "Acrobot-v1": 20}
    assert {env: built(env=env).recipe.measure.validation for env in where} == where
    for recipe in chosen.values():
        assert recipe_from(json.loads(json.dumps(recipe.dump()))).build(Supplied()).recipe == recipe


def test_frames_are_those_that_are_acted() -> None:
    job = built(frames=1000, environments=5, **{"rollout.steps": 20, "batch_size": 30})
    engine = make_engine(job)
    engine.validation = None
    engine.run()
    assert int(engine.source.tensors()["gathered"]) == 10
    assert frames_of(job.recipe, engine.clock.step)  # type: ignore[arg-type] == 1000
    job = built(frames=1000, environments=5, algorithm="dqn", **{"replay.warmup": 50, "batch_size": 8})
    engine = make_engine(job)
    engine.validation = None
    engine.run()
    assert int(engine.source.tensors()["memory.held"]) * 5 == 1000 - 5  # the last batch is drawn before it acts again


def test_a_policy_is_judged_in_worlds_of_its_own() -> None:
    job = built()
    worlds = [job.source.environment, *(part.environment for part in job.held_out.values())]  # type: ignore[attr-defined]
    assert len({id(world) for world in worlds}) == 3
    assert len({part.seed for part in job.held_out.values()}) == 2  # type: ignore[attr-defined]


def test_the_scale_of_what_is_seen_goes_with_the_model(tmp_path: Path) -> None:
    job = built(steps=30, **{"world.normalise": True, "rollout.steps": 8, "batch_size": 64})
    engine = make_engine(job)
    engine.validation = None
    engine.run()
    (tmp_path / "m").mkdir()
    job.trained.save(tmp_path / "m")
    loaded = job.recipe.load(tmp_path / "m")
    known, read = job.trained.moments.tensors(), loaded.moments.tensors()  # type: ignore[attr-defined]
    assert float(known["count"]) > 64
    assert all(torch.equal(known[name], read[name]) for name in known)
    assert loaded.parameters == job.trained.parameters
    assert loaded.seen == job.trained.seen == Box((4,), job.trained.seen.low, job.trained.seen.high)  # type: ignore[attr-defined]
    assert loaded.done == Discrete(2)  # type: ignore[attr-defined]


def test_q_learning_finds_the_way_over_the_ice(tmp_path: Path) -> None:
    """Six moves, the last of which is free, as value iteration has it."""
    settings: dict[str, Any] = {"world.map": "lake", "frames": 4000, "measure.test": 2, "measure.validation": 1}
    run = api.train("control", env="gridworld", discount=0.95, runs=str(tmp_path), quiet=True, threads=1, **settings)
    assert run.evaluate()["return"] == -5
    assert run.evaluate()["episode_length"] == 6


def test_a_pole_is_balanced(tmp_path: Path) -> None:
    """At random it stands for 22 steps."""
    settings: dict[str, Any] = {"measure.test": 10, "measure.validation": 5}
    run = api.train("control", frames=32_768, runs=str(tmp_path), quiet=True, threads=1, **settings)
    found = run.findings()
    assert found["metrics"]["return"] > 200
    assert found["baseline"]["metrics"]["return"] < 40
    assert "Explained variance" in (run.folder / "report.html").read_text(encoding="utf-8")
    with pytest.raises(RecipeError, match="penstock evaluate"):
        run.predict([1])
    with pytest.raises(PenstockError, match="leave --data out"):
        run.evaluate("digits")


def test_objects_are_refused() -> None:
    with pytest.raises(RecipeError, match="name --env"):
        api.train("control", data=[1, 2], quiet=True)
