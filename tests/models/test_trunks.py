"""What holds for every trunk: the future and the padding change nothing, and it goes on from where it was."""

from __future__ import annotations

import pytest
import torch
from models.trunks import CAUSAL, TRUNKS
from torch import Tensor

from penstock.core.errors import RecipeError
from penstock.models.jordan import Jordan
from penstock.models.recurrent import GRU, LSTM, Elman
from penstock.models.tcn import TCN
from penstock.models.trunk import Causal, Trunk

LENGTHS = torch.tensor([7, 1, 4, 0])


@pytest.fixture(params=TRUNKS)
def trunk(request: pytest.FixtureRequest) -> Trunk:
    torch.manual_seed(1)
    return TRUNKS[request.param]().double().eval()


@pytest.fixture(params=CAUSAL)
def causal(request: pytest.FixtureRequest) -> Causal:
    torch.manual_seed(1)
    return CAUSAL[request.param]().double().eval()


def some(steps: int = 7) -> Tensor:
    torch.manual_seed(2)
    return torch.randn(4, steps, 3, dtype=torch.float64)


def test_padding_changes_nothing_and_comes_out_as_zeros(trunk: Trunk) -> None:
    x = some()
    y = trunk(x, LENGTHS)
    assert y.shape == (4, 7, trunk.outputs)
    for row, length in enumerate(LENGTHS.tolist()):
        assert not y[row, length:].any()
        if length:
            alone = trunk(x[row : row + 1, :length])
            torch.testing.assert_close(y[row : row + 1, :length], alone, rtol=1e-7, atol=1e-9)
    noisy = x.clone()
    noisy[1:, 5:] = 1e6
    torch.testing.assert_close(trunk(noisy, LENGTHS), y, rtol=0, atol=0)


def test_gradients_do_not_come_from_padding(trunk: Trunk) -> None:
    x = some().requires_grad_()
    trunk(x, LENGTHS).square().sum().backward()
    for row, length in enumerate(LENGTHS.tolist()):
        assert not x.grad[row, length:].any()
        assert x.grad[row, :length].abs().sum(1).gt(0).all()


def test_the_future_changes_nothing(causal: Causal) -> None:
    x = some()
    before, changed = causal(x), x.clone()
    changed[:, 4:] += 1
    torch.testing.assert_close(causal(changed)[:, :4], before[:, :4], rtol=0, atol=1e-12)
    assert not torch.allclose(causal(changed)[:, 4:], before[:, 4:])


@pytest.mark.parametrize("pieces", [(1, 1, 5), (3, 0, 4), (2, 2, 2, 1)])
def test_it_goes_on_from_where_it_was(causal: Causal, pieces: tuple[int, ...]) -> None:
    x = some()
    carry, found = causal.begin(4), []
    for piece in x.split(pieces, 1):
        y, carry = causal.advance(piece, carry)
        found.append(y)
        assert all(len(remembered) == 4 for remembered in carry)
    torch.testing.assert_close(torch.cat(found, 1), causal(x), rtol=1e-7, atol=1e-9)


def test_gradients_go_through_what_is_remembered(causal: Causal) -> None:
    x = some().requires_grad_()
    _, carry = causal.advance(x[:, :3], causal.begin(4))
    y, _ = causal.advance(x[:, 3:], carry)
    y.sum().backward()
    in_pieces, x.grad = x.grad, None
    causal(x)[:, 3:].sum().backward()
    torch.testing.assert_close(in_pieces, x.grad, rtol=1e-7, atol=1e-9)
    assert in_pieces[:, :3].abs().sum() > 0


def test_what_is_remembered_keeps_its_kind_under_autocast(causal: Causal) -> None:
    causal.float()
    with torch.autocast("cpu", torch.bfloat16):
        _, carry = causal.advance(some().float(), causal.begin(4))
    assert {remembered.dtype for remembered in carry} == {torch.float32}
    causal.advance(some().float(), carry)


def test_no_step_at_all_is_no_fault(trunk: Trunk) -> None:
    assert trunk(some(0), torch.zeros(4, dtype=torch.int64)).shape == (4, 0, trunk.outputs)


@pytest.mark.parametrize("make", [Elman, Jordan, LSTM, GRU, TCN])
def test_dropout_acts_in_training_alone(make: type[Causal]) -> None:
    trunk = make(inputs=3, width=16, layers=2, dropout=0.5).double()
    x = some()
    assert not torch.equal(trunk(x), trunk(x))
    trunk.eval()
    assert torch.equal(trunk(x), trunk(x))


def test_another_number_of_inputs_is_refused_with_both_numbers(trunk: Trunk) -> None:
    with pytest.raises(RecipeError, match="3 numbers a step and was given 2"):
        trunk(torch.zeros(1, 5, 2, dtype=torch.float64))
