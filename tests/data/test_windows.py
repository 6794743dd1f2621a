"""Windows over a series, and their split by time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from penstock.core.errors import DataError
from penstock.data.windows import Windows, split_by_time


def test_a_window_ends_at_its_row_and_tells_what_follows() -> None:
    values = torch.arange(20.0).view(10, 2)
    windows = Windows(values, context=3, ahead=2, targets=[1])
    batch = windows[torch.tensor([2, 7])]
    assert batch["series"].tolist() == [[[0, 1], [2, 3], [4, 5]], [[10, 11], [12, 13], [14, 15]]]
    assert batch["target"].tolist() == [[[7], [9]], [[17], [19]]]
    assert windows.to(torch.device("cpu"))[torch.tensor([4])]["target"].tolist() == [[[11], [13]]]


@pytest.mark.parametrize(("context", "ahead"), [(1, 1), (5, 3), (12, 7)])
def test_no_part_tells_what_another_tells_and_none_is_left_out(context: int, ahead: int) -> None:
    parts = split_by_time(100, context=context, ahead=ahead, validation=0.2, test=0.3)
    told = {name: {row + step for row in rows for step in range(1, ahead + 1)} for name, rows in parts.items()}
    assert told == {"train": set(range(context, 50)), "validation": set(range(50, 70)), "test": set(range(70, 100))}
    assert all((rows >= context - 1).all() for rows in parts.values())


def test_too_few_rows_are_told_with_numbers() -> None:
    with pytest.raises(DataError, match=r"no window of 20 rows back and 15 ahead fits validation .*validation 10"):
        split_by_time(100, context=20, ahead=15, validation=0.1, test=0.2)
    with pytest.raises(DataError, match="train and validation and test"):
        split_by_time(9, context=20, ahead=15, validation=0.1, test=0.2)


def test_rows_are_numbers_of_the_series() -> None:
    parts = split_by_time(50, context=4, ahead=1, validation=0.2, test=0.2)
    assert {rows.dtype for rows in parts.values()} == {np.dtype(np.int64)}
