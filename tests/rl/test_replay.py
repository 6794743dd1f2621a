"""Replay: what transitions hold over several steps, how often each is drawn, and that it goes on bit for bit."""

from __future__ import annotations

import math
import random

import pytest
import torch
from scripted_worlds import Random, Scripted, actor_of

from penstock.core.batch import Batch
from penstock.core.errors import CheckpointError, RecipeError
from penstock.rl.acting import Actor
from penstock.rl.cartpole import CartPole
from penstock.rl.replay import Priorities, Replay

GAMMA = 0.5


def source(scripts: tuple[str, ...] = ("..T....C",), *, exact: bool = True, **settings: object) -> Replay:
    world = Scripted(list(scripts), exact=exact)
    given = {"capacity": 40, "batch_size": 64, "warmup": 8, "discount": GAMMA} | settings
    return Replay(world, actor_of(world), **given)  # type: ignore[arg-type]


def by_place(batch: Batch) -> dict[tuple[float, ...], int]:
    return {tuple(row.tolist()): at for at, row in enumerate(batch["observation"])}


def check(batch: Batch, at: int, reward: float, following: tuple[float, ...], ended: bool, steps: int) -> None:
    assert batch["reward"][at].item() == pytest.approx(reward)
    assert tuple(batch["next_observation"][at].tolist()) == following
    assert bool(batch["terminated"][at]) == ended
    assert batch["discount"][at].item() == GAMMA**steps


def test_one_step() -> None:
    batch = next(source())
    where = by_place(batch)
    assert len(where) == 8
    check(batch, where[0, 0, 1], 2, (0, 0, 2), False, 1)
    check(batch, where[0, 0, 2], 3, (0, 0, 3), True, 1)  # the next episode is not what it led to
    check(batch, where[0, 1, 0], 4, (0, 1, 1), False, 1)
    check(batch, where[0, 1, 4], 8, (0, 1, 5), False, 1)  # cut off, not ended
    assert batch["action"].dtype == torch.int64


@pytest.mark.parametrize("prioritised", [False, True])
def test_three_steps(prioritised: bool) -> None:
    batch = next(source(reach=3, priorities=Priorities() if prioritised else None))
    where = by_place(batch)
    assert set(where) == {(0, 0, 0), (0, 0, 1), (0, 0, 2), (0, 1, 0), (0, 1, 1), (0, 1, 2)}  # the last two are not over
    check(batch, where[0, 0, 0], 1 + 2 / 2 + 3 / 4, (0, 0, 3), True, 3)
    check(batch, where[0, 0, 1], 2 + 3 / 2, (0, 0, 3), True, 2)
    check(batch, where[0, 0, 2], 3, (0, 0, 3), True, 1)
    check(batch, where[0, 1, 0], 4 + 5 / 2 + 6 / 4, (0, 1, 3), False, 3)
    check(batch, where[0, 1, 2], 6 + 7 / 2 + 8 / 4, (0, 1, 5), False, 3)


@pytest.mark.parametrize("prioritised", [False, True])
def test_the_ring_holds_the_newest_and_nothing_across_its_seam(prioritised: bool) -> None:
    replay = source(
        (".....T", "..C..."), capacity=10, warmup=5, reach=2, steps=4, priorities=Priorities() if prioritised else None
    )
    for turn in range(6):
        batch = next(replay)
        made = 5 + 4 * turn
        numbers = batch["reward"].clone()
        one = batch["observation"][:, 0] == 0
        assert one.any()
        assert (~one).any()
        for at in range(64):
            environment, episode, step = (int(v) for v in batch["observation"][at])
            count = 6 * episode + step + 1 if environment == 0 else step + 1 + (3 + 6 * (episode - 1) if episode else 0)
            assert made - 5 < count < made  # of the five newest, all but the last
            ends = count % 6 == 0 if environment == 0 else count % 6 == 3
            steps = 1 if ends else 2
            reward = sum(GAMMA**k * (100 * environment + count + k) for k in range(steps))
            following = (environment, episode, step + steps)
            check(batch, at, reward, following, (count + steps - 1) % 6 == 0 and environment == 0, steps)
        assert len(numbers.unique()) == 8
        batch.feedback(priority=torch.rand(64))
        replay.hear(batch.said)


