"""One learner in a process of its own until it balances the pole: python -m peers.reaching '{"library": ..., ...}'.

The order has the "library", the "algorithm", the "seed", and the rule by which both sides are judged: "every" so many
frames the mean return of the best actions in so many "episodes" must reach the "bar". The last line that is printed is
JSON: whether it was "reached" before the "frames" of the settings ran out, after how many "frames", the "return", and
"seconds" of learning, evaluations left out.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

FRAMES = {"ppo": 100_000, "dqn": 50_000}
"""Of the zoo's settings, by which its schedules go."""
Told = dict[str, Any]


class Reached(Exception):
    """The bar is reached; holds what is to be told."""

    def __init__(self, told: Told) -> None:
        super().__init__()
        self.told = told


class Watch:
    """Counts the seconds of learning, and says when the bar is reached."""

    def __init__(self, bar: float) -> None:
        self._bar, self._seconds, self._since = bar, 0.0, time.perf_counter()
        self.told: Told = {"reached": False}

    def pause(self) -> None:
        """An evaluation begins."""
        self._seconds += time.perf_counter() - self._since

    def go_on(self, frames: int, gain: float) -> None:
        """It is over. Raises Reached."""
        self.told = {
            "reached": gain >= self._bar,
            "frames": frames,
            "return": round(gain, 1),
            "seconds": round(self._seconds, 3),
        }
        if gain >= self._bar:
            raise Reached(self.told)
        self._since = time.perf_counter()


def penstock(order: Told) -> Told:
    """The engine with the recipe's own settings; the files of a run are not written."""
    from penstock.core.random import derive, seed_all
    from penstock.engine.engine import Engine
    from penstock.engine.plan import Plan
    from penstock.engine.watcher import Watcher
    from penstock.recipes.control import Control
    from penstock.recipes.control_rules import frames_of
    from penstock.recipes.job import Supplied
    from penstock.recipes.recipe import recipe_from

    settings = {"env": "cartpole", "algorithm": order["algorithm"], "seed": order["seed"]}
    measured = {"measure": {"validation": order["episodes"], "test": order["episodes"]}}
    job = recipe_from({"task": "control", **settings, **measured, **order["settings"]}, "race").build(Supplied())
    recipe = job.recipe
    assert isinstance(recipe, Control)
    often = order["every"] / frames_of(recipe, job.source.epoch_steps)  # in epochs
    given = {name: getattr(recipe, name) for name in Plan.model_fields} | {"evaluate_every": often}
    watch = Watch(order["bar"])
    warmup = 0 if recipe.algorithm == "ppo" else recipe.warmup_steps * (recipe.environments or 1)

    class Until(Watcher):
        def measured(self, row: Told) -> None:
            if row["split"] == "validation":
                watch.go_on(frames_of(recipe, row["step"]) + warmup, row["return"])

    seed_all(derive(order["seed"], "training"))
    engine = Engine(
        job.trained.objective,
        job.source,
        Plan.model_validate(given),
        job.optimizers,
        validation=job.held_out["validation"],
        watchers=[Until()],
    )
    evaluate = engine.evaluate

    def timed(batches: Any) -> Any:
        watch.pause()
        return evaluate(batches)

    engine.evaluate = timed  # type: ignore[method-assign]
    engine.run()
    return watch.told


def stable_baselines3(order: Told) -> Told:
    """With the settings of its zoo (rl-zoo3, hyperparams/ppo.yml and dqn.yml, CartPole-v1)."""
    import torch
    from stable_baselines3 import DQN, PPO
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.evaluation import evaluate_policy

    torch.set_num_threads(1)  # faster than two, for networks as small as these
    watch, seed, frames = Watch(order["bar"]), order["seed"], FRAMES[order["algorithm"]]
    judged = make_vec_env("CartPole-v1", n_envs=order["episodes"], seed=seed + 1000)

    class Until(BaseCallback):
        judgements = 0

        def _on_step(self) -> bool:
            if self.num_timesteps // order["every"] > self.judgements:
                self.judgements = self.num_timesteps // order["every"]
                watch.pause()
                gain, _ = evaluate_policy(self.model, judged, n_eval_episodes=order["episodes"], warn=False)
                watch.go_on(self.num_timesteps, float(gain))
            return True

    def falling(start: float) -> Callable[[float], float]:
        return lambda left: left * start

    if order["algorithm"] == "ppo":
        model: Any = PPO(
            "MlpPolicy",
            make_vec_env("CartPole-v1", n_envs=8, seed=seed),
            n_steps=32,
            batch_size=256,
            gae_lambda=0.8,
            gamma=0.98,
            n_epochs=20,
            ent_coef=0.0,
            learning_rate=falling(1e-3),
            clip_range=falling(0.2),
            seed=seed,
            device="cpu",
        )
    else:
        model = DQN(
            "MlpPolicy",
            make_vec_env("CartPole-v1", n_envs=1, seed=seed),
            learning_rate=2.3e-3,
            batch_size=64,
            buffer_size=100_000,
            learning_starts=1000,
            gamma=0.99,
            target_update_interval=10,
            train_freq=256,
            gradient_steps=128,
            exploration_fraction=0.16,
            exploration_final_eps=0.04,
            policy_kwargs={"net_arch": [256, 256]},
            seed=seed,
            device="cpu",
        )
    model.learn(frames, callback=Until())
    return watch.told


LIBRARIES = {"penstock": penstock, "stable-baselines3": stable_baselines3}

if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    try:
        found = LIBRARIES[asked["library"]](asked)
    except Reached as reached:
        found = reached.told
    print("\n" + json.dumps(found))
