"""Every acting objective through the engine: it moves all it has, notes, is evaluated, and goes on bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from penstock.core.batch import Batch
from penstock.core.errors import DataError
from penstock.core.objective import Evaluation, Listening
from penstock.engine.checkpoint import Checkpoints
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.engine.watcher import Row, Watcher
from penstock.models.action_values import ActionValues, PairValue
from penstock.models.observing import VectorTrunk
from penstock.models.policy import ActorCritic, Directed, NormalHead, OneOfHead, Policy, SquashedHead
from penstock.nn.noisy import NoisyLinear
from penstock.objectives.acting import Acting
from penstock.objectives.deterministic_gradient import DeterministicGradient
from penstock.objectives.exploration import Greedy
from penstock.objectives.policy_gradient import PolicyGradient
from penstock.objectives.q_learning import QLearning
from penstock.objectives.return_forms import Histogram, Mean, ReturnForm, Spread
from penstock.objectives.soft_actor_critic import SoftNumbers, SoftOneOf
from penstock.objectives.surrogates import Clipped
from penstock.objectives.target import Target
from penstock.objectives.temperature import Temperature
from penstock.optim.adam import Adam
from penstock.rl.acting import Actor
from penstock.rl.cartpole import CartPole
from penstock.rl.environment import Environment
from penstock.rl.episodes import Episodes
from penstock.rl.pendulum import Pendulum
from penstock.rl.replay import Priorities, Replay
from penstock.rl.rollouts import Rollouts

EXPLICIT: dict[str, Any] = {"precision": "float32", "compile": "off", "onednn": "off", "threads": 1, "device": "cpu"}
LOW, HIGH = torch.tensor([-2.0]), torch.tensor([2.0])
trunk = partial(VectorTrunk, hidden=(8,))


def values(form: ReturnForm = Mean(), **choices: Any) -> QLearning:  # noqa: B008 - it is frozen
    model = ActionValues(trunk(inputs=4), actions=2, numbers=form.numbers, hidden=(8,), **choices)
    return QLearning(model, form=form, target=Target(model, pace=1.0, every=3), doubled=True)


def rainbow() -> QLearning:
    objective = values(Histogram(low=0, high=50, numbers=11), dueling=True, linear=NoisyLinear)
    objective.explore = Greedy()
    return objective


def pairs(count: int) -> list[nn.Module]:
    return [PairValue(inputs=3, low=LOW, high=HIGH, hidden=(8,)) for _ in range(count)]


def soft_one_of() -> SoftOneOf:
    critics = [ActionValues(trunk(inputs=4), actions=2) for _ in range(2)]
    return SoftOneOf(Policy(trunk(inputs=4), OneOfHead(8, 2)), critics, temperature=Temperature(0.5, aim=0.3))


def soft_numbers() -> SoftNumbers:
    actor = Policy(trunk(inputs=3), SquashedHead(8, LOW, HIGH))
    return SoftNumbers(actor, pairs(2), temperature=Temperature(0.5, aim=-1.0))


OBJECTIVES: dict[str, tuple[Callable[[], Acting], type[Environment], bool]] = {
    "dqn": (values, CartPole, False),
    "qr-dqn": (lambda: values(Spread(numbers=5)), CartPole, False),
    "rainbow": (rainbow, CartPole, False),
    "a2c": (lambda: PolicyGradient(ActorCritic(trunk(inputs=4), OneOfHead(8, 2))), CartPole, True),
    "ppo": (
        lambda: PolicyGradient(
            ActorCritic(trunk(inputs=3), NormalHead(8, 1), critic=trunk(inputs=3)),
            surrogate=Clipped(),
            entropy_weight=0.01,
        ),
        Pendulum,
        True,
    ),
    "sac one of": (soft_one_of, CartPole, False),
    "sac": (soft_numbers, Pendulum, False),
    "td3": (
        lambda: DeterministicGradient(Directed(trunk(inputs=3), LOW, HIGH), pairs(2), low=LOW, high=HIGH),
        Pendulum,
        False,
    ),
    "ddpg": (
        lambda: DeterministicGradient(
            Directed(trunk(inputs=3), LOW, HIGH), pairs(1), low=LOW, high=HIGH, turns=1, noise=0.0
        ),
        Pendulum,
        False,
    ),
}


class Kept(Watcher):
    """The rows of the log."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def measured(self, row: Row) -> None:
        self.rows.append(row)


