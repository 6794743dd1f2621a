"""Batches that are looked at stay the next ones, and the position is that of the batch to be taken next."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from penstock.core.batch import Batch
from penstock.core.errors import DataError
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
