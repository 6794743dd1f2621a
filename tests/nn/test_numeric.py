"""Periodic embeddings of numbers."""

from __future__ import annotations

import math

import pytest
import torch

from penstock.core.errors import RecipeError
from penstock.nn.numeric import Periodic


@pytest.mark.parametrize("shared", [False, True])
def test_each_number_by_the_formula(shared: bool) -> None:
    torch.manual_seed(0)
    layer = Periodic(features=3, frequencies=4, width=5, sigma=0.7, shared=shared).double()
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(6, 3, dtype=torch.float64)
    layer.requires_grad_(False)
    out = layer(x)
    assert out.shape == (6, 3, 5)
    for b in range(6):
        for f in range(3):
            waves = [2 * math.pi * float(c) * float(x[b, f]) for c in layer.frequency[f]]
            both = torch.tensor([math.sin(v) for v in waves] + [math.cos(v) for v in waves], dtype=torch.float64)
            own = 0 if shared else f
            expected = (both @ layer.weight[own] + layer.bias[own, 0]).clamp(min=0)
            torch.testing.assert_close(out[b, f], expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("shared", [False, True])
def test_gradients(shared: bool) -> None:
    torch.manual_seed(1)
    layer = Periodic(features=2, frequencies=3, width=4, shared=shared).double()
    torch.nn.init.constant_(layer.bias, 9.0)  # away from the kink of ReLU
    x = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    names, values = zip(*layer.named_parameters(), strict=True)

    def call(x: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(call, (x, *values), eps=1e-6, atol=1e-7, rtol=1e-5)


def test_parameters_are_counted_per_feature_or_once() -> None:
    def count(shared: bool) -> int:
        layer = Periodic(features=7, frequencies=10, width=6, shared=shared)
        return sum(p.numel() for p in layer.parameters())

    assert count(shared=False) == 7 * 10 + 7 * (20 * 6 + 6)
    assert count(shared=True) == 7 * 10 + (20 * 6 + 6)


def test_initial_variances() -> None:
    torch.manual_seed(2)
    layer = Periodic(features=200, frequencies=100, width=20, sigma=0.3)
    for values in (layer.frequency.detach() / 0.3, layer.weight.detach() * (2 * 100 / 2) ** 0.5):
        assert abs(values.mean()) < 5 / values.numel() ** 0.5
        assert abs(values.var() - 1) < 5 * (2 / values.numel()) ** 0.5


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(RecipeError, match="sigma is 0"):
        Periodic(features=2, sigma=0.0)
    with pytest.raises(RecipeError, match="frequencies is 0"):
        Periodic(features=2, frequencies=0)
    with pytest.raises(RecipeError, match="2 features and was given 3"):
        Periodic(features=2)(torch.zeros(4, 3))
