"""Steps that are padding, sequences read back, pooled and shortened."""

from __future__ import annotations

import pytest
import torch

from penstock.core.errors import RecipeError
from penstock.nn.pooling import Pooling
from penstock.nn.shorten import Shorten
from penstock.nn.steps import backwards, within

LENGTHS = torch.tensor([4, 2, 0])


def test_within() -> None:
    assert within(LENGTHS, 4).int().tolist() == [[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0]]


def test_backwards_leaves_padding_in_its_place() -> None:
    x = torch.arange(12).view(3, 4, 1)
    assert backwards(x, LENGTHS).squeeze(2).tolist() == [[3, 2, 1, 0], [5, 4, 6, 7], [8, 9, 10, 11]]
    assert torch.equal(backwards(x), x.flip(1))
    assert torch.equal(backwards(backwards(x, LENGTHS), LENGTHS), x)


def test_pooling_sees_real_steps_alone() -> None:
    x = torch.tensor([[[1.0], [5.0], [3.0], [-1.0]], [[-4.0], [-2.0], [9.0], [9.0]], [[7.0], [7.0], [7.0], [7.0]]])
    assert Pooling()(x, LENGTHS).tolist() == [[-1, 2, 5], [-2, -3, -2], [0, 0, 0]]
    assert torch.equal(Pooling()(x), Pooling()(x, torch.tensor([4, 4, 4])))
    assert Pooling()(x[:, :0], torch.zeros(3, dtype=torch.int64)).tolist() == [[0, 0, 0]] * 3


@pytest.mark.parametrize("stride", [2, 4, 8])
def test_shortened_sequences_do_not_see_padding(stride: int) -> None:
    torch.manual_seed(0)
    front = Shorten(inputs=3, width=5, stride=stride).double()
    lengths = torch.tensor([13, 8, 5, 1])
    x = torch.randn(4, 13, 3, dtype=torch.float64)
    y, left = front(x, lengths), front.steps(lengths)
    assert y.shape == (4, -(-13 // stride), 5)
    assert left.tolist() == [-(-n // stride) for n in lengths.tolist()]
    for row, (length, steps) in enumerate(zip(lengths.tolist(), left.tolist(), strict=True)):
        alone = front(x[row : row + 1, :length])
        torch.testing.assert_close(y[row : row + 1, :steps], alone, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("stride", [0, 1, 3, 6])
def test_strides_that_are_no_power_of_two_are_refused(stride: int) -> None:
    with pytest.raises(RecipeError, match=f"stride is {stride}"):
        Shorten(inputs=3, width=5, stride=stride)
