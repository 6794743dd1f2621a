"""Policies and values of every form: shapes, where gradients go, bounds, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from penstock.core.errors import RecipeError
from penstock.models.action_values import ActionValues, PairValue, ValueTable
from penstock.models.discriminator import FeatureTrunk
from penstock.models.observing import ATARI, BOARD, ImageTrunk, StateTrunk, VectorTrunk
from penstock.models.policy import (
    ActorCritic,
    ChoosingHead,
    Directed,
    NormalHead,
    OneOfHead,
    Policy,
    SquashedHead,
    TellingHead,
)
from penstock.nn.noisy import NoisyLinear

LOW, HIGH = torch.tensor([-2.0, 0.0]), torch.tensor([2.0, 1.0])
small = partial(ImageTrunk, height=6, width=7, convolutions=BOARD, features=10)
TRUNKS: dict[str, tuple[Callable[[], FeatureTrunk], Callable[[int], Tensor]]] = {
    "vector": (lambda: VectorTrunk(inputs=6, hidden=(8, 5)), lambda batch: torch.randn(batch, 2, 3)),
    "normalised": (lambda: VectorTrunk(inputs=3, hidden=(8, 5), normalise=True), lambda batch: torch.randn(batch, 3)),
    "bare": (lambda: VectorTrunk(inputs=3, hidden=()), lambda batch: torch.randn(batch, 3)),
    "picture": (lambda: small(channels=2), lambda batch: torch.randn(batch, 2, 6, 7)),
    "state": (lambda: StateTrunk(4), lambda batch: torch.arange(batch) % 4),
}
HEADS: dict[str, Callable[[int], ChoosingHead]] = {
    "one of": lambda features: OneOfHead(features, 3),
    "normal": lambda features: NormalHead(features, 2),
    "squashed": lambda features: SquashedHead(features, LOW, HIGH),
}


def reached(model: nn.Module) -> bool:
    return all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in model.parameters())


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_layers_are_normalised_before_the_activation() -> None:
    trunk = VectorTrunk(inputs=3, hidden=(8, 5), activation=nn.ReLU, normalise=True)
    x, first, second = torch.randn(7, 3), trunk.layers[0], trunk.layers[3]
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)

    def normal(y: Tensor) -> Tensor:
        return (y - y.mean(1, keepdim=True)) / (y.var(1, correction=0, keepdim=True) + 1e-5).sqrt()

    torch.testing.assert_close(trunk(x), normal(second(normal(first(x)).relu())).relu())


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("trunk", TRUNKS)
def test_policies_choose_for_each_observation(trunk: str, head: str) -> None:
    make, observe = TRUNKS[trunk]
    features = make()
    policy, x = Policy(features, HEADS[head](features.outputs)), observe(6)
    action, logprob = policy(x).draw()
    assert action.shape == policy(x).best().shape == ((6,) if head == "one of" else (6, 2))
    assert logprob.shape == (6,)
    alone = torch.cat([policy(x[i : i + 1]).best() for i in range(6)])
    torch.testing.assert_close(alone, policy(x).best(), rtol=1e-5, atol=1e-6)
    (logprob.square().sum() + action.float().sum()).backward()
    assert reached(policy)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("trunk", TRUNKS)
def test_an_actor_critic_tells_values_from_its_own_trunk_or_the_policys(trunk: str, apart: bool) -> None:
    make, observe = TRUNKS[trunk]
    features = make()
    head = HEADS["one of"](features.outputs)
    assert isinstance(head, TellingHead)
    model, x = ActorCritic(features, head, critic=make() if apart else None), observe(6)
    choice, value = model(x)
    assert value.shape == (6,)
    value.sum().backward(retain_graph=True)
    own = list(features.parameters())
    assert all((p.grad is None) == apart for p in own)
    (choice.entropy().sum() + value.sum()).backward()
    assert reached(model)


@pytest.mark.parametrize("linear", [nn.Linear, NoisyLinear])
@pytest.mark.parametrize("dueling", [False, True])
@pytest.mark.parametrize("trunk", TRUNKS)
def test_values_of_all_actions(trunk: str, dueling: bool, linear: type[nn.Module]) -> None:
    make, observe = TRUNKS[trunk]
    model = ActionValues(make(), actions=3, numbers=4, hidden=(9,), dueling=dueling, linear=linear)
    found = model(observe(6))
    assert found.shape == (6, 3, 4)
    found.square().sum().backward()
    assert reached(model)


def test_a_table_looks_up() -> None:
    table = ValueTable(states=3, actions=2)
    assert not table.values.any()
    nn.init.normal_(table.values)
    assert torch.equal(table(torch.tensor([2, 0, 2])), table.values[[2, 0, 2]])


@pytest.mark.parametrize("trunk", [None, "picture"])
def test_the_value_of_a_pair_sees_actions_in_their_unit(trunk: str | None) -> None:
    features = TRUNKS[trunk][0]() if trunk else None
    x = TRUNKS[trunk][1](5) if trunk else torch.randn(5, 10)
    model = PairValue(inputs=10, low=LOW, high=HIGH, hidden=(8,), trunk=features)
    found = model(x, LOW.expand(5, 2))
    assert found.shape == (5,)
    place = x if features is None else features(x)
    torch.testing.assert_close(found, model.layers(torch.cat([place, -torch.ones(5, 2)], 1)).squeeze(1))
    found.sum().backward()
    assert reached(model)


def test_bounded_actions_stay_within_their_bounds_and_reach_them() -> None:
    directed = Directed(VectorTrunk(inputs=3), LOW, HIGH)
    squashed = Policy(VectorTrunk(inputs=3), SquashedHead(64, LOW, HIGH))
    x = 1000 * torch.randn(300, 3)
    with torch.no_grad():
        for layer in (directed.head, squashed.head.numbers):
            layer.weight.mul_(1e4)
        for action in (directed(x), squashed(x).best(), squashed(x).draw()[0]):
            assert bool(((action >= LOW) & (action <= HIGH)).all())
            torch.testing.assert_close(action.amin(0), LOW)
            torch.testing.assert_close(action.amax(0), HIGH)


def test_a_policy_cares_for_nearly_nothing_at_first() -> None:
    policy = Policy(VectorTrunk(inputs=3), OneOfHead(64, 4))
    probability = policy(torch.randn(50, 3)).logprobs.exp()
    torch.testing.assert_close(probability, torch.full((50, 4), 0.25), rtol=0, atol=0.02)


def test_pictures_of_bytes_are_scaled() -> None:
    trunk = small(channels=1)
    x = torch.randint(256, (3, 1, 6, 7), dtype=torch.uint8)
    torch.testing.assert_close(trunk(x), trunk(x / 255))


def test_the_atari_network_has_the_sizes_of_the_paper() -> None:
    trunk = ImageTrunk(channels=4, height=84, width=84, convolutions=ATARI, features=512)
    sizes = [layer.weight.shape for layer in trunk.layers if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert sizes == [(32, 4, 8, 8), (64, 32, 4, 4), (64, 64, 3, 3), (512, 3136)]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: ImageTrunk(channels=1, height=6, width=7), "side 8 meets a picture of 6 x 7"),
        (lambda: VectorTrunk(inputs=0), "inputs is 0"),
        (lambda: OneOfHead(3, 0), "actions is 0"),
        (lambda: VectorTrunk(inputs=3)(torch.zeros(1, 4)), "built for 3 inputs and was given 4"),
        (lambda: small(channels=2)(torch.zeros(1, 3, 6, 7)), "2 channels and was given 3"),
        (lambda: PairValue(inputs=9, low=LOW, high=HIGH, trunk=small(channels=2)), "9 inputs and its trunk gives 10"),
    ],
)
def test_what_does_not_fit_is_refused(make: Callable[[], object], text: str) -> None:
    with pytest.raises(RecipeError, match=text):
        make()
