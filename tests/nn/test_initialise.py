"""Initial weights against closed forms and samples."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from penstock.core.errors import RecipeError
from penstock.nn.initialise import activation_gain, normal_, orthogonal_


def test_gains_with_a_closed_form() -> None:
    assert activation_gain(nn.ReLU) == pytest.approx(math.sqrt(2), rel=1e-5)
    assert activation_gain(nn.Identity) == pytest.approx(1.0, rel=1e-5)
    slope = 0.2
    assert activation_gain(lambda: nn.LeakyReLU(slope)) == pytest.approx(math.sqrt(2 / (1 + slope**2)), rel=1e-5)


@pytest.mark.parametrize("activation", [nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.ELU])
def test_gains_against_a_sample(activation: type[nn.Module]) -> None:
    torch.manual_seed(0)
    square = activation()(torch.randn(1_000_000)).square()
    assert abs(activation_gain(activation) ** -2 - square.mean()) < 5 * square.std() / 1000


def test_an_activation_that_lets_nothing_through_is_refused() -> None:
    with pytest.raises(RecipeError):
        activation_gain(lambda: nn.Threshold(100.0, 0.0))


@pytest.mark.parametrize("layer", [nn.Linear(300, 200), nn.Conv2d(30, 40, (3, 5)), nn.Conv2d(40, 80, 3, groups=4)])
def test_variance_is_gain_squared_over_inputs(layer: nn.Linear | nn.Conv2d) -> None:
    torch.manual_seed(1)
    normal_(layer, gain=1.7)
    inputs = layer.weight.shape[1:].numel()
    values = layer.weight.detach().flatten() * math.sqrt(inputs) / 1.7
    n = len(values)
    assert abs(values.mean()) < 5 / math.sqrt(n)
    assert abs(values.var() - 1) < 5 * math.sqrt(2 / n)
    assert abs(values.pow(4).mean() - 3) < 5 * math.sqrt(96 / n)
    assert not layer.bias.any()


@pytest.mark.parametrize("layer", [nn.Linear(30, 20), nn.Linear(20, 30), nn.Conv2d(3, 4, 2)])
def test_orthogonal_weights_turn_and_stretch(layer: nn.Linear | nn.Conv2d) -> None:
    torch.manual_seed(1)
    orthogonal_(layer, gain=1.7)
    singular = torch.linalg.svdvals(layer.weight.detach().flatten(1))
    torch.testing.assert_close(singular, torch.full_like(singular, 1.7))
    assert not layer.bias.any()
