"""Temporal convolution against its sum, and how far it sees."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from penstock.models.tcn import TCN


def convolve(conv: nn.Conv1d, x: Tensor) -> Tensor:
    """The sum of a causal convolution, term by term: (T, H) to (T, H)."""
    out = conv.bias.repeat(len(x), 1)
    for t in range(len(x)):
        for k in range(conv.kernel_size[0]):
            past = t - (conv.kernel_size[0] - 1 - k) * conv.dilation[0]
            if past >= 0:
                out[t] = out[t] + conv.weight[:, :, k] @ x[past]
    return out


def test_it_computes_what_its_equations_say() -> None:
    torch.manual_seed(0)
    trunk = TCN(inputs=2, width=4, layers=2, kernel=3).double()
    x = torch.randn(9, 2, dtype=torch.float64)
    y = x @ trunk.widen.weight[:, :, 0].T + trunk.widen.bias
    for i in range(2):
        y = torch.relu(y + convolve(trunk.second[i], torch.relu(convolve(trunk.first[i], y))))
    torch.testing.assert_close(trunk(x.unsqueeze(0))[0], y, rtol=1e-7, atol=1e-9)


def test_it_sees_as_many_steps_as_it_says() -> None:
    trunk = TCN(inputs=1, width=3, layers=3, kernel=2).double()
    for value in trunk.parameters():  # all positive: nothing is cut off
        nn.init.uniform_(value, 0.1, 1.0)
    x = torch.ones(1, 40, 1, dtype=torch.float64, requires_grad=True)
    trunk(x)[0, -1].sum().backward()
    assert int((x.grad[0, :, 0] != 0).sum()) == trunk.reach == 15


def test_signals_keep_their_size_through_many_layers() -> None:
    torch.manual_seed(0)
    y = TCN(inputs=8, width=64, layers=9)(torch.randn(2, 600, 8))
    assert 0.3 < y[:, 300:].square().mean().sqrt() < 3
