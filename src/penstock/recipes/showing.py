"""Episodes to look at: what a world looks like, step by step, while a model acts in it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

import torch

from penstock.core.errors import RecipeError, WorkerError
from penstock.core.files import write_bytes
from penstock.core.objective import Evaluation
from penstock.core.random import derive, forked, random_state, restore_random_state, seed_all
from penstock.engine.device import precision_of
from penstock.recipes.control_settings import ON_POLICY
from penstock.recipes.films import every_nth, gif
from penstock.recipes.grown import EPISODE
from penstock.recipes.playing import Playing
from penstock.recipes.worlds import Shown, Worlds, worlds_of
from penstock.rl.acting import ACTION, Act, Actor
from penstock.rl.environment import Environment, Pixels
from penstock.rl.episodes import Episodes

if TYPE_CHECKING:
    from penstock.recipes.control import Control

PICTURES = 150
"""Of the film in a report, at most."""


@final
@dataclass(frozen=True)
class Frame:
    """After `step` steps of an episode, which have brought `gain` so far. It is `last` where the episode has ended."""

    episode: int
    step: int
    gain: float
    last: bool
    world: Environment

    @property
    def picture(self) -> Pixels:
        """The world as it is now: ask before the next frame. Raises RecipeError where it draws none."""
        return self.world.picture()

    @property
    def text(self) -> str | None:
        """The same in letters, where it is best drawn so."""
        return self.world.text()

    @property
    def said(self) -> str:
        """What happened, in words."""
        end = f"ended after {self.step:,} steps" if self.last else f"step {self.step:,}"
        return f"episode {self.episode + 1}: {end}, return {self.gain:,.4g}"


@final
@dataclass(frozen=True)
class Show:
    """Episodes of one of the environments of a `world`, or of its games, the next with the next `seed`.

    Everything is done by `act`; what is gained in a game is the mean over its agents.

    Random numbers are its own, and leave those of others alone. It can be gone through once: then the world is closed.
    """

    trained: Playing
    world: Environment
    act: Act
    seed: int
    episodes: int = 1
    which: int = 0
    precision: str = "float32"

    @property
    def rate(self) -> float:
        """Steps a second."""
        return self.world.speed

    def __iter__(self) -> Iterator[Frame]:
        try:
            for episode in range(self.episodes):
                yield from self._played(episode)
        finally:
            self.world.close()

    def _played(self, episode: int) -> Iterator[Frame]:
        with forked():
            seed_all(derive(self.seed, "acting"))
            chance = random_state()
        actor, device = Actor(self.trained.objective, self.act), self.trained.device
        size = self.world.size
        own = slice(self.which * size, (self.which + 1) * size)
        self.world.watch(own.start)
        ended = torch.zeros(size, dtype=torch.bool, device=self.world.device)
        seen, gain = self.world.reset(self.seed + episode), 0.0
        yield Frame(episode, 0, gain, False, self.world)
        for step in itertools.count(1):
            with forked(), self.trained.in_earnest(), precision_of(self.precision, device), actor.awake() as ask:
                restore_random_state(*chance)
                action = ask(seen)[ACTION]
                chance = random_state()
            met = self.world.step(action)
            seen, gain = met.observation, gain + float((met.reward[own] * ~ended).mean())
            ended = ended | met.done[own]
            last = bool(ended.all())
            yield Frame(episode, step, gain, last, self.world)
            if last:
                return


def show(recipe: Control, trained: Playing, *, episodes: int, seed: int, sampled: bool, shown: Shown) -> Show:
    """Episodes of a trained policy: its best actions, or `sampled` ones, some of which are left to chance.

    Raises RecipeError where the environment draws nothing, or not without more than is installed.
    """
    bounded = recipe.algorithm in ON_POLICY
    worlds = worlds_of(recipe, trained.device, together=max(len(trained.agents), 1))
    world, _ = worlds.to_judge("test", 1, trained.moments, bounded=bounded, shown=shown)
    act = trained.objective.act if sampled else trained.objective.best
    return Show(trained, world, act, derive(recipe.seed, "play", seed), episodes, precision=recipe.precision)


def draw_best(
    recipe: Control, trained: Playing, worlds: Worlds, evaluation: Evaluation, judged: Episodes, folder: Path
) -> None:
    """A film of the episode that brought most, into a run's folder; nothing, where the environment draws no pictures.

    `evaluation` is of the episodes that were `judged`; this one is played again.
    """
    returns, count = evaluation.records["return"], judged.environment.count // judged.environment.size
    best = int(returns.argmax())
    turn, which = divmod(best, count)
    bounded = recipe.algorithm in ON_POLICY
    try:
        world, _ = worlds.to_judge("test", len(returns), trained.moments, bounded=bounded, shown="pixels")
        acts = Show(trained, world, trained.objective.best, judged.seed + turn, 1, which, recipe.precision)
        nth = max(every_nth(acts.rate), -(-int(evaluation.records["length"][best]) // PICTURES))
        pictures = [frame.picture for frame in acts if frame.last or frame.step % nth == 0]
    except (RecipeError, WorkerError):
        return
    write_bytes(folder / EPISODE, gif(pictures, acts.rate / nth))
