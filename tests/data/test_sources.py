"""Sources: an order that depends on seed and epoch alone, batches of the sizes promised, a position that is saved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import pytest
import torch
from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.errors import RecipeError
from penstock.core.ranks import Place, Ranks
from penstock.data.examples import Examples, InMemory
from penstock.data.sources import InOrder, Shuffled, Transform

COUNT = 23
INDICES = torch.arange(100, 100 + COUNT)


def numbered() -> InMemory:
    return InMemory({"x": torch.arange(200), "y": torch.arange(200).float()[:, None] / 2})


def shuffled(batch_size: int = 5, seed: int = 1, count: int = COUNT, **options: object) -> Shuffled:
    return Shuffled(numbered(), INDICES[:count], batch_size=batch_size, seed=seed, **options)


def epoch(source: Shuffled) -> list[list[int]]:
    return [next(source)["x"].tolist() for _ in range(source.epoch_steps)]


def joined(batches: list[list[int]]) -> list[int]:
    return [example for batch in batches for example in batch]


@pytest.mark.parametrize(
    ("count", "batch_size", "drop_last", "sizes"),
    [
        (23, 5, False, [5, 5, 5, 5, 3]),
        (23, 5, True, [5, 5, 5, 5]),
        (21, 5, False, [5, 5, 5, 6]),  # one alone joins the batch before it
        (21, 5, True, [5, 5, 5, 5]),
        (20, 5, False, [5, 5, 5, 5]),
        (6, 5, False, [6]),
        (3, 5, False, [3]),
        (1, 5, False, [1]),
        (3, 1, False, [1, 1, 1]),
        (2, 1, True, [1, 1]),
    ],
)
def test_the_batches_of_an_epoch(count: int, batch_size: int, drop_last: bool, sizes: list[int]) -> None:
    source = shuffled(batch_size, count=count, drop_last=drop_last)
    for _ in range(3):
        batches = epoch(source)
        assert [len(batch) for batch in batches] == sizes
        seen = joined(batches)
        assert len(set(seen)) == sum(sizes)
        assert set(seen) <= set(INDICES[:count].tolist())


def test_the_fields_of_an_example_stay_together() -> None:
    source = shuffled()
    for _ in range(12):
        batch = next(source)
        assert torch.equal(batch["y"][:, 0], batch["x"] / 2)


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    first, again, other = shuffled(seed=1), shuffled(seed=1), shuffled(seed=2)
    epochs = [joined(epoch(first)) for _ in range(3)]
    assert len({tuple(order) for order in epochs}) == 3
    torch.manual_seed(99)  # global random state plays no part
    before = torch.get_rng_state()
    assert [joined(epoch(again)) for _ in range(3)] == epochs
    assert torch.equal(torch.get_rng_state(), before)
    assert joined(epoch(other)) != epochs[0]
    assert joined(epoch(shuffled(batch_size=7, seed=1))) == epochs[0]


def test_dropped_examples_differ_from_epoch_to_epoch() -> None:
    source = shuffled(batch_size=10, drop_last=True)
    dropped = [set(INDICES.tolist()) - set(joined(epoch(source))) for _ in range(5)]
    assert all(len(rest) == 3 for rest in dropped)
    assert len({frozenset(rest) for rest in dropped}) > 1


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_of_nothing_is_refused(batch_size: int) -> None:
    with pytest.raises(RecipeError, match=r"^batch_size: "):
        shuffled(batch_size)


def test_an_epoch_without_a_batch_is_refused_with_both_numbers() -> None:
    with pytest.raises(RecipeError, match=r"^batch_size: 3 training examples make no batch of 5; "):
        shuffled(5, count=3, drop_last=True)
    with pytest.raises(RecipeError, match="0 training examples"):
        shuffled(5, count=0)


def test_goes_on_from_every_position() -> None:
    whole = shuffled(batch_size=4)
    steps = 2 * whole.epoch_steps + 3
    positions, batches = [], []
    for _ in range(steps):
        positions.append(whole.state_dict())
        batches.append(next(whole)["x"].tolist())
    back = shuffled(batch_size=4)
    for start in reversed(range(steps)):  # the same source is sent to and fro
        back.load_state_dict(positions[start])
        assert back.state_dict() == positions[start]
        assert [next(back)["x"].tolist() for _ in range(min(4, steps - start))] == batches[start : start + 4]


def test_the_transform_gets_the_batch_its_indices_and_a_seed_of_the_epoch() -> None:
    calls: list[tuple[list[int], int]] = []

    def note(batch: Batch, indices: Tensor, seed: int) -> Batch:
        assert torch.equal(batch["x"], indices)
        calls.append((indices.tolist(), seed))
        return Batch(double=2 * batch["x"])

    source = shuffled(transform=note)
    for _ in range(2 * source.epoch_steps):
        batch = next(source)
        assert torch.equal(batch["double"], 2 * torch.tensor(calls[-1][0]))
    seeds = [seed for _, seed in calls]
    half = source.epoch_steps
    assert len(set(seeds[:half])) == len(set(seeds[half:])) == 1
    assert seeds[0] != seeds[-1]


class Flaky(Examples):
    """Fails at its n-th batch, once."""

    def __init__(self, failing: int) -> None:
        self.within, self.left = numbered(), failing

    def stream(self, wanted: Iterable[Tensor]) -> Iterator[tuple[Tensor, Batch]]:
        for item in self.within.stream(wanted):
            self.left -= 1
            if self.left == 0:
                raise OSError("away")
            yield item


def test_after_a_failure_it_goes_on_with_the_same_batch() -> None:
    expected = epoch(shuffled())
    source = Shuffled(Flaky(3), INDICES, batch_size=5, seed=1)
    got = [next(source)["x"].tolist() for _ in range(2)]
    with pytest.raises(OSError, match="away"):
        next(source)
    assert source.state_dict() == {"epoch": 0, "position": 2}
    got += [next(source)["x"].tolist() for _ in range(3)]
    assert got == expected


def test_after_a_failing_transform_it_goes_on_with_the_same_batch() -> None:
    failing = [False, False, True, False, False, False]

    def sometimes(batch: Batch, indices: Tensor, seed: int) -> Batch:
        if failing.pop(0):
            raise ValueError("bad batch")
        return batch

    transform: Transform = sometimes
    source = shuffled(transform=transform)
    got = [next(source)["x"].tolist() for _ in range(2)]
    with pytest.raises(ValueError, match="bad batch"):
        next(source)
    got += [next(source)["x"].tolist() for _ in range(3)]
    assert got == epoch(shuffled())


def test_in_order_once_for_each_iteration() -> None:
    source = InOrder(numbered(), torch.tensor([5, 3, 9, 1, 7]), batch_size=2)
    assert len(source) == 3
    for _ in range(2):
        assert [batch["x"].tolist() for batch in source] == [[5, 3], [9, 1], [7]]
    assert [batch["x"].tolist() for batch in islice(source, 1)] == [[5, 3]]
    shifted = InOrder(numbered(), torch.arange(3), batch_size=2, transform=lambda b, i, s: Batch(x=b["x"] + i + s))
    assert [batch["x"].tolist() for batch in shifted] == [[0, 2], [4]]


@pytest.mark.parametrize("count", [20, 23])
def test_several_at_once_are_the_next_ones(count: int) -> None:
    source, reference = shuffled(count=count), shuffled(count=count)
    alike = 0
    for step in range(9):  # two epochs and a half; groups go on from one into the next
        position = source.state_dict()
        found = source.together(3)
        assert source.state_dict() == position
        batches = [next(reference) for _ in range(3)]
        if len({batch.size for batch in batches}) > 1:
            assert found is None
            for expected in batches:
                torch.testing.assert_close(dict(next(source)), dict(expected), rtol=0, atol=0)
        else:
            alike += 1
            assert found is not None
            expected = {name: torch.stack([batch[name] for batch in batches]) for name in batches[0]}
            torch.testing.assert_close(found, expected, rtol=0, atol=0)
            if step % 2:
                source.skip(3)
            else:
                assert [next(source)["x"].tolist() for _ in range(3)] == expected["x"].tolist()
        assert source.state_dict() == reference.state_dict()
    assert alike == (9 if count == 20 else 4)


def test_several_are_not_fetched_at_once_where_each_is_fetched_or_changed() -> None:
    assert shuffled(transform=lambda batch, indices, seed: batch).together(2) is None

    class Half(Ranks):
        def _open(self) -> None:
            """No process is there to be met."""

    assert shuffled(ranks=Half(Place(0, 2, 0, 2))).together(2) is None

    class Streamed(Examples):
        def stream(self, wanted: Iterable[Tensor]) -> Iterator[tuple[Tensor, Batch]]:
            raise AssertionError("nothing is to be fetched")

    assert Shuffled(Streamed(), INDICES, batch_size=5, seed=1).together(2) is None


def test_an_order_that_was_made_for_another_epoch_is_not_taken() -> None:
    source = shuffled(count=20)
    first = next(source)["x"].tolist()
    start = source.state_dict() | {"position": 0}
    source.load_state_dict({"epoch": 3, "position": 0})
    source.together(4)
    source.load_state_dict(start)
    assert next(source)["x"].tolist() == first
