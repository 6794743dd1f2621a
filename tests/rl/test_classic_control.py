"""CartPole and Pendulum beside Gymnasium's, step by step."""

from __future__ import annotations

import math

import gymnasium
import numpy as np
import pytest
import torch

from penstock.core.errors import CheckpointError, RecipeError
from penstock.rl.cartpole import CartPole
from penstock.rl.pendulum import Pendulum
from penstock.rl.tensor_environment import TensorEnvironment

KINDS = [(CartPole, "CartPole-v1"), (Pendulum, "Pendulum-v1")]
CLOSE = {"rtol": 2e-7, "atol": 1e-9}  # an ulp of float32: the float64 states agree to far more


@pytest.mark.parametrize(("kind", "name"), KINDS)
def test_whole_episodes_are_those_of_gymnasium(kind: type[TensorEnvironment], name: str) -> None:
    """Theirs is put where ours begins, and both are given the same actions, over several episodes of each."""
    ours, theirs = kind(count=3), [gymnasium.make(name) for _ in range(3)]
    generator = torch.Generator().manual_seed(0)
    seen = ours.reset(5)
    for each in theirs:
        each.reset()
    ended, begins = torch.zeros(3), torch.ones(3, dtype=torch.bool)
    for _ in range(450):
        for at in begins.nonzero()[:, 0].tolist():
            theirs[at].reset()
            theirs[at].unwrapped.state = ours.state_dict()["state"][at].numpy().copy()
        action = ours.action.sample(3, generator)
        step = ours.step(action)
        for at, each in enumerate(theirs):
            observation, reward, terminated, truncated, _ = each.step(action[at].numpy())
            torch.testing.assert_close(step.final[at], torch.from_numpy(observation), **CLOSE)
            torch.testing.assert_close(step.reward[at].item(), float(reward), rtol=1e-6, atol=1e-6)
            assert (bool(step.terminated[at]), bool(step.truncated[at])) == (terminated, truncated)
            if begins[at]:
                assert ours.observation.contains(seen[at : at + 1]).all()
        assert torch.equal(step.observation[~step.done], step.final[~step.done])
        ended, begins, seen = ended + step.done, step.done, step.observation
    assert (ended >= 2).all()


def test_a_pole_that_is_held_is_cut_off_and_not_lost() -> None:
    environment = CartPole(count=8)
    seen = environment.reset(0)
    for at in range(1, 501):
        place, speed, angle, turning = seen.unbind(1)
        step = environment.step((angle + 0.2 * turning + 0.02 * place + 0.06 * speed > 0).long())
        assert not step.terminated.any()
        assert step.truncated.all() == (at == 500)
        seen = step.observation
    assert (seen.abs() <= 0.05).all()
    assert (step.final != seen).any()


@pytest.mark.parametrize(("kind", "bound"), [(CartPole, [0.05] * 4), (Pendulum, [math.pi, 1.0])])
def test_episodes_begin_anywhere_within_bounds(kind: type[TensorEnvironment], bound: list[float]) -> None:
    environment = kind(count=20_000)
    environment.reset(1)
    begun = environment.state_dict()["state"] / torch.tensor(bound, dtype=torch.float64)
    assert (begun.abs() <= 1).all()
    assert (begun.mean(0).abs() < 5 * math.sqrt(1 / 3 / 20_000)).all()
    assert ((begun.square().mean(0) - 1 / 3).abs() < 5 * math.sqrt(4 / 45 / 20_000)).all()


@pytest.mark.parametrize("kind", [CartPole, Pendulum])
def test_it_goes_on_from_what_was_saved(kind: type[TensorEnvironment]) -> None:
    generator = torch.Generator().manual_seed(2)
    first, second = kind(count=4, limit=9), kind(count=4, limit=9)
    first.reset(0)
    for _ in range(5):
        seen = first.step(first.action.sample(4, generator)).observation
    state = {name: value.clone() for name, value in first.state_dict().items()}
    actions = [first.action.sample(4, generator) for _ in range(30)]
    onward = [first.step(action) for action in actions]
    assert torch.equal(second.load_state_dict(state), seen)
    for action, one in zip(actions, onward, strict=True):
        two = second.step(action)
        for name in ("observation", "final", "reward", "terminated", "truncated"):
            assert torch.equal(getattr(one, name), getattr(two, name))


def test_a_state_of_other_environments_is_refused() -> None:
    environment = CartPole(count=4)
    environment.reset(0)
    with pytest.raises(CheckpointError, match=r"'state' is"):
        CartPole(count=5).load_state_dict(environment.state_dict())
    with pytest.raises(CheckpointError, match="is missing"):
        CartPole(count=4).load_state_dict({})


def test_the_seed_decides() -> None:
    environment = Pendulum(count=3)
    first, other, again = environment.reset(1), environment.reset(2), environment.reset(1)
    assert torch.equal(first, again)
    assert (first != other).any()
    assert np.isfinite(first.numpy()).all()


def test_what_makes_no_environment_is_refused() -> None:
    with pytest.raises(RecipeError, match="CartPole: count is 0"):
        CartPole(count=0)
    with pytest.raises(RecipeError, match="limit is 0"):
        Pendulum(count=1, limit=0)
