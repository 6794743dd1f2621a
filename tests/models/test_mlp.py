"""Linear models and multilayer perceptrons against plain matrix products."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from penstock.models.linear import Linear
from penstock.models.mlp import MLP


def test_linear_is_one_product_and_its_gradient() -> None:
    torch.manual_seed(0)
    model = Linear(inputs=6, outputs=4).double()
    x = torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)
    weight, bias = model.state_dict().values()
    torch.testing.assert_close(model(x), x.reshape(5, 6) @ weight.T + bias, rtol=1e-7, atol=1e-7)
    into = torch.randn(5, 4, dtype=torch.float64)
    model(x).backward(into)
    torch.testing.assert_close(x.grad, (into @ weight).reshape(5, 2, 3), rtol=1e-7, atol=1e-7)


def test_parameter_count_of_784_300_100_10() -> None:
    sizes = [784, 300, 100, 10]
    model = MLP(inputs=784, hidden=(300, 100), outputs=10)
    assert (
        sum(p.numel() for p in model.parameters()) == sum((a + 1) * b for a, b in itertools.pairwise(sizes)) == 266_610
    )


def test_mlp_forward_and_backward_by_hand() -> None:
    torch.manual_seed(1)
    model = MLP(inputs=4, hidden=(7,), outputs=3).double()
    w1, b1, w2, b2 = model.parameters()
    x = torch.randn(6, 4, dtype=torch.float64)
    inner = x @ w1.T + b1
    out = inner.clamp(min=0) @ w2.T + b2
    torch.testing.assert_close(model(x), out, rtol=1e-7, atol=1e-7)
    into = torch.randn(6, 3, dtype=torch.float64)
    model(x).backward(into)
    through = (into @ w2) * (inner > 0)
    for parameter, gradient in zip(
        (w1, b1, w2, b2), (through.T @ x, through.sum(0), into.T @ inner.clamp(min=0), into.sum(0)), strict=True
    ):
        torch.testing.assert_close(parameter.grad, gradient.detach(), rtol=1e-7, atol=1e-7)


def test_dropout_follows_each_hidden_layer_only_in_training() -> None:
    torch.manual_seed(2)
    model = MLP(inputs=3, hidden=(400, 500), outputs=2, dropout=0.25)
    seen: list[torch.Tensor] = []
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.register_forward_hook(lambda _, given, out: seen.append(out[given[0] > 0]))
    model(torch.randn(8, 3))
    assert len(seen) == 2
    for out in seen:
        kept, n = int((out > 0).sum()), out.numel()
        assert abs(kept - 0.75 * n) < 5 * (n * 0.75 * 0.25) ** 0.5
    assert not any(isinstance(module, nn.Dropout) for module in MLP(inputs=3, hidden=(4,), outputs=2).modules())


@pytest.mark.parametrize(("activation", "layers"), [(nn.ReLU, 10), (nn.Tanh, 10), (nn.GELU, 3)])
def test_signals_keep_their_size(activation: type[nn.Module], layers: int) -> None:
    torch.manual_seed(4)
    model = MLP(inputs=512, hidden=(512,) * layers, outputs=512, activation=activation)
    before_last_activation = model.body[:-1](torch.randn(64, 512))
    assert 0.3 < before_last_activation.square().mean() < 4
