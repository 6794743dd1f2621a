"""A network for each agent: every row as its own network alone has it, and no gradient for others."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from penstock.core.batch import Batch
from penstock.models.action_values import ActionValues, PairValue, ValueTable
from penstock.models.apart import Apart
from penstock.models.observing import StateTrunk, VectorTrunk
from penstock.models.policy import ActorCritic, Directed, NormalHead, OneOfHead, Policy, SquashedHead
from penstock.nn.choices import Choice
from penstock.nn.marks import marked
from penstock.objectives.policy_gradient import PolicyGradient

LOW, HIGH = torch.tensor([-2.0, 0.0]), torch.tensor([2.0, 1.0])
WHICH = torch.tensor([2, 0, 0, 2, 2, 0])  # nobody is the second agent
PLAIN = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
MAKES: dict[str, Callable[[], nn.Module]] = {
    "one of": lambda: ActorCritic(VectorTrunk(inputs=4), OneOfHead(64, 3), critic=VectorTrunk(inputs=4)),
    "normal": lambda: ActorCritic(VectorTrunk(inputs=4), NormalHead(64, 2)),
    "squashed": lambda: Policy(VectorTrunk(inputs=4), SquashedHead(64, LOW, HIGH)),
    "directed": lambda: Directed(VectorTrunk(inputs=4), LOW, HIGH),
    "values": lambda: ActionValues(VectorTrunk(inputs=4), actions=3, numbers=2),
}


def without_chance(found: object) -> list[Tensor]:
    """What a choice is made of."""
    if isinstance(found, tuple):
        return [part for each in found for part in without_chance(each)]
    if isinstance(found, Choice):
        return [part for value in vars(found).values() for part in without_chance(value)]
    assert isinstance(found, Tensor)
    return [found]


@pytest.mark.parametrize("name", MAKES)
def test_each_row_is_as_its_own_network_has_it(name: str) -> None:
    torch.manual_seed(1)
    apart = Apart(MAKES[name], agents=3)
    found = without_chance(apart(marked(PLAIN, WHICH, 3)))
    for row, agent in enumerate(WHICH.tolist()):
        alone = without_chance(apart.networks[agent](PLAIN[row : row + 1]))
        for one, all_of_them in zip(alone, found, strict=True):
            mine = all_of_them[row : row + 1] if len(all_of_them) == 6 else all_of_them
            assert_close(mine, one)


def test_what_else_a_network_takes_goes_with_the_rows() -> None:
    action = LOW + (HIGH - LOW) * torch.rand(6, 2)
    apart = Apart(lambda: PairValue(inputs=4, low=LOW, high=HIGH, hidden=(8,)), agents=3)
    found = apart(marked(PLAIN, WHICH, 3), action)
    for row, agent in enumerate(WHICH.tolist()):
        assert_close(found[row], apart.networks[agent](PLAIN[row : row + 1], action[row : row + 1])[0])


def test_numbered_states() -> None:
    states = torch.tensor([4, 0, 1, 2, 3, 4])
    apart = Apart(lambda: ValueTable(states=5, actions=2), agents=3, states=5)
    for agent, table in enumerate(apart.networks):
        nn.init.constant_(next(table.parameters()), float(agent))
    assert apart(marked(states, WHICH, 3, 5))[:, 0, 0].tolist() == WHICH.tolist()
    deep = Apart(lambda: ActionValues(StateTrunk(5), actions=2), agents=3, states=5)
    assert_close(deep(marked(states, WHICH, 3, 5))[1], deep.networks[0](states[1:2])[0])


def test_a_loss_of_one_agent_is_that_of_a_lone_network() -> None:
    torch.manual_seed(2)
    apart = PolicyGradient(Apart(MAKES["one of"], agents=3), normalise=False)
    alone = PolicyGradient(copy.deepcopy(apart.model.networks[0]), normalise=False)  # type: ignore[union-attr]
    fields = {name: torch.randn(6) for name in ("logprob", "advantage", "return")}
    fields["action"] = torch.arange(6) % 3
    ann = torch.zeros(6, dtype=torch.int64)
    loss = apart.loss(Batch(fields | {"observation": marked(PLAIN, ann, 3)})).loss
    expected = alone.loss(Batch(fields | {"observation": PLAIN})).loss
    assert_close(loss, expected)
    loss.backward()
    expected.backward()
    networks = apart.model.networks
    for mine, theirs in zip(networks[0].parameters(), alone.model.parameters(), strict=True):  # type: ignore[index]
        assert_close(mine.grad, theirs.grad)
    for other in (*networks[1].parameters(), *networks[2].parameters()):  # type: ignore[index]
        assert other.grad is None or not other.grad.any()
