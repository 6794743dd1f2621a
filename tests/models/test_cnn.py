"""The plain convolutional network against torch.nn.functional and closed forms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from penstock.models.cnn import CNN


def size(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_two_convolutions_and_two_linear_layers_with_biases() -> None:
    model = CNN(
        channels=1, height=28, width=28, outputs=10, widths=(32, 64), convolutions=1, hidden=[128], batch_norm=False
    )
    assert size(model) == 421_642
    x = torch.randn(3, 1, 28, 28, dtype=torch.float64)
    w1, b1, w2, b2, w3, b3, w4, b4 = model.double().parameters()
    y = functional.max_pool2d(functional.conv2d(x, w1, b1, padding=1).relu(), 2)
    y = functional.max_pool2d(functional.conv2d(y, w2, b2, padding=1).relu(), 2)
    y = functional.linear(functional.linear(y.reshape(3, 64 * 7 * 7), w3, b3).relu(), w4, b4)
    torch.testing.assert_close(model(x), y, rtol=1e-7, atol=1e-7)
    into = torch.randn_like(y)
    expected = torch.autograd.grad(y, list(model.parameters()), into)
    torch.testing.assert_close(
        torch.autograd.grad(model(x), list(model.parameters()), into), expected, rtol=1e-7, atol=1e-7
    )


def test_the_default_is_one_convolution_then_two_then_two() -> None:
    model = CNN(channels=1, height=28, width=28, outputs=10)
    convolutions = [(1, 32), (32, 64), (64, 64), (64, 128), (128, 128)]
    assert size(model) == sum(9 * a * b + 2 * b for a, b in convolutions) + 128 * 10 + 10
    sides: list[int] = []
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _, given, out: sides.append(out.shape[-1]))
    model(torch.zeros(2, 1, 28, 28))
    assert sides == [28, 14, 14, 7, 7]


def reference(model: CNN, x: Tensor, counts: list[int]) -> Tensor:
    """The default network in training mode, with ReLU before pooling, straight from its weights in order."""
    weights = iter(model.parameters())
    for count in counts:
        for _ in range(count):
            kernel, scale, shift = next(weights), next(weights), next(weights)
            x = functional.conv2d(x, kernel, padding=1)
            x = (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), keepdim=True, correction=0) + 1e-5).sqrt()
            x = (x * scale[:, None, None] + shift[:, None, None]).clamp(min=0)
        if min(x.shape[2:]) >= 4:
            x = functional.max_pool2d(x, 2)
    return functional.linear(x.mean((2, 3)), next(weights), next(weights))


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 9, 23), (1, 8, 8)])
def test_normalised_stages_forward_and_backward(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(6)
    channels, height, width = shape
    model = CNN(channels=channels, height=height, width=width, outputs=4, widths=(6, 8, 10)).double()
    x = torch.randn(5, *shape, dtype=torch.float64)
    into = torch.randn(5, 4, dtype=torch.float64)
    parameters = list(model.parameters())
    expected = reference(model, x, [1, 2, 2])
    torch.testing.assert_close(model(x), expected, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(
        torch.autograd.grad(model(x), parameters, into),
        torch.autograd.grad(expected, parameters, into),
        rtol=1e-7,
        atol=1e-7,
    )


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 96, 96), (3, 33, 57), (2, 5, 4), (1, 1, 1), (1, 3, 50)])
@pytest.mark.parametrize("hidden", [(), (16,)])
def test_any_size_of_picture(shape: tuple[int, int, int], hidden: tuple[int, ...]) -> None:
    channels, height, width = shape
    model = CNN(
        channels=channels, height=height, width=width, outputs=7, widths=(4, 8, 8, 8), convolutions=1, hidden=hidden
    )
    assert model(torch.randn(2, *shape)).shape == (2, 7)


def test_channels_last_gives_the_same() -> None:
    torch.manual_seed(7)
    model = CNN(channels=3, height=12, width=12, outputs=4, widths=(8, 8), convolutions=1, hidden=[6]).eval()
    x = torch.randn(3, 3, 12, 12)
    expected = model(x)
    last = model.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
    torch.testing.assert_close(last, expected, rtol=1.3e-6, atol=1e-5)


def test_weights_start_with_he_variance() -> None:
    torch.manual_seed(8)
    model = CNN(
        channels=3, height=8, width=8, outputs=10, widths=(64, 128), hidden=[128], convolutions=1, batch_norm=False
    )
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    for layer, factor in zip(layers, (2, 2, 2, 1), strict=True):
        values = layer.weight.detach() * (layer.weight[0].numel() / factor) ** 0.5
        assert abs(values.var() - 1) < 5 * (2 / values.numel()) ** 0.5
        assert not layer.bias.any()
