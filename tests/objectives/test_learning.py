"""Learning by acting, through the engine: a pole is balanced, and the best arms are found."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from penstock.core.objective import Listening
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.models.action_values import ActionValues
from penstock.models.observing import VectorTrunk
from penstock.models.policy import ActorCritic, OneOfHead
from penstock.objectives.acting import Acting
from penstock.objectives.policy_gradient import PolicyGradient
from penstock.objectives.q_learning import QLearning
from penstock.objectives.surrogates import Clipped
from penstock.optim.adam import Adam
from penstock.optim.schedules import Linear
from penstock.rl.acting import Actor
from penstock.rl.cartpole import CartPole
from penstock.rl.episodes import Episodes
from penstock.rl.replay import Replay
from penstock.rl.rollouts import Rollouts
from penstock.rl.tabular import Bandit

EXPLICIT: dict[str, Any] = {"precision": "float32", "compile": "off", "onednn": "off", "threads": 1, "device": "cpu"}


def train(objective: Acting, source: Listening, steps: int, lr: float) -> Engine:
    torch.manual_seed(1)
    plan = Plan(steps=steps, clip_norm=0.5, log_every=1000, **EXPLICIT)
    engine = Engine(objective, source, plan, {"model": Adam(lr=lr, schedule=Linear())})
    engine.run()
    return engine


def test_ppo_balances_a_pole() -> None:
    """At random a pole stands for 22 steps; 32,768 steps of 64 carts are made here."""
    torch.manual_seed(0)
    model = ActorCritic(VectorTrunk(inputs=4), OneOfHead(64, 2), critic=VectorTrunk(inputs=4))
    objective = PolicyGradient(model, surrogate=Clipped())
    source = Rollouts(CartPole(count=64), Actor(objective, objective.act), steps=32, rounds=6, parts=4)
    engine = train(objective, source, 16 * source.epoch_steps, 3e-3)
    found = engine.evaluate(Episodes(CartPole(count=20), Actor(objective, objective.best), seed=5))
    assert found.metrics["return"] > 150
    assert found.metrics["return"] == found.metrics["episode_length"]


MEANS = torch.tensor([[0.0, 1.0, 0.5], [1.5, 0.0, -1.0]])
"""Of three arms in two situations."""


@pytest.mark.parametrize("kind", ["a2c", "dqn"])
def test_the_best_arms_are_found(kind: str) -> None:
    torch.manual_seed(0)
    world, trunk, steps = Bandit(MEANS, count=16, noise=0.3), VectorTrunk(inputs=2, hidden=()), 250
    objective: Acting
    source: Listening
    if kind == "a2c":
        objective = PolicyGradient(ActorCritic(trunk, OneOfHead(2, 3)))
        source = Rollouts(world, Actor(objective, objective.act), steps=4)
    else:
        objective = QLearning(ActionValues(trunk, actions=3))
        source = Replay(world, Actor(objective, objective.act), capacity=4000, batch_size=64, warmup=10)
    train(objective, source, steps, 0.05)
    with torch.no_grad():
        best = objective.best(torch.eye(2))
    assert best["action"].tolist() == [1, 0]
    torch.testing.assert_close(best["value"], torch.tensor([1.0, 1.5]), rtol=0, atol=0.2)
