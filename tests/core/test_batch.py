"""Batches: their size, their parts, and the device they are on."""

from __future__ import annotations

import pytest
import torch

from penstock.core.batch import Batch


def make(size: int) -> Batch:
    return Batch(image=torch.randn(size, 2, 3), target=torch.arange(size))


@pytest.mark.parametrize(
    ("size", "parts", "sizes"), [(6, 3, [2, 2, 2]), (7, 3, [3, 2, 2]), (5, 1, [5]), (2, 5, [1, 1])]
)
def test_parts_are_nearly_equal_in_order_and_together_the_whole(size: int, parts: int, sizes: list[int]) -> None:
    batch = make(size)
    split = list(batch.split(parts))
    assert [part.size for part in split] == sizes
    assert all(isinstance(part, Batch) and list(part) == ["image", "target"] for part in split)
    for name, value in batch.items():
        assert torch.equal(torch.cat([part[name] for part in split]), value)


def test_a_batch_that_is_where_it_should_be_is_not_copied() -> None:
    batch = make(3)
    assert batch.to(torch.device("cpu")) is batch
    moved = batch.to(torch.device("meta"))
    assert {value.device.type for value in moved.values()} == {"meta"}
    assert isinstance(moved, Batch)
