"""A model that acts in an environment. N episodes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from penstock.core.errors import RecipeError
from penstock.core.objective import Evaluation
from penstock.core.random import derive, forked, seed_all
from penstock.metrics.interquartile import interquartile_mean, interval_of
from penstock.objectives.acting import Acting
from penstock.recipes.trained import Trained, configuration, load_weights
from penstock.rl.acting import Act, Actor
from penstock.rl.environment import Environment
from penstock.rl.episodes import Episodes
from penstock.rl.normalise import Moments
from penstock.rl.spaces import Space, space_from

MakeObjective = Callable[[Space, Space, Sequence[str]], Acting]
"""From what is seen, what can be done and who acts together."""


class Playing(Trained):
    """Acts on what it sees, which `moments`, where there are any, bring to its scale; for `agents`, if several."""

    objective: Acting

    def __init__(
        self,
        objective: Acting,
        model: str,
        algorithm: str,
        seen: Space,
        done: Space,
        moments: Moments | None,
        agents: Sequence[str] = (),
    ) -> None:
        super().__init__(objective, model)
        self.algorithm, self.seen, self.done, self.moments = algorithm, seen, done, moments
        self.agents = tuple(agents)

    @property
    def network(self) -> nn.Module:
        """All of the roles, and what follows them."""
        return self.objective

    @property
    def architecture(self) -> str:
        """By how it learned, too."""
        return f"{self.algorithm}-{self.model}"

    @property
    def parameters(self) -> int:
        """Without those that only follow others."""
        return sum(parameter.numel() for parameter in self.objective.parameters() if parameter.requires_grad)

    def config(self) -> dict[str, Any]:
        """The spaces, the scale of what is seen, and who acts together."""
        known = self.moments.tensors() if self.moments else {}
        moments = {name: value.flatten().tolist() for name, value in known.items()} or None
        spaces = {"seen": self.seen.to_json(), "done": self.done.to_json()}
        together = {"agents": self.agents} if self.agents else {}
        return {"algorithm": self.algorithm, **spaces, "moments": moments, **together}

    @classmethod
    def load(cls, folder: Path, make: MakeObjective) -> Playing:
        """Read a model's folder back; see `Answering.load`."""
        with configuration(folder) as config:
            seen, done = space_from(config["seen"]), space_from(config["done"])
            moments = None if config["moments"] is None else _moments(config["moments"], seen.shape)
            agents = tuple(map(str, config.get("agents", ())))
            objective, names = make(seen, done, agents).eval(), (str(config["model"]), str(config["algorithm"]))
            made = cls(objective, *names, seen, done, moments, agents)
        load_weights(folder, made.objective)
        return made

    def predict(self, given: Sequence[object], *, batch_size: int = 256) -> list[dict[str, Any]]:
        """Refused: it acts."""
        raise RecipeError("predict", "this model has no answers, it acts", "use: penstock evaluate RUN")

    def played(self, world: Environment, each: int, *, seed: int, act: Act, precision: str) -> Evaluation:
        """Episodes in which everything is done by `act`, with random numbers of their own."""
        with forked(), self.in_earnest():
            seed_all(derive(seed, "acting"))
            return self.evaluate(Episodes(world, Actor(self.objective, act), each=each, seed=seed), precision)

    @contextlib.contextmanager
    def in_earnest(self) -> Iterator[None]:
        """Nothing is tried inside that was only meant for the beginning."""
        progress = self.objective.progress
        try:
            self.objective.progress = 1.0
            yield
        finally:
            self.objective.progress = progress

    def judged(
        self, evaluation: Evaluation, world: Environment, each: int, *, seed: int, split: str, precision: str
    ) -> dict[str, Any]:
        """Episodes of the best actions as the report shows them, beside chosen ones and those of no skill."""
        generator = torch.Generator(world.device).manual_seed(derive(seed, "no skill"))

        def anything(seen: Tensor) -> Tensor:
            return world.action.sample(len(seen), generator)

        given: dict[str, Any] = {"seed": seed, "precision": precision}
        trivial = self.played(world, each, act=anything, **given)
        sampled = self.played(world, each, act=self.objective.act, **given)
        returns = evaluation.records["return"]
        return {
            "split": split,
            "examples": len(returns),
            "metrics": {**evaluation.metrics, **_middle(evaluation, seed)},
            "baseline": {"name": "actions at random", "metrics": {**trivial.metrics, **_middle(trivial, seed)}},
            "reference": {"name": "as in training", "metrics": {**sampled.metrics, **_middle(sampled, seed)}},
        }


def _middle(evaluation: Evaluation, seed: int) -> dict[str, float]:
    returns = evaluation.records["return"]
    low, high = interval_of(returns, seed=seed)
    return {"interquartile_mean": float(interquartile_mean(returns)), "interval_low": low, "interval_high": high}


def _moments(written: Mapping[str, Sequence[float]], shape: tuple[int, ...]) -> Moments:
    found = Moments(shape)
    tensors = {name: torch.tensor(written[name], dtype=torch.float64) for name in found.tensors()}
    found.load_tensors({name: tensors[name].reshape(value.shape) for name, value in found.tensors().items()})
    return found
