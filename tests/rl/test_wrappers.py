"""Wrappers: what each changes, by hand or against numpy, and that every one of them can be stopped and resumed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from scripted_worlds import Scripted
from torch import Tensor

from penstock.core.errors import CheckpointError, WorkerError
from penstock.rl.cartpole import CartPole
from penstock.rl.environment import Environment, Step
from penstock.rl.normalise import Moments, NormalisedObservations, NormalisedRewards
from penstock.rl.wrapper import Checked, ClippedRewards, Stacked, Wrapper

ACTION = torch.zeros(2, dtype=torch.int64)


def world() -> Scripted:
    return Scripted(["..T..C", "....T."])


def test_rewards_within_bounds() -> None:
    clipped = ClippedRewards(world(), 0.0, 50.0)
    clipped.reset(0)
    assert clipped.step(ACTION).reward.tolist() == [1, 50]


def test_frames_in_a_stack() -> None:
    stacked = Stacked(world(), 3)
    assert stacked.observation.shape == (9,)
    first = stacked.reset(0)
    assert first[1].tolist() == [1, 0, 0] * 3
    seen = [stacked.step(ACTION) for _ in range(4)]
    assert seen[1].observation[0].tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 2]
    assert seen[2].final[0].tolist() == [0, 0, 1, 0, 0, 2, 0, 0, 3]
    assert seen[2].observation[0].tolist() == [0, 1, 0] * 3  # nothing is left of the episode before
    assert seen[3].observation[0].tolist() == [0, 1, 0, 0, 1, 0, 0, 1, 1]
    assert torch.equal(seen[3].final, seen[3].observation)


def test_moments_are_those_of_all_values() -> None:
    generator = torch.Generator().manual_seed(0)
    parts = [torch.randn(size, 3, generator=generator) * 5 + 100 for size in (1, 4, 1, 50, 7)]
    moments = Moments((3,))
    for part in parts:
        moments.add(part)
    every = torch.cat(parts).double()
    torch.testing.assert_close(moments.mean, every.mean(0), rtol=1e-12, atol=0)
    torch.testing.assert_close(moments.variance, every.var(0, correction=0), rtol=1e-10, atol=0)


def test_observations_become_standard_and_do_not_move_what_was_seen() -> None:
    plain, scaled = CartPole(count=50), NormalisedObservations(CartPole(count=50))
    met, found = [plain.reset(3)], [scaled.reset(3)]
    generator = torch.Generator().manual_seed(0)
    for _ in range(40):
        action = plain.action.sample(50, generator)
        one, two = plain.step(action), scaled.step(action)
        met.append(one.observation)
        found.append(two.observation)
        every = torch.cat(met).double()
        mean, deviation = every.mean(0), every.std(0, correction=0)
        torch.testing.assert_close(
            two.final, ((one.final - mean) / deviation).clamp(-10, 10).float(), rtol=1e-4, atol=1e-4
        )
        torch.testing.assert_close(two.observation[~two.done], two.final[~two.done])
    assert torch.cat(found).abs().max() <= 10
    watching = NormalisedObservations(CartPole(count=2), moments=scaled.moments)
    before = {name: value.clone() for name, value in scaled.moments.tensors().items()}
    watching.reset(0)
    watching.step(ACTION)
    assert all(torch.equal(value, before[name]) for name, value in scaled.moments.tensors().items())


def test_rewards_are_divided_by_the_deviation_of_returns() -> None:
    scaled, plain = NormalisedRewards(world(), discount=0.5), world()
    scaled.reset(0)
    plain.reset(0)
    total, every = torch.zeros(2), []
    for _ in range(10):
        one, two = plain.step(ACTION), scaled.step(ACTION)
        total = total * 0.5 + one.reward
        every.append(total)
        total = total * ~one.done
        deviation = torch.cat(every).double().std(correction=0)
        torch.testing.assert_close(two.reward, (one.reward / deviation).clamp(-10, 10).float(), rtol=1e-5, atol=1e-5)


class Broken(Wrapper):
    """Shows something that is no number at the third step."""

    def __init__(self, inner: Environment, name: str) -> None:
        super().__init__(inner)
        self.name, self.steps = name, 0

    def seen(self, step: Step) -> Step:
        self.steps += 1
        bad: Tensor = getattr(step, self.name).clone()
        if self.steps == 3:
            bad[1] = float("nan") if self.name != "reward" else float("inf")
        return Step(**{name: getattr(step, name) for name in Step.__slots__} | {self.name: bad})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["observation", "final", "reward"])
def test_what_is_no_number_is_told_with_environment_and_step(name: str) -> None:
    checked = Checked(Broken(world(), name))
    checked.reset(0)
    checked.step(ACTION)
    checked.step(ACTION)
    said = "reward" if name == "reward" else "observation"
    with pytest.raises(WorkerError, match=f"environment 1: its {said} is not finite at step 3; "):
        checked.step(ACTION)


WRAPPERS: list[Callable[[Environment], Environment]] = [
    Checked,
    ClippedRewards,
    lambda inner: Stacked(inner, 3),
    NormalisedObservations,
    lambda inner: NormalisedRewards(inner, discount=0.9),
    lambda inner: NormalisedRewards(NormalisedObservations(Stacked(inner, 2)), discount=0.9),
]


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_going_on_is_as_if_it_had_never_stopped(wrap: Callable[[Environment], Environment]) -> None:
    first, second = wrap(CartPole(count=3, limit=6)), wrap(CartPole(count=3, limit=6))
    generator = torch.Generator().manual_seed(0)
    first.reset(0)
    for _ in range(8):
        seen = first.step(first.action.sample(3, generator)).observation
    state = {name: value.clone() for name, value in first.state_dict().items()}
    assert torch.equal(second.load_state_dict(state), seen)
    for _ in range(15):
        action = first.action.sample(3, generator)
        one, two = first.step(action), second.step(action)
        for name in Step.__slots__:
            assert torch.equal(getattr(one, name), getattr(two, name))
    assert all(torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items())


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_where_episodes_begin_anew_so_does_what_is_kept_of_them(wrap: Callable[[Environment], Environment]) -> None:
    first, second = (wrap(Scripted(["......T"] * 2, exact=False)) for _ in range(2))
    first.reset(0)
    for _ in range(3):
        first.step(ACTION)
    assert not second.exact
    seen = second.load_state_dict(first.state_dict())
    if isinstance(second, Stacked):
        assert seen[0].tolist() == [0, 0, 0] * 3


def test_the_state_of_another_wrapper_is_refused() -> None:
    first, second = Stacked(world(), 2), Stacked(world(), 3)
    first.reset(0)
    second.reset(0)
    with pytest.raises(CheckpointError, match="'stack' is"):
        second.load_state_dict(first.state_dict())