def source(name: str, objective: Acting) -> Listening:
    _, world, on_policy = OBJECTIVES[name]
    actor = Actor(objective, objective.act)
    environment = world(count=3, limit=9)  # type: ignore[call-arg]
    if on_policy:
        return Rollouts(environment, actor, steps=8, rounds=2 if name == "ppo" else 1, parts=2 if name == "ppo" else 4)
    priorities = Priorities() if name == "rainbow" else None
    return Replay(
        environment, actor, capacity=60, batch_size=16, warmup=8, reach=3, priorities=priorities, epoch_steps=4
    )


def engine(name: str, steps: int, folder: Path | None = None) -> tuple[Engine, Acting, Kept]:
    make, world, _ = OBJECTIVES[name]
    torch.manual_seed(0)
    objective, kept = make(), Kept()
    plan = Plan(
        steps=steps, checkpoint_every=0, log_every=2, evaluate_every=0.5, monitor="return", keep="last", **EXPLICIT
    )
    made = Engine(
        objective,
        source(name, objective),
        plan,
        dict.fromkeys(objective.roles(), Adam(lr=1e-3)),
        validation=Episodes(world(count=4, limit=9), Actor(objective, objective.best)),  # type: ignore[call-arg]
        checkpoints=Checkpoints(folder) if folder else None,
        watchers=[kept],
    )
    return made, objective, kept


@pytest.mark.parametrize("name", OBJECTIVES)
def test_it_goes_on_bit_for_bit(name: str, tmp_path: Path) -> None:
    whole, objective, kept = engine(name, 10)
    whole.run()
    stopped, _, before = engine(name, 5, tmp_path)
    stopped.run()
    resumed, other, after = engine(name, 10)  # on-policy sources act again before step 9
    resumed.load_state(*Checkpoints(tmp_path).newest()[1:3])
    resumed.run()
    for key, value in objective.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key
    for key, value in whole.source.tensors().items():
        assert torch.equal(value, resumed.source.tensors()[key]), key
    rows = [row for row in before.rows if row["step"] <= 4] + [row for row in after.rows if row["step"] > 5]
    for row in [*rows, *kept.rows]:
        row.pop("epsilon", None)  # which follows from how much of a training is over: of 5 steps and of 10 not the same
    assert rows == [row for row in kept.rows if row["step"] != 5]
    assert len(rows) == 10


@pytest.mark.parametrize("name", OBJECTIVES)
def test_all_that_is_trained_moves_and_is_told_of(name: str) -> None:
    made, objective, kept = engine(name, 4)
    before = {key: value.clone() for key, value in objective.named_parameters()}
    made.run()
    trained = {
        id(p) for part in objective.roles().values() for p in (part if isinstance(part, list) else part.parameters())
    }
    still = [
        key for key, value in objective.named_parameters() if id(value) in trained and torch.equal(value, before[key])
    ]
    assert still == []
    (last,) = [row for row in kept.rows if row["split"] == "train" and row["step"] == 4]
    assert set(objective.notes) <= set(last)
    assert all(last[note] == pytest.approx(value) for note, value in objective.noted().items())
    judged = kept.rows[-2] if kept.rows[-1]["split"] == "train" else kept.rows[-1]
    assert judged["split"] == "validation"
    assert judged["overestimation"] == pytest.approx(judged["expected"] - judged["discounted"])


def test_an_evaluation_is_the_mean_of_what_was_played() -> None:
    played = {"return": torch.tensor([1.0, 3.0]), "length": torch.tensor([5.0, 7.0])}
    objective = values()
    found: Evaluation = objective.evaluate([Batch(played), Batch({name: value + 4 for name, value in played.items()})])
    assert found.metrics == pytest.approx({"return": 4.0, "return_deviation": 5**0.5, "episode_length": 8.0})
    assert found.records["return"].tolist() == [1, 3, 5, 7]
    with pytest.raises(DataError, match="no episode"):
        objective.evaluate([])