@pytest.mark.parametrize("seed", range(12))
def test_as_a_plain_list_of_transitions_has_it(seed: int) -> None:
    """Whatever the episodes, the capacity, the reach and the rhythm: looked up one by one in lists."""
    draw = random.Random(seed)
    count, reach, batches, steps = (draw.randint(1, most) for most in (4, 5, 5, 7))
    scripts = ["".join(draw.choice("....TC") for _ in range(draw.randint(3, 17))) for _ in range(count)]
    places = draw.randint(reach + 1, 25)
    warmup = draw.randint(reach, places)
    replay = source(
        tuple(scripts),
        capacity=places * count + draw.randrange(count),
        warmup=warmup,
        reach=reach,
        steps=steps,
        batches=batches,
        priorities=Priorities() if seed % 2 else None,
    )
    for number in range(20):
        batch = next(replay)
        made = warmup + number // batches * steps
        for at in range(64):
            environment, episode, step = (int(v) for v in batch["observation"][at])
            met = Listed(scripts[environment], made)
            begin = met.places[episode, step]
            assert max(made - places, 0) <= begin <= made - reach
            steps_ahead, ended = met.ahead(begin, reach)
            rewards = (100 * environment + begin + k + 1 for k in range(steps_ahead))
            reward = sum(GAMMA**k * value for k, value in enumerate(rewards))
            check(batch, at, reward, (environment, episode, step + steps_ahead), ended, steps_ahead)
        batch.feedback(priority=torch.rand(64))
        replay.hear(batch.said)


class Listed:
    """What an environment of a script has met in so many steps."""

    def __init__(self, script: str, made: int) -> None:
        self.marks = [script[at % len(script)] for at in range(made)]
        self.places, episode, step = {}, 0, 0
        for at, mark in enumerate(self.marks):
            self.places[episode, step] = at
            episode, step = (episode, step + 1) if mark == "." else (episode + 1, 0)

    def ahead(self, begin: int, reach: int) -> tuple[int, bool]:
        """How many steps until the episode is over, at most `reach`; and whether it has ended there, not been cut."""
        for number, mark in enumerate(self.marks[begin : begin + reach], 1):
            if mark != ".":
                return number, mark == "T"
        return reach, False


def test_every_transition_is_as_likely() -> None:
    replay = source(("...", "...", "..."), capacity=30, warmup=10, steps=0, batch_size=500)
    drawn = torch.cat(
        [(lambda b: b["observation"][:, 0] * 10 + b["observation"][:, 2])(next(replay)) for _ in range(40)]
    )
    counts = torch.bincount(drawn.long(), minlength=30).double()
    assert ((counts - 20_000 / 30).abs() < 5 * math.sqrt(20_000 / 30)).all()


def test_priorities_and_their_weights() -> None:
    """Against the formulas of the paper: P(i) = p_i^a / sum p^a, w_i = (N P(i))^-b / max w."""
    rule = Priorities(exponent=0.7, correction=0.4, batches=4, least=0.0)
    replay = source(("....",), capacity=8, warmup=8, steps=0, batch_size=4000, priorities=rule)
    batch = next(replay)
    assert batch["weight"].eq(1).all()  # all are new
    priority = torch.arange(1.0, 9.0)
    batch.feedback(priority=-priority[batch["index"]])  # an error has a sign, and no matter
    replay.hear(batch.said)
    share = priority.double() ** 0.7 / (priority.double() ** 0.7).sum()
    for turn, power in ((1, 0.55), (2, 0.7), (3, 0.85), (4, 1.0), (5, 1.0)):
        batch = next(replay)
        counts = torch.bincount(batch["index"], minlength=8).double()
        assert ((counts - 4000 * share).abs() < 2).all(), turn  # equal parts of the sum: hardly any noise
        weight = (8 * share) ** -power
        expected = (weight / weight.max())[batch["index"]].float()
        torch.testing.assert_close(batch["weight"], expected)


