"""Rollouts: what is in them, how often, and that they go on as if they had never stopped."""

from __future__ import annotations

import pytest
import torch
from scripted_worlds import Random, Scripted, actor_of, worth
from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.errors import RecipeError
from penstock.rl.acting import Actor
from penstock.rl.cartpole import CartPole
from penstock.rl.rollouts import Rollouts

STEPS, GAMMA, LAMBDA = 5, 0.9, 0.8


def source(**settings: object) -> Rollouts:
    world = Scripted(["..T....C", "......C."])
    given = {"steps": STEPS, "discount": GAMMA, "decay": LAMBDA} | settings
    return Rollouts(world, actor_of(world), **given)  # type: ignore[arg-type]


def rows(batch: Batch) -> dict[tuple[float, ...], int]:
    return {tuple(row.tolist()): at for at, row in enumerate(batch["observation"])}


def test_what_a_rollout_holds() -> None:
    """By hand: an advantage is the sum of surprises until the episode ends, a cut-off state being worth something."""
    gathered = source()
    first, second = next(gathered), next(gathered)
    where = rows(first)
    assert set(where) == {(0, 0, 0), (0, 0, 1), (0, 0, 2), (0, 1, 0), (0, 1, 1), *((1, 0, t) for t in range(5))}
    assert torch.equal(first["value"], worth(first["observation"]))
    assert torch.equal(first["logprob"], -first["action"].float())
    torch.testing.assert_close(first["return"], first["advantage"] + first["value"])

    def value(environment: int, episode: int, step: int) -> float:
        return environment + 2.0 * episode + 3.0 * step

    assert first["advantage"][where[0, 0, 2]].item() == pytest.approx(3 - value(0, 0, 2))  # terminated
    one_before = 2 + GAMMA * value(0, 0, 2) - value(0, 0, 1)
    expected = one_before + GAMMA * LAMBDA * (3 - value(0, 0, 2))
    assert first["advantage"][where[0, 0, 1]].item() == pytest.approx(expected)
    ends = 5 + GAMMA * value(0, 1, 2) - value(0, 1, 1)  # the rollout ends, the episode goes on
    assert first["advantage"][where[0, 1, 1]].item() == pytest.approx(ends)
    where = rows(second)
    assert set(where) == {(0, 1, 2), (0, 1, 3), (0, 1, 4), (0, 2, 0), (0, 2, 1), (1, 0, 5), (1, 0, 6), *TURNED}
    cut = 8 + GAMMA * value(0, 1, 5) - value(0, 1, 4)  # cut off: what it led to counts
    assert second["advantage"][where[0, 1, 4]].item() == pytest.approx(cut)
    cut = 107 + GAMMA * value(1, 0, 7) - value(1, 0, 6)
    assert second["advantage"][where[1, 0, 6]].item() == pytest.approx(cut)


TURNED = [(1, 1, 0), (1, 1, 1), (1, 1, 2)]


def test_each_is_given_once_a_round_in_another_order() -> None:
    gathered = source(rounds=2, parts=3)
    assert gathered.epoch_steps == 6
    batches = [next(gathered) for _ in range(6)]
    whole = [torch.cat([batch["observation"] for batch in batches[at : at + 3]]) for at in (0, 3)]
    assert len({tuple(row.tolist()) for row in whole[0]}) == 10
    assert sorted(whole[0].tolist()) == sorted(whole[1].tolist())
    assert whole[0].tolist() != whole[1].tolist()
    assert [len(batch["reward" if "reward" in batch else "return"]) for batch in batches[:3]] == [4, 3, 3]


def test_it_asks_without_gradients_in_evaluation_mode_and_puts_that_back() -> None:
    world = Scripted(["...."])
    module = Random(4)
    next(Rollouts(world, Actor(module, module.act), steps=2))
    assert set(module.modes) == {(False, False)}
    assert module.training


def test_an_actor_that_knows_no_values_has_returns() -> None:
    world = Scripted(["..T"])
    module = Random(4)
    batch = next(Rollouts(world, Actor(module, lambda seen: torch.zeros(len(seen)).long()), steps=3, discount=0.5))
    torch.testing.assert_close(next(iter([batch["return"]])), batch["advantage"])
    assert batch["return"][2].item() == 3


def test_going_on_is_as_if_it_had_never_stopped() -> None:
    """Stopped after each batch in turn; and with a batch that was looked at before it was saved."""

    def made() -> Rollouts:
        world = CartPole(count=3, limit=7)
        return Rollouts(world, actor_of(world), steps=6, rounds=2, parts=2, seed=5)

    torch.manual_seed(0)
    whole = made()
    expected = [next(whole) for _ in range(12)]
    for stop in range(1, 11):
        for looked in (False, True):
            torch.manual_seed(0)
            first, second = made(), made()
            for _ in range(stop):
                next(first)
            position = first.state_dict()
            if looked:
                next(first)
            tensors = {name: value.clone() for name, value in first.tensors().items()}
            second.load_state_dict(position)
            second.load_tensors(tensors)
            same(expected[stop:], [next(second) for _ in range(12 - stop)])


def same(expected: list[Batch], found: list[Batch]) -> None:
    for one, two in zip(expected, found, strict=True):
        assert one.keys() == two.keys()
        assert all(torch.equal(value, two[name]) for name, value in one.items())


def test_drawing_a_batch_twice_gives_it_twice() -> None:
    gathered = source(parts=2, rounds=2)
    next(gathered)
    position = gathered.state_dict()
    kept: dict[str, Tensor] = next(gathered)
    gathered.load_state_dict(position)
    same([Batch(kept)], [next(gathered)])


def test_more_parts_than_examples_are_refused() -> None:
    with pytest.raises(RecipeError, match="5 steps of 2 environments make no 11 batches"):
        source(parts=11)
