"""Atari's games: what is seen against the emulator's own screens, lives, and going on from what was saved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from penstock.engine.stepper import Stepper
from penstock.recipes.job import Supplied
from penstock.recipes.recipe import nested, recipe_type
from penstock.rl.gym_environment import GymEnvironment
from penstock.rl.maker import Maker

ale_py = pytest.importorskip("ale_py", reason="needs penstock[atari]")
GAME = "ALE/Breakout-v5"
Command = Callable[..., Any]


@pytest.fixture
def game() -> Iterator[Any]:
    from penstock.rl.atari import Atari, register

    register()
    made = Atari(GAME, sticky=0.0)
    yield made
    made.close()


def raw() -> Any:
    import gymnasium

    return gymnasium.make(GAME, obs_type="grayscale", frameskip=1, repeat_action_probability=0.0).unwrapped


def test_what_is_seen_are_the_emulators_screens(game: Any) -> None:
    """By hand: four frames an action, the brighter of the last two, and means over the pixels that are covered."""
    emulator = raw()
    emulator.reset(seed=3)
    emulator.step(1)  # fire
    game.reset(seed=3)
    for action in (2, 2, 3, 0, 3, 3, 3):
        screens = [emulator.step(action)[0] for _ in range(4)]
        seen = game.step(action)[0]
        bright = np.maximum(screens[2], screens[3]).astype(float)  # (210, 160)
        assert seen.shape == (1, 84, 84)
        assert seen.dtype == np.uint8
        fine = bright.repeat(2, 0).repeat(21, 1)  # 420 x 3360, of which 5 x 40 make a pixel
        means = fine.reshape(84, 5, 84, 40).mean((1, 3))
        assert np.abs(seen[0] - means).max() <= 1
    emulator.close()


@pytest.mark.parametrize("lives", [False, True])
def test_a_life_that_is_lost_ends_an_episode_but_not_the_game(lives: bool) -> None:
    world = GymEnvironment(Maker(name=GAME, lives=lives), count=1)
    world.reset(0)
    ended, left = 0, []
    for _ in range(400):
        met = world.step(torch.tensor([1]))  # fires, and does not move: the ball is soon lost
        inner: Any = world.group.all[0].env  # type: ignore[attr-defined]
        left.append(inner._game.ale.lives())
        ended += int(met.terminated.item())
        if ended == 2:
            break
    world.close()
    assert ended == 2
    assert left[-1] == (3 if lives else 5)  # of five; without them the second game's end begins a third


def test_it_goes_on_from_what_was_saved() -> None:
    worlds = [GymEnvironment(Maker(name=GAME, lives=True), count=2) for _ in range(2)]
    assert worlds[0].exact
    worlds[0].reset(0)
    actions = torch.randint(4, (60, 2), generator=torch.Generator().manual_seed(0))
    for action in actions[:20]:
        worlds[0].step(action)
    worlds[1].reset(7)
    worlds[1].load_state_dict(worlds[0].state_dict())
    for action in actions[20:]:
        one, two = (world.step(action) for world in worlds)
        assert torch.equal(one.observation, two.observation)
        assert torch.equal(one.reward, two.reward)
    for world in worlds:
        world.close()


@pytest.mark.usefixtures("no_report")
def test_learned_in_and_resumed(
    penstock: Command, here: Path, same_runs: Command, signalled: Callable[..., None]
) -> None:
    words = f"train control --env {GAME} --environments 2 --rollout.steps 4 --batch-size 4 --steps 4 --threads 1"
    words += " --net.hidden 8 --measure.validation 1 --measure.test 1 --world.limit 8 --evaluate-every 9"
    outcome = penstock(f"{words} --name whole")
    assert outcome.code == 0, outcome.err
    assert "shows 4 x 84 x 84 numbers" in outcome.err
    assert (here / "runs" / "control" / "whole" / "best-episode.gif").is_file()
    signalled(Stepper, "step", 2)
    penstock(f"{words} --name part").refused(143, alone=False)
    assert penstock("resume part").code == 0
    same_runs(here / "runs" / "control" / "whole", here / "runs" / "control" / "part")


def test_what_is_learned_from_is_clipped_and_what_is_judged_is_not() -> None:
    given = {"env": GAME, "environments": 1, "rollout.steps": 4, "batch_size": 4, "steps": 1}
    job = recipe_type("control").parse(nested(given)).build(Supplied())
    kinds = []
    for world in (job.source.environment, job.held_out["test"].environment):  # type: ignore[attr-defined]
        kinds.append([])
        while not isinstance(world, GymEnvironment):
            kinds[-1].append(type(world).__name__)
            world = world.inner
    assert kinds == [["ClippedRewards", "Stacked", "Checked"], ["Stacked", "Checked"]]
    assert (job.recipe.world.frames, job.recipe.world.clip_rewards) == (4, True)  # type: ignore[attr-defined]
    job.close()
