"""Both sorts of residual network against published sizes and torch.nn.functional."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from penstock.models import resnet, resnet_cifar


@pytest.mark.parametrize(
    ("make", "classes", "count"),
    [
        (resnet.resnet18, 1000, 11_689_512),
        (resnet.resnet34, 1000, 21_797_672),
        (resnet.resnet50, 1000, 25_557_032),
        (resnet_cifar.resnet20, 10, 269_722),
        (resnet_cifar.resnet32, 10, 464_154),
        (resnet_cifar.resnet44, 10, 658_586),
        (resnet_cifar.resnet56, 10, 853_018),
    ],
)
def test_parameter_counts_are_the_published_ones(make: Callable[..., nn.Module], classes: int, count: int) -> None:
    with torch.device("meta"):
        model = make(outputs=classes)
    assert sum(p.numel() for p in model.parameters()) == count


def normalised(x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """Batch normalisation in training mode, written out."""
    deviation = (x.var((0, 2, 3), keepdim=True, correction=0) + norm.eps).sqrt()
    return (x - x.mean((0, 2, 3), keepdim=True)) / deviation * norm.weight[:, None, None] + norm.bias[:, None, None]


def basic(x: Tensor, block: resnet.BasicBlock, stride: int, way_round: Tensor) -> Tensor:
    y = normalised(functional.conv2d(x, block.conv1.weight, stride=stride, padding=1), block.bn1).clamp(min=0)
    y = normalised(functional.conv2d(y, block.conv2.weight, padding=1), block.bn2)
    return (y + way_round).clamp(min=0)


def bottleneck(x: Tensor, block: resnet.Bottleneck, stride: int, way_round: Tensor) -> Tensor:
    y = normalised(torch.einsum("bchw,kc->bkhw", x, block.conv1.weight[:, :, 0, 0]), block.bn1).clamp(min=0)
    y = normalised(functional.conv2d(y, block.conv2.weight, stride=stride, padding=1), block.bn2).clamp(min=0)
    y = normalised(torch.einsum("bchw,kc->bkhw", y, block.conv3.weight[:, :, 0, 0]), block.bn3)
    return (y + way_round).clamp(min=0)


def check_parity(model: nn.Module, x: Tensor, expected: Tensor) -> None:
    """Equal outputs, and equal gradients of the input and of every parameter."""
    out = model(x)
    torch.testing.assert_close(out, expected, rtol=1e-7, atol=1e-7)
    into, over = torch.randn_like(out), [x, *model.parameters()]
    torch.testing.assert_close(
        torch.autograd.grad(out, over, into), torch.autograd.grad(expected, over, into), rtol=1e-7, atol=1e-7
    )


@pytest.mark.parametrize(("block", "by_hand"), [(resnet.BasicBlock, basic), (resnet.Bottleneck, bottleneck)])
@pytest.mark.parametrize("stride", [1, 2])
def test_blocks_forward_and_backward(block: type[nn.Module], by_hand: Callable[..., Tensor], stride: int) -> None:
    torch.manual_seed(9)
    project = nn.Sequential(nn.Conv2d(4, 8, 1, stride, bias=False), nn.BatchNorm2d(8)).double()
    model = block(4, 8, stride, project).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(3, 4, 7, 6, dtype=torch.float64, requires_grad=True)
    thinned = torch.einsum("bchw,kc->bkhw", x[:, :, ::stride, ::stride], project[0].weight[:, :, 0, 0])
    check_parity(model, x, by_hand(x, model, stride, normalised(thinned, project[1])))


def test_a_small_residual_network_forward_and_backward() -> None:
    torch.manual_seed(10)
    model = resnet_cifar.CifarResNet(blocks=1, outputs=5, channels=2).double()
    x = torch.randn(3, 2, 9, 8, dtype=torch.float64, requires_grad=True)
    y = normalised(functional.conv2d(x, model.conv1.weight, padding=1), model.bn1).clamp(min=0)
    y = basic(y, model.layer1[0], 1, y)
    for stage in (model.layer2, model.layer3):
        short = y[:, :, ::2, ::2]
        y = basic(y, stage[0], 2, torch.cat([short, torch.zeros_like(short)], dim=1))
    check_parity(model, x, y.mean((2, 3)) @ model.fc.weight.T + model.fc.bias)


@pytest.mark.parametrize("block", [resnet.BasicBlock, resnet.Bottleneck])
def test_a_network_starts_as_its_shortcuts(block: type[resnet.BasicBlock] | type[resnet.Bottleneck]) -> None:
    torch.manual_seed(11)
    model = resnet.ResNet(block=block, layers=(1, 1, 1, 1), outputs=3).double()
    x = torch.randn(2, 3, 70, 64, dtype=torch.float64)
    y = normalised(functional.conv2d(x, model.conv1.weight, stride=2, padding=3), model.bn1).clamp(min=0)
    y = functional.max_pool2d(y, 3, 2, 1)
    for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
        y = stage[0].downsample(y).clamp(min=0)
    expected = functional.linear(y.mean((2, 3)), model.fc.weight, model.fc.bias)
    torch.testing.assert_close(model(x), expected, rtol=1e-7, atol=1e-7)


def test_pictures_shrink_as_in_the_papers() -> None:
    model = resnet.ResNet(block=resnet.BasicBlock, layers=(1, 1, 1, 1), outputs=3)
    small = resnet_cifar.resnet20(outputs=3)
    sides: list[tuple[int, ...]] = []
    for stage in (model.layer1, model.layer2, model.layer3, model.layer4, small.layer1, small.layer2, small.layer3):
        stage.register_forward_hook(lambda _, given, out: sides.append(tuple(out.shape[1:])))
    with torch.no_grad():
        model(torch.randn(2, 3, 96, 64))
        small(torch.randn(2, 3, 32, 30))
    assert sides[:4] == [(64, 24, 16), (128, 12, 8), (256, 6, 4), (512, 3, 2)]
    assert sides[4:] == [(16, 32, 30), (32, 16, 15), (64, 8, 8)]


def test_convolutions_start_with_he_variance_and_the_last_layer_small() -> None:
    torch.manual_seed(12)
    model = resnet_cifar.resnet20(outputs=500)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            values = module.weight.detach() * (module.weight[:, 0].numel() / 2) ** 0.5
            assert abs(values.var() - 1) < 5 * (2 / values.numel()) ** 0.5
    assert abs(model.fc.weight.detach().var() / 1e-4 - 1) < 5 * (2 / model.fc.weight.numel()) ** 0.5
