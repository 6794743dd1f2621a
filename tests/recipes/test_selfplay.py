"""Self-play: every game is learned, resumed, saved, judged and asked; wrong words are refused in a line."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import penstock as api
from penstock.core.errors import DataError, RecipeError
from penstock.engine.stepper import Stepper
from penstock.recipes.board_rules import batches_of
from penstock.recipes.job import Job, Supplied
from penstock.recipes.recipe import nested, recipe_from, recipe_type
from penstock.run.execute import make_engine

Command = Callable[..., Any]

FEW = (
    "--threads 1 --log-every 3 --batch-size 8 --play.games 4 --play.moves 3 --play.capacity 60 --net.width 4"
    " --net.layers 1 --search.simulations 4 --measure.validation 2 --measure.test 4"
)
CASES = {
    "tic-tac-toe": "",
    "connect four": "--data connect-four",
    "go": "--data go-3 --play.komi 0.5",
    "without neighbours": "--model mlp --net.layers 2",
}


def built(**settings: Any) -> Job:
    return recipe_type("selfplay").parse(nested(settings)).build(Supplied())


@pytest.mark.usefixtures("no_report")
@pytest.mark.parametrize("case", CASES)
def test_each_goes_on_bit_for_bit_and_is_judged_again_alike(
    case: str, penstock: Command, here: Path, same_runs: Command, signalled: Callable[..., None]
) -> None:
    words = f"train selfplay --steps 13 {FEW} {CASES[case]}"
    outcome = penstock(f"{words} --name whole")
    assert outcome.code == 0, outcome.err
    runs = here / "runs" / "selfplay"
    signalled(Stepper, "step", 8)
    penstock(f"{words} --name part").refused(143, "step 8", alone=False)
    assert penstock("resume part").code == 0
    same_runs(runs / "whole", runs / "part")
    found = json.loads((runs / "whole" / "evaluation.json").read_text(encoding="utf-8"))
    opponents = found["board"]["opponents"]
    solved = case in ("tic-tac-toe", "without neighbours")
    assert opponents == ["random", "one_ply", "search", "perfect"][: 4 if solved else 3]
    assert found["examples"] == 4 * len(opponents)
    again = penstock("evaluate whole --format json")
    assert again.code == 0, again.err
    assert json.loads(again.out) == pytest.approx(found["metrics"])
    head, row = penstock("predict whole", "").out.splitlines()
    assert head.startswith("input,prediction,value,probability ")
    assert -1 <= float(row.split(",")[2]) <= 1
    assert f"test ({6 * len(opponents)})" in penstock("evaluate whole --episodes 6").out


@pytest.mark.parametrize(
    ("words", "code", "texts"),
    [
        ("--data conect-four", 3, ["'connect-four'"]),
        ("--data chess", 3, ["chess", "tic-tac-toe"]),
        ("--data go-1", 2, ["from 2 to 19"]),
        ("--data go-25", 2, ["from 2 to 19"]),
        ("--play.komi 3", 2, ["play.komi", "no meaning for tic-tac-toe"]),
        ("--model resnet", 2, ["model", "'resnet'"]),
        ("--search.simulations 0", 2, ["search.simulations"]),
        ("--batch-size 9 --play.capacity 8", 2, ["9 positions", "the 8 training examples"]),
        ("--monitor accuracy", 2, ["monitor", "not measured"]),
    ],
)
def test_what_does_not_go_together(words: str, code: int, texts: list[str], penstock: Command, here: Path) -> None:
    penstock(f"train selfplay {words}").refused(code, *texts)
    assert not (here / "runs").exists()


def test_what_is_left_open_is_decided_by_the_game() -> None:
    for game in ("tic-tac-toe", "connect-four", "go-4"):
        recipe = built(data=game).recipe
        assert recipe.model == "cnn"
        assert None not in (recipe.search.simulations, recipe.play.games, recipe.net.width, recipe.optim.lr)
        assert recipe.steps % batches_of(recipe) == 0
        assert recipe_from(json.loads(json.dumps(recipe.dump()))).build(Supplied()).recipe == recipe
    assert built(data="go-4").recipe.search.concentration == pytest.approx(10 / 17, abs=1e-3)


def test_positions_are_those_that_are_played() -> None:
    words = {"play.games": 4, "play.moves": 5, "play.rounds": 2, "batch_size": 10, "search.simulations": 2}
    job = built(positions=60, **words)
    assert job.recipe.steps == 3 * batches_of(job.recipe) == 12
    engine = make_engine(job)
    engine.validation = None
    engine.run()
    gathered, made, _ = engine.source.tensors()["counts"].tolist()
    assert gathered == 3
    assert made >= 15  # the first time until there is enough for a batch


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    settings = {"positions": 1500, "play.games": 30, "play.moves": 10, "search.simulations": 16, "measure.test": 20}
    settings |= {"measure.validation": 4, "evaluate_every": 2}
    runs = str(tmp_path_factory.mktemp("runs"))
    return api.train("selfplay", runs=runs, quiet=True, threads=1, **settings)


def test_it_is_better_than_chance_and_says_against_whom(run: Any) -> None:
    found = run.findings()
    assert found["metrics"]["return"] > found["baseline"]["metrics"]["return"] + 0.3
    assert found["metrics"]["wins_random"] > 0.6
    matches = found["board"]["matches"]
    assert [(match["opponent"], match["first"]) for match in matches[:3]] == [
        ("random", True),
        ("random", False),
        ("one_ply", True),
    ]
    assert all(match["wins"] + match["draws"] + match["losses"] == 10 for match in matches)


def test_it_tells_the_best_move_and_what_it_is_worth(run: Any) -> None:
    won, forced = run.predict(["a1 b1 a2 b2", "a1 b1 a2"])
    assert won["prediction"] == "a3"
    assert won["value"] > 0.5
    assert won["probabilities"]["a1"] == 0
    assert sum(won["probabilities"].values()) == pytest.approx(1)
    assert forced["prediction"] == "a3"
    assert forced["value"] < won["value"]
    with pytest.raises(RecipeError, match="'a1' is not allowed after 1 moves"):
        run.predict("a1 a1")
    with pytest.raises(DataError, match="this game is over"):
        run.predict("a1 b1 a2 b2 a3")
    with pytest.raises(DataError, match="a text of moves"):
        run.predict([3])
    with pytest.raises(DataError, match="leave --data out"):
        run.evaluate("digits")


def test_objects_are_refused() -> None:
    with pytest.raises(RecipeError, match="name a game"):
        api.train("selfplay", data=[1, 2], quiet=True)


def said_in(run: Any, lines: list[str], **settings: Any) -> list[str]:
    told: list[str] = []
    run.against(lines, told.append, **settings)
    return told


def test_one_can_play_against_it(run: Any) -> None:
    """Whoever lets it make three in a row loses; wrong moves are told, and asked for again."""
    told = said_in(run, ["z9", "", "a1", "a1", "b2", "a3", "b3", "c3", "a2", "b1", "c1", "c2"] * 3)
    assert told[0] == " 3  .  .  . \n 2  .  .  . \n 1  .  .  . \n    a  b  c "
    assert any("there is no move 'z9'" in line for line in told)
    assert any("'a1' is not allowed now" in line for line in told)
    assert told[-1] in ("I have won", "a draw", "you have won")
    answers = [line for line in told if line.startswith("I play ")]
    assert len(answers) >= 2
    assert all("of 100 points" in line for line in answers)
    begun = said_in(run, [], second=True)
    assert begun[1].startswith("I play ")
    assert begun[2].count("X") == 1
    assert begun[-1] == "the game was left"


def test_a_game_against_what_was_learned(penstock: Command, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert penstock(f"train selfplay --steps 2 {FEW} --name run").code == 0
    typed = ["b2", "b2", "here", "\n", *(f"{column}{row}" for column in "abc" for row in "123")]  # one is always free
    for words, begins in (("", " 2  .  X  . "), ("--second", " 3  ")):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("\n".join(typed).encode() + b"\n\xff")))
        outcome = penstock(f"play run {words}")
        assert outcome.code == 0, outcome.err
        assert begins in outcome.out
        assert outcome.out.strip().splitlines()[-1] in ("a draw", "you have won", "I have won")
        assert "there is no move 'here'; moves are a3 to c1" in outcome.out
        assert outcome.out.count("I play ") >= 2
    for flag in ("--window", "--sampled", "--episodes 3", "--seed 1", "--output game.gif"):
        penstock(f"play run {flag}").refused(2, flag.split()[0], "nothing to look at", "leave it out")
    assert penstock("train control --steps 1 --threads 1 --measure.validation 1 --measure.test 1 --name pole").code == 0
    penstock("play pole --second").refused(2, "--second", "there is no game")