def test_a_new_transition_has_the_largest_priority_there_was() -> None:
    replay = source(("........",), capacity=8, warmup=4, batch_size=400, priorities=Priorities(exponent=1.0, least=0.0))
    batch = next(replay)
    batch.feedback(priority=torch.where(batch["index"] == 0, 5.0, 1.0))
    replay.hear(batch.said)
    counts = torch.bincount(next(replay)["index"], minlength=8)
    assert ((counts - torch.tensor([5, 1, 1, 1, 5, 0, 0, 0]) * 400 / 13).abs() < 2).all()


def test_actions_are_random_first_and_then_those_of_the_actor() -> None:
    world = Scripted(["...."])
    replay = Replay(world, always(3), capacity=50, batch_size=8, warmup=20, steps=5, batches=2)
    next(replay)
    actions = replay.memory.tensors()["action"][:, 0]
    assert len(actions) == 20
    assert set(actions.tolist()) == {0, 1, 2, 3}
    for _ in range(4):
        next(replay)
    actions = replay.memory.tensors()["action"][:, 0]
    assert len(actions) == 30  # two batches for five steps
    assert set(actions[20:].tolist()) == {3}


def always(action: int) -> Actor:
    return Actor(Random(4), lambda seen: torch.full((len(seen),), action))


@pytest.mark.parametrize("prioritised", [False, True])
@pytest.mark.parametrize("looked", [False, True])
def test_going_on_is_as_if_it_had_never_stopped(prioritised: bool, looked: bool) -> None:
    def made() -> Replay:
        world = CartPole(count=3, limit=7)
        rule = Priorities(batches=10) if prioritised else None
        settings = {"capacity": 30, "batch_size": 6, "warmup": 4, "reach": 2, "batches": 2, "priorities": rule}
        return Replay(world, actor_of(world), seed=5, **settings)  # type: ignore[arg-type]

    def drawn(replay: Replay) -> Batch:
        batch = next(replay)
        if prioritised:
            batch.feedback(priority=batch["observation"].sum(1))
            replay.hear(batch.said)
        return batch

    torch.manual_seed(0)
    whole = made()
    expected = [drawn(whole) for _ in range(25)]
    for stop in (1, 2, 3, 11, 20):
        torch.manual_seed(0)
        first, second = made(), made()
        for _ in range(stop):
            drawn(first)
        position = first.state_dict()
        if looked:
            next(first)
        tensors = {name: value.clone() for name, value in first.tensors().items()}
        second.load_state_dict(position)
        second.load_tensors(tensors)
        for one in expected[stop:]:
            two = drawn(second)
            assert one.keys() == two.keys()
            assert all(torch.equal(value, two[name]) for name, value in one.items())


def test_where_episodes_begin_anew_no_transition_leads_from_the_old_to_the_new() -> None:
    first, second = (source(("......",), exact=False, reach=3, warmup=6) for _ in range(2))
    next(first)
    second.load_state_dict(first.state_dict())
    second.load_tensors(first.tensors())
    for _ in range(5):
        batch = next(second)
    assert (batch["next_observation"][:, 2] > batch["observation"][:, 2]).all()
    assert (batch["discount"] > GAMMA**3).any()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(RecipeError, match="0 steps, not 1"):
        source(capacity=0)
    with pytest.raises(RecipeError, match="50 steps to begin with, where 1 to 40 are possible"):
        source(warmup=50)
    first, second = source(), source(capacity=4, warmup=4)
    next(first)
    with pytest.raises(CheckpointError, match="replay: 'observation' is"):
        second.load_tensors(first.tensors())
