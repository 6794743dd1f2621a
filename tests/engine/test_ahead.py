"""Batches that are looked at stay the next ones, and the position is that of the batch to be taken next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from penstock.core.batch import Batch
from penstock.core.errors import DataError
from penstock.core.objective import Stacking
from penstock.engine.ahead import Ahead

CPU = torch.device("cpu")


class Counting:
    """Gives batches of the numbers 0, 1, 2, ...; the one numbered `lost` is not there."""

    epoch_steps = 5

    def __init__(self, lost: int = -1) -> None:
        self.position, self.lost = 0, lost

    def __next__(self) -> Batch:
        if self.position == self.lost:
            raise DataError("numbers", f"{self.position} is lost", "find it")
        self.position += 1
        return Batch({"x": torch.tensor([self.position - 1])})

    def state_dict(self) -> dict[str, Any]:
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.position = state["position"]


def numbers(batches: list[Batch]) -> list[int]:
    return [int(batch["x"]) for batch in batches]


def test_what_was_looked_at_is_taken_next() -> None:
    ahead = Ahead(Counting(), CPU)
    assert ahead.epoch_steps == 5
    assert numbers(ahead.peek(3)) == [0, 1, 2] == numbers(ahead.peek(3))
    assert numbers(ahead.peek(1)) == [0]
    assert numbers([next(ahead) for _ in range(2)]) == [0, 1]
    assert numbers(ahead.peek(2)) == [2, 3]
    assert numbers([next(ahead) for _ in range(4)]) == [2, 3, 4, 5]
    assert ahead.peek(0) == []


def test_the_position_is_that_of_the_batch_to_be_taken() -> None:
    ahead, positions = Ahead(Counting(), CPU), []
    for looked in (0, 4, 0, 2, 1, 3, 0, 0):
        ahead.peek(looked)
        positions.append(ahead.state_dict()["position"])
        assert numbers([next(ahead)]) == positions[-1:]
    assert positions == list(range(8))


def test_going_to_a_position_forgets_what_was_drawn() -> None:
    ahead = Ahead(Counting(), CPU)
    ahead.peek(4)
    ahead.load_state_dict({"position": 9})
    assert ahead.state_dict() == {"position": 9}
    assert numbers([*ahead.peek(1), next(ahead), next(ahead)]) == [9, 9, 10]


def test_batches_before_a_lost_one_are_kept() -> None:
    ahead = Ahead(Counting(lost=2), CPU)
    for _ in range(2):
        with pytest.raises(DataError, match="2 is lost"):
            ahead.peek(4)
    assert ahead.state_dict() == {"position": 0}
    assert numbers([next(ahead), next(ahead)]) == [0, 1]
    with pytest.raises(DataError, match="2 is lost"):
        next(ahead)
    assert ahead.state_dict() == {"position": 2}


def test_batches_come_on_the_device() -> None:
    ahead = Ahead(Counting(), torch.device("meta"))
    assert {batch["x"].device.type for batch in (*ahead.peek(1), next(ahead), next(ahead))} == {"meta"}


def test_what_was_put_back_is_drawn_again() -> None:
    source = Counting()
    ahead = Ahead(source, CPU)
    next(ahead)
    looked_at = ahead.peek(2)
    ahead.put_back()
    assert ahead.state_dict() == {"position": 1}
    assert source.position == 1
    assert next(ahead) is not looked_at[0]
    assert numbers([next(ahead)]) == [2]


class Stacked(Counting, Stacking):
    """Two at once, as long as they are below `most`."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most, self.asked = most, 0

    def together(self, count: int) -> dict[str, torch.Tensor] | None:
        self.asked += 1
        at = self.position
        return None if at + count > self.most else {"x": torch.arange(at, at + count)[:, None]}

    def skip(self, count: int) -> None:
        self.position += count


@pytest.mark.parametrize("source", [Counting, lambda: Stacked(100), lambda: Stacked(5)])
def test_several_together_stay_the_next_ones_until_they_are_skipped(source: Callable[[], Counting]) -> None:
    ahead = Ahead(source(), CPU)
    for at in (0, 2, 4):
        for _ in range(2):
            assert ahead.state_dict() == {"position": at}
            found = ahead.together(2)
            assert found is not None
            assert found["x"].tolist() == [[at], [at + 1]]
        ahead.skip(2)
    assert numbers([*ahead.peek(1), next(ahead)]) == [6, 6]


def test_what_was_looked_at_comes_first_together_too() -> None:
    within = Stacked(100)
    ahead = Ahead(within, CPU)
    ahead.peek(1)
    found = ahead.together(2)
    assert found is not None
    assert (found["x"].tolist(), within.asked) == ([[0], [1]], 0)
    ahead.skip(2)
    assert ahead.state_dict() == {"position": 2}
    ahead.together(2)
    assert within.asked == 1


def test_together_they_come_on_the_device() -> None:
    for source in (Counting(), Stacked(100)):
        found = Ahead(source, torch.device("meta")).together(2)
        assert found is not None
        assert (found["x"].device.type, found["x"].shape) == ("meta", (2, 1))


@pytest.mark.parametrize(
    "other", [{"x": torch.zeros(2)}, {"x": torch.zeros(1, dtype=torch.long)}, {"y": torch.zeros(1)}]
)
def test_unlike_batches_are_not_put_together(other: dict[str, torch.Tensor]) -> None:
    class Unlike(Counting):
        def __next__(self) -> Batch:
            self.position += 1
            return Batch({"x": torch.zeros(1)} if self.position % 2 else other)

    ahead = Ahead(Unlike(), CPU)
    assert ahead.together(2) is None
    assert ahead.state_dict() == {"position": 0}
    assert next(ahead)["x"].tolist() == [0.0]
