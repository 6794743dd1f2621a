"""Recurrent cells step by step, and against torch's packed sequences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from penstock.core.errors import RecipeError
from penstock.models.both_ways import BothWays
from penstock.models.jordan import Jordan
from penstock.models.recurrent import GRU, LSTM, Elman, Recurrent

T, H = 6, 5


def inputs() -> Tensor:
    torch.manual_seed(4)
    return torch.randn(3, T, 4, dtype=torch.float64)


def unsettle(module: nn.Module) -> None:
    """Biases that are not zero, so that none can be left out unseen."""
    for value in module.parameters():
        if value.ndim == 1:
            nn.init.normal_(value)


def gates(cells: nn.RNNBase, x: Tensor, h: Tensor, number: int) -> list[tuple[Tensor, Tensor]]:
    """What each gate gets from the input and from the hidden state."""
    from_x = x @ cells.weight_ih_l0.T + cells.bias_ih_l0
    from_h = h @ cells.weight_hh_l0.T + cells.bias_hh_l0
    return list(zip(from_x.chunk(number, 1), from_h.chunk(number, 1), strict=True))


def elman(cells: nn.RNNBase, x: Tensor) -> Tensor:
    h, found = torch.zeros(len(x), H, dtype=x.dtype), []
    for step in x.unbind(1):
        ((a, b),) = gates(cells, step, h, 1)
        h = torch.tanh(a + b)
        found.append(h)
    return torch.stack(found, 1)


def lstm(cells: nn.RNNBase, x: Tensor) -> Tensor:
    h = c = torch.zeros(len(x), H, dtype=x.dtype)
    found = []
    for step in x.unbind(1):
        i, f, g, o = (a + b for a, b in gates(cells, step, h, 4))
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        found.append(h)
    return torch.stack(found, 1)


def gru(cells: nn.RNNBase, x: Tensor) -> Tensor:
    h, found = torch.zeros(len(x), H, dtype=x.dtype), []
    for step in x.unbind(1):
        (ra, rb), (za, zb), (na, nb) = gates(cells, step, h, 3)
        z = torch.sigmoid(za + zb)
        h = (1 - z) * torch.tanh(na + torch.sigmoid(ra + rb) * nb) + z * h
        found.append(h)
    return torch.stack(found, 1)


@pytest.mark.parametrize(("make", "reference"), [(Elman, elman), (LSTM, lstm), (GRU, gru)])
def test_cells_compute_what_their_equations_say(make: type[Recurrent], reference) -> None:
    cell = make(inputs=4, width=H).double()
    unsettle(cell)
    torch.testing.assert_close(cell(inputs()), reference(cell.cells, inputs()), rtol=1e-7, atol=1e-9)
    found = [
        torch.autograd.grad(f.square().sum(), cell.cells.weight_hh_l0)[0]
        for f in (cell(inputs()), reference(cell.cells, inputs()))
    ]
    torch.testing.assert_close(*found, rtol=1e-7, atol=1e-9)


def test_jordan_feeds_its_output_back() -> None:
    cell = Jordan(inputs=4, width=H).double()
    unsettle(cell)
    take, recall, tell = cell.take[0], cell.recall[0], cell.tell[0]
    y, found = torch.zeros(3, H, dtype=torch.float64), []
    for step in inputs().unbind(1):
        hidden = torch.tanh(step @ take.weight.T + take.bias + y @ recall.weight.T)
        y = torch.tanh(hidden @ tell.weight.T + tell.bias)
        found.append(y)
    torch.testing.assert_close(cell(inputs()), torch.stack(found, 1), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(("make", "primitive"), [(Elman, nn.RNN), (LSTM, nn.LSTM), (GRU, nn.GRU)])
def test_both_ways_is_what_torch_makes_of_packed_sequences(make: type[Recurrent], primitive: type[nn.RNNBase]) -> None:
    trunk = BothWays(lambda n: make(inputs=n, width=H), inputs=4, layers=2).double()
    unsettle(trunk)
    reference = primitive(4, H, 2, bidirectional=True, batch_first=True).double()
    ours = {f"l{i}{end}": half[i].cells for i in range(2) for end, half in (("", trunk.on), ("_reverse", trunk.back))}
    for name, value in reference.named_parameters():
        which, _, place = name.rpartition("l")
        value.data.copy_(ours[f"l{place}"].get_parameter(f"{which}l0"))
    lengths = torch.tensor([6, 2, 5])
    packed = pack_padded_sequence(inputs(), lengths, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(reference(packed)[0], batch_first=True)
    torch.testing.assert_close(trunk(inputs(), lengths), expected, rtol=1e-7, atol=1e-9)


def test_the_forget_gate_starts_open_and_the_others_by_choice_closed() -> None:
    for layer in range(2):
        biases = LSTM(inputs=4, width=H, layers=2, gate_bias=-2.0).cells.get_parameter(f"bias_ih_l{layer}")
        assert biases.view(4, H).mean(1).tolist() == [-2.0, 1.0, 0.0, -2.0]
        assert LSTM(inputs=4, width=H).cells.bias_ih_l0.view(4, H).sum(1).tolist() == [0.0, H, 0.0, 0.0]
    kept = LSTM(inputs=4, width=H, forget_bias=30.0, gate_bias=-30.0)  # wide open, tightly closed: nothing changes
    _, (_, cell) = kept.advance(inputs().float(), (torch.zeros(3, 1, H), torch.full((3, 1, H), 0.7)))
    torch.testing.assert_close(cell, torch.full((3, 1, H), 0.7))


def test_a_memory_of_many_steps_fades_to_a_third_within_as_many() -> None:
    torch.manual_seed(0)
    long = LSTM(inputs=1, width=4000, memory=100)
    close, open_, *others = long.cells.bias_ih_l0.detach().view(4, -1)
    assert torch.equal(close, -open_)
    assert not torch.stack(others).any()
    steps = 1 / (
        1 - open_.sigmoid()
    )  # after so many, a cell that forgets that share at each has 1/e of it: 1 + U(1, 99)
    assert 2 <= steps.min() < 3
    assert 99 < steps.max() <= 100
    assert steps.mean().item() == pytest.approx(51, abs=1.5)
    with pytest.raises(RecipeError, match="LSTM: memory is 2; give a number of steps of at least 3"):
        LSTM(inputs=1, width=4, memory=2)


@pytest.mark.parametrize(("make", "number"), [(Elman, 1), (LSTM, 4), (GRU, 3)])
def test_recurrent_weights_start_orthogonal_gate_by_gate(make: type[Recurrent], number: int) -> None:
    cells = make(inputs=4, width=H, layers=2).cells
    for layer in range(2):
        for gate in cells.get_parameter(f"weight_hh_l{layer}").detach().chunk(number):
            torch.testing.assert_close(gate @ gate.T, torch.eye(H))


def test_input_weights_have_glorots_variance() -> None:
    torch.manual_seed(0)
    weights = GRU(inputs=200, width=100).cells.weight_ih_l0.detach()
    n, variance = weights.numel(), 2 / (200 + 100)
    error = variance * (9 / 5 - 1) ** 0.5 / n**0.5  # of the variance of uniform numbers, whose kurtosis is 9 / 5
    assert abs(weights.var() - variance) < 5 * error


@pytest.mark.parametrize("make", [Elman, Jordan, LSTM, GRU])
def test_sizes_that_make_no_sense_are_refused(make) -> None:
    with pytest.raises(RecipeError, match="width is 0"):
        make(inputs=2, width=0)
    with pytest.raises(RecipeError, match=r"dropout is 1\.0"):
        make(inputs=2, width=2, dropout=1.0)
