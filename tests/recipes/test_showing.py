"""The film of the best episode is of the one that was judged: the same steps and the same return, whichever it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from penstock.recipes import showing
from penstock.recipes.job import Job, Supplied
from penstock.recipes.recipe import nested, recipe_type
from penstock.run.execute import make_engine

FEW: dict[str, Any] = {
    "steps": 2,
    "environments": 2,
    "rollout.steps": 4,
    "batch_size": 8,
    "net.hidden": [4],
    "measure.validation": 1,
    "measure.test": 6,
    "threads": 1,
}


def built(**settings: Any) -> Job:
    return recipe_type("control").parse(nested(FEW | settings)).build(Supplied())


@pytest.mark.parametrize("env", ["cartpole", "CartPole-v1"])
def test_it_is_the_best_that_is_drawn(env: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if env == "CartPole-v1":
        pytest.importorskip("pygame")
        monkeypatch.setattr("penstock.recipes.worlds.AT_ONCE", 3)  # two rounds of three
    job = built(env=env)
    engine = make_engine(job)
    engine.run()
    evaluation = engine.evaluate(job.held_out["test"])
    shown: list[showing.Frame] = []
    play = showing.Show.__iter__

    def noted(show: showing.Show) -> Any:
        for frame in play(show):
            shown.append(frame)
            yield frame

    monkeypatch.setattr(showing.Show, "__iter__", noted)
    job.keep(tmp_path, evaluation)
    job.close()
    returns = evaluation.records["return"]
    assert len(returns.unique()) > 1
    assert shown[-1].gain == returns.max()
    assert shown[-1].step == evaluation.records["length"][returns.argmax()]
    assert [frame.last for frame in shown] == [False] * (len(shown) - 1) + [True]
    assert (tmp_path / "best-episode.gif").is_file()


def test_what_draws_nothing_has_no_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = built()
    engine = make_engine(job)
    engine.run()

    def refuse(*_: object) -> None:
        raise showing.RecipeError("play", "draws no picture", "look away")

    monkeypatch.setattr("penstock.rl.cartpole.CartPole.draw", refuse)
    job.keep(tmp_path, engine.evaluate(job.held_out["test"]))
    job.close()
    assert not list(tmp_path.iterdir())
