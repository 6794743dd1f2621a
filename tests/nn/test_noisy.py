"""Noisy linear layers against the formula with the drawn noise, and against torch's layer without it."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from penstock.core.errors import RecipeError
from penstock.nn.noisy import NoisyLinear


def shrunk(noise: torch.Tensor) -> torch.Tensor:
    return noise.sign() * noise.abs().sqrt()


def test_in_training_the_weights_are_those_of_the_paper() -> None:
    torch.manual_seed(0)
    layer = NoisyLinear(5, 3).double()
    x = torch.randn(7, 5, dtype=torch.float64)
    torch.manual_seed(1)
    found = layer(x)
    torch.manual_seed(1)
    before, after = (shrunk(torch.empty(size, dtype=torch.float64).normal_()) for size in (5, 3))
    weight = layer.weight + layer.weight_spread * torch.outer(after, before)
    bias = layer.bias + layer.bias_spread * after
    torch.testing.assert_close(found, functional.linear(x, weight, bias), rtol=1e-7, atol=1e-7)
    assert not torch.equal(layer(x), found)


def test_in_evaluation_it_is_a_linear_layer() -> None:
    layer = NoisyLinear(5, 3).eval()
    x = torch.randn(7, 5)
    assert torch.equal(layer(x), functional.linear(x, layer.weight, layer.bias))


def test_it_starts_as_the_paper_says_and_learns_its_noise() -> None:
    torch.manual_seed(0)
    layer = NoisyLinear(100, 200, noise=0.4)
    assert float(layer.weight.detach().abs().max()) <= 0.1
    assert float(layer.weight.detach().std()) == pytest.approx(0.2 / 12**0.5, rel=0.02)
    assert torch.unique(layer.weight_spread).tolist() == pytest.approx([0.04])
    layer(torch.randn(4, 100)).square().sum().backward()
    assert all(parameter.grad is not None and bool(parameter.grad.any()) for parameter in layer.parameters())


def test_sizes_are_checked() -> None:
    with pytest.raises(RecipeError, match="outputs is 0"):
        NoisyLinear(3, 0)
