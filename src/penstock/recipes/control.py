"""Control: acting so that as much reward as possible comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field

from penstock.core.errors import DataError, RecipeError
from penstock.core.ranks import ALONE, Ranks
from penstock.recipes.architectures import one_of
from penstock.recipes.control_settings import (
    NETWORKS,
    ON_POLICY,
    Algorithm,
    ControlNet,
    ControlOptim,
    MeasureSettings,
    PolicySettings,
    ReplaySettings,
    RolloutSettings,
    SoftSettings,
    TeamSettings,
    ValueSettings,
)
from penstock.recipes.recipe import Recipe, Where
from penstock.recipes.world_settings import TradingSettings, WorldSettings

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from penstock.core.objective import Evaluation
    from penstock.engine.watcher import Watcher
    from penstock.recipes.job import Job, Supplied
    from penstock.recipes.playing import Playing
    from penstock.recipes.trained import Trained
    from penstock.recipes.worlds import Worlds
    from penstock.rl.environment import Environment
    from penstock.rl.spaces import Space


CANNOT_BE_SAVED = "this environment cannot be saved: resumed, episodes begin anew"


class Control(Recipe):
    """Learn to act in an environment by trying."""

    task: ClassVar[str] = "control"
    summary: ClassVar[str] = "learn to act in an environment, from the reward that comes of it"
    example: ClassVar[str] = "penstock train control --env pendulum --algorithm sac"
    activity: ClassVar[str] = "control"
    headline: ClassVar[Sequence[str]] = ("return",)
    use: ClassVar[str] = "penstock play {run}"
    python_use: ClassVar[str] = "run.evaluate()"

    data: Annotated[
        Where,
        Field(
            description="prices to trade at, also --prices: a table, or the made-up markets reversion and walk",
            json_schema_extra={"also": "prices"},
        ),
    ] = "reversion"
    env: Annotated[
        str,
        Field(
            min_length=1,
            description="cartpole, pendulum, gridworld, trading, the name of one of Gymnasium's or PettingZoo's: "
            "Acrobot-v1 and mpe2/simple_spread_v3, or your own: world.py, world.py:Name, module:Name; auto: trading "
            "where prices are given, else cartpole",
        ),
    ] = "auto"
    trust_env: Annotated[
        bool,
        Field(exclude=True, description="run the code of an environment of your own"),
    ] = False
    algorithm: Annotated[
        Algorithm, Field(description="how it learns; auto: ppo, sac where actions are numbers, q-learning for tables")
    ] = "auto"
    model: Annotated[
        str,
        Field(description=f"auto (by what is seen), {', '.join(NETWORKS)}"),
        AfterValidator(one_of(NETWORKS)),
    ] = "auto"
    frames: Annotated[
        int | None,
        Field(ge=1, le=10**12, description="steps of all environments together; by the algorithm if not given"),
    ] = None
    environments: Annotated[
        int | None,
        Field(
            ge=1, le=10**6, description="environments that are acted in at once, of games the agents; by the algorithm"
        ),
    ] = None
    batch_size: Annotated[
        int | None, Field(ge=1, le=10**9, description="examples a step; by the algorithm if not given")
    ] = None
    discount: Annotated[float, Field(ge=0, le=1, description="what the next reward is worth beside this one")] = 0.99
    monitor: Annotated[str, Field(description="the validation metric that chooses the best weights")] = "return"
    precision: Annotated[
        Literal["auto", "float32", "bf16", "fp16"],
        Field(description="of the layers as they learn; a policy in bfloat16 is not the one that acted"),
    ] = "float32"
    clip_norm: Annotated[
        float | None, Field(gt=0, description="scale gradients down to this norm; by the algorithm if not given")
    ] = None
    world: WorldSettings = WorldSettings()
    trading: TradingSettings = TradingSettings()
    rollout: RolloutSettings = RolloutSettings()
    policy: PolicySettings = PolicySettings()
    replay: ReplaySettings = ReplaySettings()
    values: ValueSettings = ValueSettings()
    soft: SoftSettings = SoftSettings()
    team: TeamSettings = TeamSettings()
    net: ControlNet = ControlNet()
    optim: ControlOptim = ControlOptim()
    measure: MeasureSettings = MeasureSettings()

    @property
    def trusts(self) -> bool:
        """The environment's code."""
        return self.trust_env

    @property
    def gathered(self) -> int:
        """Frames that are gathered before they are learned from, of a resolved recipe."""
        assert self.rollout.steps is not None
        assert self.environments is not None
        return self.rollout.steps * self.environments

    @property
    def warmup_steps(self) -> int:
        """Steps of all environments with actions at random, of a resolved recipe."""
        assert self.replay.warmup is not None
        assert self.replay.reach is not None
        assert self.environments is not None
        return max(-(-self.replay.warmup // self.environments), self.replay.reach)

    def build(self, supplied: Supplied, ranks: Ranks = ALONE) -> Job:
        """Make the environments, and what acts and learns in them."""
        from penstock.core.random import derive, seed_all
        from penstock.engine.device import pick_device
        from penstock.recipes.control_rules import frames_of, resolved
        from penstock.recipes.controllers import make_objective, make_source
        from penstock.recipes.job import Job
        from penstock.recipes.playing import Playing
        from penstock.recipes.showing import draw_best
        from penstock.recipes.times import EvaluationTimes
        from penstock.recipes.worlds import worlds_of

        device = pick_device(self.device, ranks=ranks)
        for name in supplied.names():
            raise RecipeError(name, "an object cannot be acted in, nor taught by itself", "name --env and --model")
        wanted = self._with_env()
        worlds = worlds_of(wanted, device, ranks)
        tried = worlds.tried()
        seen, done, agents, together = tried.seen, tried.done, tried.agents, max(len(tried.agents), 1)
        recipe = resolved(wanted, seen, done, own=worlds.own, world=worlds.usual, together=together)
        worlds = replace(worlds, recipe=recipe, together=together)
        assert recipe.environments is not None
        bounded = recipe.algorithm in ON_POLICY
        seed_all(self.seed)
        objective = make_objective(recipe, seen, done, agents).to(device)
        opened: list[Environment] = []

        def close() -> None:
            for world in opened:
                world.close()

        try:
            world, moments = worlds.to_learn(recipe.environments, bounded=bounded)
            opened.append(world)
            source = make_source(recipe, world, objective, derive(self.seed, "training", ranks.rank))
            trained = Playing(objective, recipe.model, recipe.algorithm, seen, done, moments, agents)
            _check(trained, self.monitor)
            rest = {}
            for part, episodes in (("validation", recipe.measure.validation), ("test", recipe.measure.test)):
                assert episodes is not None
                rest[part] = recipe.episodes(trained, worlds, part, episodes)
                opened.append(rest[part].environment)
        except BaseException:
            close()
            raise

        def keep(folder: Path, evaluation: Evaluation) -> None:
            if recipe.measure.film:
                draw_best(recipe, trained, worlds, evaluation, rest["test"], folder)

        def watchers(folder: Path) -> Sequence[Watcher]:
            return [EvaluationTimes(folder)]

        def judge(evaluation: Evaluation, split: str) -> dict[str, Any]:
            return recipe.judged(trained, evaluation, rest[split], split)

        epoch = frames_of(recipe, source.epoch_steps)
        facts = {
            "name": worlds.title,
            "origin": recipe.data if recipe.env == "trading" else recipe.env,
            "kind": "environment",
            "noun": "frames an epoch",
            "examples": epoch,
            "splits": {"train": epoch},
            "notes": recipe.notes(seen, done, agents),
            "suspicions": [*tried.looks, *([] if world.exact else [CANNOT_BE_SAVED])],
            "fingerprint": worlds.fingerprint,
            "supplied": [],
        }
        optimizers = {role: recipe.optim.build() for role in objective.roles()}
        return Job(recipe, trained, source, rest, optimizers, facts, judge, keep=keep, watchers=watchers, close=close)

    def episodes(self, trained: Playing, worlds: Worlds, part: str, count: int) -> Any:
        """So many episodes of the best actions, always with the same beginnings."""
        from penstock.core.random import derive
        from penstock.rl.acting import Actor
        from penstock.rl.episodes import Episodes

        world, each = worlds.to_judge(part, count, trained.moments, bounded=self.algorithm in ON_POLICY)
        actor = Actor(trained.objective, trained.objective.best)
        return Episodes(world, actor, each=each, discount=self.discount, seed=derive(self.seed, part))

    def judged(self, trained: Playing, evaluation: Evaluation, episodes: Any, split: str) -> dict[str, Any]:
        """An evaluation as the report shows it."""
        from penstock.recipes.traders import traded
        from penstock.rl.trading import Trading
        from penstock.rl.wrapper import bare

        world, seed = episodes.environment, episodes.seed
        found = trained.judged(evaluation, world, episodes.each, seed=seed, split=split, precision=self.precision)
        market = bare(world)
        return traded(trained, market, found, seed) if isinstance(market, Trading) else found

    def load(self, folder: Path, model: nn.Module | None = None) -> Trained:
        """See `Playing.load`."""
        from functools import partial

        from penstock.recipes.controllers import make_objective
        from penstock.recipes.playing import Playing

        return Playing.load(folder, partial(make_objective, self))

    def examine(self, trained: Trained, supplied: object, fingerprint: object, other: object) -> dict[str, Any]:
        """The episodes of the test again; at `other` prices, all days."""
        from penstock.recipes.playing import Playing
        from penstock.recipes.worlds import worlds_of

        assert isinstance(trained, Playing)
        chosen, part = self, "test"
        if other is not None:
            if self.env != "trading":
                raise RecipeError("data", "a policy is judged in its environment", "leave --data out")
            chosen, part = self.model_copy(update={"data": str(other)}), "all days"
        worlds = worlds_of(chosen, trained.device, together=max(len(trained.agents), 1))
        if other is None and fingerprint != worlds.fingerprint:
            raise DataError(self.data, "the data have changed since this run", "restore them, or give --data")
        episodes = self.episodes(trained, worlds, part, self.measure.test)
        try:
            if (shown := episodes.environment.observation.shape) != trained.seen.shape:
                problem = f"{shown} is seen, and the model was taught by {trained.seen.shape}"
                raise DataError(chosen.data, problem, "give prices with volumes, or without, as in training")
            return self.judged(trained, trained.evaluate(episodes, self.precision), episodes, part)
        finally:
            episodes.environment.close()

    def judged_by(self, episodes: int) -> Self:
        """The same recipe with so many episodes of the test."""
        return self.model_copy(update={"measure": self.measure.model_copy(update={"test": episodes})})

    def notes(self, seen: Space, done: Space, agents: Sequence[str] = ()) -> dict[str, str]:
        """What is said before training, of a resolved recipe."""
        from penstock.recipes.control_rules import frames_of
        from penstock.rl.spaces import described

        length = f", {frames_of(self, self.steps):,} frames in all" if self.steps else ""
        many = f"{games:,} at once" if (games := (self.environments or 1) // max(len(agents), 1)) != 1 else "one"
        return {
            "environment": f"shows {described(seen)}; to do: {described(done)}; {many}",
            **({"agents": f"{', '.join(agents)}; learners: {self.team.learners}"} if len(agents) > 1 else {}),
            "learns": f"by {self.algorithm}, {self.model}{length}",
            "judged": f"by {self.measure.validation} episodes as it learns, by {self.measure.test} at the end",
        }

    def _with_env(self) -> Self:
        """With an environment."""
        usual = "trading" if "data" in self.model_fields_set else "cartpole"
        return self.model_copy(update={"env": usual if self.env == "auto" else self.env})


def _check(trained: Playing, monitor: str) -> None:
    """Raises RecipeError where the monitored metric is not measured."""
    import torch

    from penstock.core.batch import Batch
    from penstock.recipes.trained import check_measured

    fields = ("return", "length", "value", "discounted", *(f"return_{name}" for name in trained.objective.agents))
    check_measured(trained.objective, Batch({name: torch.zeros(2) for name in fields}), monitor)
