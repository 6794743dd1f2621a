"""Q-learning against its formulas, and in small worlds against dynamic programming."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from small_mdp import World, certain, uncertain
from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.errors import RecipeError
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.models.action_values import ActionValues, ValueTable
from penstock.models.observing import StateTrunk, VectorTrunk
from penstock.nn.noisy import NoisyLinear
from penstock.objectives.exploration import Annealed, EpsilonGreedy, Greedy
from penstock.objectives.q_learning import QLearning
from penstock.objectives.return_forms import Histogram, Mean, ReturnForm, Spread
from penstock.objectives.target import Target
from penstock.optim.adam import Adam
from penstock.optim.optimizer import Optimizer
from penstock.optim.schedules import Linear
from penstock.optim.sgd import SGD

EXPLICIT: dict[str, Any] = {"precision": "float32", "compile": "off", "onednn": "off", "threads": 1, "device": "cpu"}
ALWAYS = EpsilonGreedy(Annealed(start=0.3, end=0.3))


class Told:
    """The batches of a list, again and again."""

    def __init__(self, batches: list[Batch]) -> None:
        self.batches, self.at = batches, 0

    @property
    def epoch_steps(self) -> int:
        return len(self.batches)

    def __next__(self) -> Batch:
        self.at += 1
        return self.batches[(self.at - 1) % len(self.batches)]

    def state_dict(self) -> dict[str, Any]:
        return {"at": self.at}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.at = state["at"]


def train(objective: QLearning, batches: list[Batch], optimizer: Optimizer, steps: int) -> None:
    Engine(objective, Told(batches), Plan(steps=steps, **EXPLICIT), {"model": optimizer}).run()


def learned(objective: QLearning, world: World) -> Tensor:
    with torch.no_grad():
        found: Tensor = objective.form.mean(objective.model(torch.arange(world.size[0])))
    return found


def table(world: World) -> ValueTable:
    return ValueTable(states=world.size[0], actions=world.size[1])


def test_with_a_table_it_makes_the_steps_of_the_textbook() -> None:
    torch.manual_seed(0)
    world, rate = uncertain(), 0.3
    objective = QLearning(table(world), form=Mean(bend=None))
    batches = [world.sample(torch.randint(5, (1,)), torch.randint(3, (1,))) for _ in range(200)]
    train(objective, batches, SGD(lr=rate, momentum=0), 200)
    wanted = torch.zeros(world.size)
    for batch in batches:
        s, a, r, after = (batch[name].item() for name in ("observation", "action", "reward", "next_observation"))
        onward = 0.0 if batch["terminated"] else float(wanted[after].max())
        wanted[s, a] += rate * (r + world.discount * onward - wanted[s, a])
    torch.testing.assert_close(learned(objective, world), wanted)


def test_q_learning_finds_what_value_iteration_finds() -> None:
    torch.manual_seed(0)
    world = uncertain()
    objective = QLearning(table(world), form=Mean(bend=None))
    size = world.reward.numel()
    train(objective, [world.everywhere(60) for _ in range(500)], SGD(lr=0.2 * size, momentum=0, schedule=Linear()), 500)
    torch.testing.assert_close(learned(objective, world), world.best(), rtol=0, atol=0.06)


def test_sarsa_finds_what_its_own_exploring_is_worth() -> None:
    torch.manual_seed(0)
    world = uncertain()
    objective = QLearning(table(world), form=Mean(bend=None), onward=ALWAYS, explore=ALWAYS)
    size = world.reward.numel()
    train(objective, [world.everywhere(60) for _ in range(500)], SGD(lr=0.2 * size, momentum=0, schedule=Linear()), 500)
    found = learned(objective, world)
    policy = torch.full(world.size, 0.1).scatter_add_(1, found.argmax(1, keepdim=True), torch.full((5, 1), 0.7))
    torch.testing.assert_close(found, world.of(policy), rtol=0, atol=0.06)
    assert float((found - world.best()).abs().max()) > 0.2


@pytest.mark.parametrize(
    ("form", "choices"),
    [
        (Mean(), {}),
        (Mean(), {"dueling": True, "doubled": True}),
        (Spread(numbers=5), {"dueling": True}),
        (Histogram(low=-4, high=8, numbers=49), {"doubled": True}),
    ],
    ids=["plain", "double dueling", "quantiles", "histogram"],
)
def test_deep_q_learning_finds_what_value_iteration_finds(form: ReturnForm, choices: dict[str, bool]) -> None:
    torch.manual_seed(0)
    world = certain()
    doubled = choices.get("doubled", False)
    network = ActionValues(
        StateTrunk(6), actions=3, numbers=form.numbers, hidden=(32,), dueling=choices.get("dueling", False)
    )
    objective = QLearning(network, form=form, target=Target(network, pace=1.0, every=20), doubled=doubled)
    assert float(world.best().min()) > -4
    assert float(world.best().max()) < 8
    train(objective, [world.everywhere()], Adam(lr=1e-2, schedule=Linear()), 600)
    torch.testing.assert_close(learned(objective, world), world.best(), rtol=0, atol=0.1)


def test_a_distribution_is_learned_not_its_mean_alone() -> None:
    """One action, which ends all with a reward of 0 or 1."""
    torch.manual_seed(0)
    form = Histogram(low=0, high=1, numbers=3)
    objective = QLearning(ActionValues(StateTrunk(1), actions=1, numbers=3), form=form)
    zeros = torch.zeros(4, dtype=torch.int64)
    batch = Batch(observation=zeros, action=zeros, next_observation=zeros, reward=torch.tensor([0.0, 1.0, 1.0, 1.0]))
    batch |= {"terminated": torch.ones(4), "discount": torch.ones(4)}
    train(objective, [Batch(batch)], Adam(lr=0.05), 300)
    probability = objective.model(torch.zeros(1, dtype=torch.int64)).softmax(2).flatten().tolist()
    assert probability == pytest.approx([0.25, 0.0, 0.75], abs=0.02)


def two_networks(doubled: bool) -> QLearning:
    model = ValueTable(states=2, actions=3)
    objective = QLearning(model, form=Mean(bend=None), target=Target(model), doubled=doubled)
    with torch.no_grad():
        model.values[1, :, 0] = torch.tensor([1.0, 5.0, 2.0])
        objective.target.network.values[1, :, 0] = torch.tensor([4.0, 3.0, 2.0])
    return objective


@pytest.mark.parametrize(("doubled", "onward"), [(False, 4.0), (True, 3.0)])
def test_the_target_judges_and_doubled_the_model_chooses(doubled: bool, onward: float) -> None:
    one = torch.ones(1)
    batch = Batch(observation=torch.zeros(1).long(), action=torch.ones(1).long(), next_observation=one.long())
    batch |= {"reward": 0.5 * one, "terminated": 0 * one, "discount": 0.9 * one}
    objective = two_networks(doubled)
    assert objective.loss(Batch(batch)).loss.item() == pytest.approx((0.5 + 0.9 * onward) ** 2 / 2)
    ended = objective.loss(Batch(batch | {"terminated": one})).loss.item()
    assert ended == pytest.approx(0.125)


def test_weights_weigh_and_the_surprise_is_told() -> None:
    torch.manual_seed(0)
    world = certain()
    objective = QLearning(table(world), form=Mean(bend=None))
    batch, weight = world.everywhere(), torch.rand(18)
    plain = objective.loss(batch)
    assert not batch.said
    weighted = Batch(batch | {"weight": weight})
    loss = objective.loss(weighted).loss
    assert loss.item() == pytest.approx(float((weight * batch["reward"].square() / 2).mean()))
    torch.testing.assert_close(weighted.said["priority"], batch["reward"].abs())
    assert plain.weight == 18


def test_dueling_takes_the_mean_of_what_the_actions_add_away() -> None:
    torch.manual_seed(0)
    network = ActionValues(VectorTrunk(inputs=4, hidden=(8,)), actions=3, numbers=2, hidden=(5,), dueling=True)
    x = torch.randn(6, 4)
    features = network.trunk(x)
    place, added = network.of_place(features), network.of_actions(features).view(6, 3, 2)
    for action in range(3):
        for number in range(2):
            wanted = place[:, number] + added[:, action, number] - added[:, :, number].sum(1) / 3
            torch.testing.assert_close(network(x)[:, action, number], wanted)


def test_it_acts_as_it_explores_and_best_as_it_knows() -> None:
    torch.manual_seed(0)
    model = ValueTable(states=1, actions=4)
    with torch.no_grad():
        model.values[0, 2] = 1.5
    objective = QLearning(model, explore=EpsilonGreedy(Annealed(start=1.0, end=0.0)))
    place = torch.zeros(400, dtype=torch.int64)
    assert set(objective.act(place)["action"].tolist()) == {0, 1, 2, 3}
    objective.progress = 1.0
    assert set(objective.act(place)["action"].tolist()) == {2}
    best = objective.best(place[:1])
    assert (best["action"].item(), best["value"].item()) == (2, 1.5)


@torch.no_grad()
def test_noisy_networks_explore_while_they_act_only() -> None:
    torch.manual_seed(0)
    network = ActionValues(
        VectorTrunk(inputs=2, hidden=(8,)), actions=4, hidden=(8,), linear=partial(NoisyLinear, noise=3.0)
    )
    objective = QLearning(network, explore=Greedy()).eval()
    x = torch.randn(1, 2)
    assert len({objective.act(x)["action"].item() for _ in range(50)}) > 1
    assert len({objective.best(x)["action"].item() for _ in range(50)}) == 1
    assert not any(module.training for module in objective.modules())


def test_doubled_without_a_target_is_refused() -> None:
    with pytest.raises(RecipeError, match="there is none"):
        QLearning(ValueTable(states=1, actions=1), doubled=True)
