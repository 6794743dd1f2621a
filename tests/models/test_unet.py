"""The U-shaped network: any size, what it hears, and that it can tell noise from pictures."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from penstock.core.errors import RecipeError
from penstock.models.unet import Attention, Block, UNet, waves


def unet(channels: int = 1, height: int = 12, width: int = 12, classes: int = 0) -> UNet:
    torch.manual_seed(0)
    return UNet(channels=channels, height=height, width=width, widths=(8, 16, 16), classes=classes)


def unsettle(model: nn.Module) -> None:
    """As after training: no layer is zero any more."""
    for parameter in model.parameters():
        if not parameter.detach().any():
            nn.init.normal_(parameter, std=0.1)


@pytest.mark.parametrize("size", [(1, 8, 8), (1, 28, 28), (3, 33, 20), (2, 9, 64), (1, 128, 128), (1, 4, 4), (1, 1, 3)])
def test_any_size_and_every_parameter_is_reached(size: tuple[int, int, int]) -> None:
    model = unet(*size, classes=3)
    x = torch.randn(2, *size)
    assert not model(x, torch.tensor([0, 999])).any()  # it starts at zero
    unsettle(model)
    found = model(x, torch.tensor([0, 999]), torch.tensor([1, 3]))
    assert found.shape == x.shape
    found.square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_sides_are_halved_down_to_four() -> None:
    for side, sides in ((28, [28, 14, 7]), (16, [16, 8, 4]), (9, [9, 5, 5]), (7, [7, 7, 7])):
        seen: list[int] = []
        model = unet(1, side, side)
        for block in model.down:
            block.register_forward_hook(lambda _, given, out, seen=seen: seen.append(out.shape[-1]))
        model(torch.randn(1, 1, side, side), torch.zeros(1))
        assert seen == sides


def test_it_hears_time_and_label_and_each_example_alone() -> None:
    model = unet(classes=2)
    unsettle(model)
    x, t, label = torch.randn(3, 1, 12, 12), torch.tensor([5, 50, 500]), torch.tensor([0, 1, 2])
    found = model(x, t, label)
    for other in (model(x, t + 20, label), model(x, t, label.flip(0))):
        assert not torch.allclose(other[0], found[0], atol=1e-4)
    torch.testing.assert_close(model(x, t, label * 0 + 2), model(x, t), rtol=0, atol=0)  # the last label is none
    for i in range(3):
        alone = model(x[i : i + 1], t[i : i + 1], label[i : i + 1])
        torch.testing.assert_close(alone, found[i : i + 1], rtol=1e-5, atol=1e-5)


def test_the_way_up_sees_what_was_found_on_the_way_down() -> None:
    model = unet()
    unsettle(model)
    model(torch.randn(2, 1, 12, 12), torch.tensor([3, 9])).square().sum().backward()
    for block, own in zip(model.widen, (16, 16, 8), strict=True):
        assert block.norm1.weight.grad[-own:].all()  # 0 where what comes across says nothing
        assert block.norm1.weight.grad[:-own].all()


def test_attention_is_its_definition_and_starts_as_a_way_round() -> None:
    torch.manual_seed(0)
    layer = Attention(8).double()
    x = torch.randn(2, 8, 3, 4, dtype=torch.float64)
    assert torch.equal(layer(x), x)
    unsettle(layer)
    y = functional.group_norm(x, 8, layer.norm.weight, layer.norm.bias)
    asks: Tensor = torch.einsum("oc,bcp->bop", layer.asks.weight[:, :, 0, 0], y.flatten(2)) + layer.asks.bias[:, None]
    query, key, value = asks.chunk(3, 1)
    weights = torch.einsum("bcp,bcq->bpq", query, key).div(math.sqrt(8)).softmax(2)
    found = torch.einsum("bpq,bcq->bcp", weights, value)
    found = torch.einsum("oc,bcp->bop", layer.gives.weight[:, :, 0, 0], found) + layer.gives.bias[:, None]
    torch.testing.assert_close(layer(x), x + found.view_as(x), rtol=1e-9, atol=1e-9)


def test_a_block_starts_as_a_way_round() -> None:
    x = torch.randn(2, 8, 5, 5)
    assert torch.equal(Block(8, 8, 4)(x, torch.randn(2, 4)), x)


def test_waves_of_time() -> None:
    found = waves(torch.tensor([0, 7]), 6)
    assert found[0].tolist() == [0, 0, 0, 1, 1, 1]
    expected = [f(7 / 10_000 ** (i / 3)) for f in (math.sin, math.cos) for i in range(3)]
    torch.testing.assert_close(found[1], torch.tensor(expected))


def test_what_does_not_fit_is_refused_in_words() -> None:
    with pytest.raises(RecipeError, match=r"widths\[1\] is 12; give a multiple of 8"):
        UNet(channels=1, height=8, width=8, widths=(8, 12))
    with pytest.raises(RecipeError, match="height is 0"):
        unet(1, 0)
    with pytest.raises(RecipeError, match="12 rows of pixels and was given 11"):
        unet()(torch.zeros(1, 1, 11, 12), torch.zeros(1))
