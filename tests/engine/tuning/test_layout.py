"""Stretches of convolutions with channels last: values, gradients and what others see are those of the plain way."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from penstock.data.examples import InMemory
from penstock.data.sources import Shuffled
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.engine.tuning.layout import channels_last
from penstock.models.cnn import CNN
from penstock.objectives.supervised import Classification
from penstock.optim.sgd import SGD


class Seen(nn.Module):
    """A module of somebody's own, which writes down what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.last: list[bool] = []

    def forward(self, x: Tensor) -> Tensor:
        self.last.append(not x.is_contiguous())
        return x * 2


def convolution(inputs: int, outputs: int, **more: Any) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, **more)


def race(channels: int) -> nn.Sequential:
    first = (convolution(channels, 8), nn.ReLU(), nn.MaxPool2d(2))
    second = (convolution(8, 12), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, padding=1, ceil_mode=True))
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(12 * 9, 5))


def nested(channels: int) -> nn.Sequential:
    """The inner parts alone would not gain."""
    parts = [nn.Sequential(convolution(i, 6, bias=False), nn.BatchNorm2d(6), nn.GELU()) for i in (channels, 6)]
    return nn.Sequential(*parts, nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5))


def interrupted(channels: int) -> nn.Sequential:
    return nn.Sequential(
        *(convolution(channels, 4), nn.Tanh(), convolution(4, 4, groups=4), Seen(), nn.Dropout(0.5)),
        *(convolution(4, 1), nn.MaxPool2d(2), nn.LeakyReLU(), convolution(1, 4), nn.SiLU(), nn.Flatten(), nn.ELU()),
    )


def cnn(channels: int) -> CNN:
    return CNN(channels=channels, height=10, width=10, outputs=5, widths=(4, 6), hidden=(7,))


MODELS = [race, nested, interrupted, cnn]


def pictures(channels: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """With many ties: between equal maxima the first one gets the gradient."""
    generator = torch.Generator().manual_seed(1)
    return torch.randint(-2, 3, (6, channels, 10, 10), generator=generator).to(dtype)


def made(make: Callable[[int], nn.Module], channels: int, dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(0)
    return make(channels).to(dtype)


def derivatives(model: nn.Module, x: Tensor, *, enabled: bool) -> list[Tensor]:
    """The output, the gradients of a curved function of it, and the gradients of a function of those."""
    x = x.clone().requires_grad_()
    inputs = [x, *model.parameters()]
    with channels_last(model, enabled=enabled):
        torch.manual_seed(2)  # dropout's
        found = model(x)
        first = torch.autograd.grad(found.sin().sum(), inputs, create_graph=True)
        second = torch.autograd.grad(sum(gradient.square().sum() for gradient in first), inputs, allow_unused=True)
    return [torch.zeros(()) if value is None else value.detach() for value in (found, *first, *second)]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("given", [torch.contiguous_format, torch.channels_last])
def test_values_and_derivatives_are_those_of_the_plain_way(
    make: Callable[[int], nn.Module], channels: int, given: torch.memory_format
) -> None:
    x = pictures(channels)
    found = derivatives(made(make, channels), x.contiguous(memory_format=given), enabled=True)
    plain = derivatives(made(make, channels), x, enabled=False)
    for value, expected in zip(found, plain, strict=True):
        assert value.shape == expected.shape
        torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("make", MODELS)
def test_in_the_precisions_of_training(make: Callable[[int], nn.Module], precision: torch.dtype) -> None:
    outputs = []
    for enabled in (True, False):
        model = made(make, 3, torch.float32)
        with channels_last(model, enabled=enabled), torch.autocast("cpu", enabled=precision == torch.bfloat16):
            torch.manual_seed(2)
            out = model(pictures(3, torch.float32))
            out.float().sin().sum().backward()
        outputs.append([out.detach().float(), *(p.grad for p in model.parameters())])
    for value, expected in zip(*outputs, strict=True):
        assert value is not None
        assert expected is not None
        error = 6e-2 * float(expected.abs().max()) if precision == torch.bfloat16 else 1e-5
        torch.testing.assert_close(value, expected, rtol=error, atol=error)


@pytest.mark.parametrize("values", [(-1.0, -2.0, -1.0), (0.0, 0.0, -1.0), (3.0, 3.0, -1.0), (float("nan"), 1.0, -1.0)])
@pytest.mark.parametrize("size", [(2, 2), (3, 1)])
def test_maxima_before_relu_change_no_bit(values: tuple[float, ...], size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    found = []
    x = torch.tensor(values)[torch.randint(0, 3, (2, 3, 8, 8), generator=generator)]
    chain = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.ReLU(), nn.MaxPool2d(*size))
    with torch.no_grad():
        chain[0].weight.copy_(torch.eye(3)[:, :, None, None])
    for enabled in (True, False):
        given = x.clone().requires_grad_()
        with channels_last(chain, enabled=enabled):
            out = chain(given)
        (gradient,) = torch.autograd.grad(out, given, torch.arange(float(out.numel())).view(out.shape))
        found.append((out.detach(), gradient))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)


def test_it_computes_channels_last_and_maxima_first() -> None:
    chain, seen = race(1), dict[str, Tensor]()
    chain[0].register_forward_pre_hook(lambda layer, args: seen.update(first=args[0]))
    chain[3].register_forward_pre_hook(lambda layer, args: seen.update(conv=args[0]))
    chain[6].register_forward_pre_hook(lambda layer, args: seen.update(flatten=args[0]))
    with channels_last(chain, enabled=True):
        out = chain(pictures(1, torch.float32))
    (relu,) = [node for node in _nodes(out) if node.name() == "ReluBackward0" and node._saved_result.shape[1] == 8]
    assert relu._saved_result.shape[2:] == (5, 5)
    assert seen["first"].stride() == (100, 1, 10, 1)  # otherwise the convolution takes it for channels first
    assert seen["conv"].stride(1) == 1
    assert seen["flatten"].is_contiguous()


def _nodes(out: Tensor) -> list[Any]:
    """The graph that led to a tensor."""
    found, left = [], [out.grad_fn]
    while left:
        node = left.pop()
        if node is not None:
            found.append(node)
            left += [before for before, _ in node.next_functions]
    return found


def test_whoever_looks_at_a_relu_sees_all_of_it() -> None:
    chain, seen = race(3), list[torch.Size]()
    chain[1].register_forward_hook(lambda layer, args, out: seen.append(out.shape))
    with channels_last(chain, enabled=True):
        chain(pictures(3, torch.float32))
    assert seen == [(6, 8, 10, 10)]


def test_between_chains_in_a_chain_nothing_is_copied() -> None:
    chain, seen = nested(3), list[bool]()
    chain[1].register_forward_pre_hook(lambda layer, args: seen.append(args[0].stride(1) == 1))
    with channels_last(chain, enabled=True):
        chain(pictures(3, torch.float32))
    assert seen == [True]


def test_where_the_maxima_lie_may_be_asked_for() -> None:
    chain, x = nn.Sequential(convolution(3, 4), nn.ReLU(), nn.MaxPool2d(2, return_indices=True)), pictures(3).float()
    with channels_last(chain, enabled=True):
        _, where = chain(x)
    assert torch.equal(where, chain(x)[1])


def test_modules_of_ones_own_get_channels_first() -> None:
    chain = interrupted(3)
    with channels_last(chain, enabled=True):
        chain(pictures(3, torch.float32))
        chain(pictures(3, torch.float32).contiguous(memory_format=torch.channels_last))
    assert chain[3].last == [False, False]


@pytest.mark.parametrize("given", [torch.contiguous_format, torch.channels_last])
def test_what_comes_out_is_laid_out_as_what_went_in(given: torch.memory_format) -> None:
    chain = race(3)[:5]
    x = pictures(3, torch.float32).contiguous(memory_format=given)
    with channels_last(chain, enabled=True):
        assert chain(x).is_contiguous(memory_format=given)


def test_pictures_without_a_batch_and_wrong_shapes_are_as_before() -> None:
    chain = race(3)[:6]
    with channels_last(chain, enabled=True):
        assert chain(pictures(3, torch.float32)[0]).shape == (12, 3, 3)
        with pytest.raises(RuntimeError, match="expected input"):
            chain(pictures(1, torch.float32))


def small() -> nn.ModuleDict:
    """Where one layer alone would gain, or none; and a kind of chain that does more."""

    class Twice(nn.Sequential):
        def forward(self, input: Tensor) -> Tensor:
            return super().forward(super().forward(input))

    return nn.ModuleDict(
        {
            "shortcut": nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)),
            "pools": nn.Sequential(nn.MaxPool2d(2), nn.AvgPool2d(2)),
            "twice": Twice(convolution(3, 3), convolution(3, 3)),
            "line": nn.Sequential(nn.Linear(3, 3), nn.ReLU()),
        }
    )


def classes(model: nn.Module) -> list[type]:
    return [type(module) for module in model.modules()]


def test_the_chains_are_put_back_also_after_errors_and_others_left_alone() -> None:
    model = nn.ModuleList([nested(3), small()])
    before, names = classes(model), list(model.state_dict())
    with channels_last(model, enabled=True):
        inside = classes(model)
        assert list(model.state_dict()) == names
        with channels_last(model, enabled=True):
            pass
        assert classes(model) == inside
    assert classes(model) == before
    assert [one for one, other in zip(before, inside, strict=True) if one is not other] == [nn.Sequential] * 3
    with pytest.raises(KeyError), channels_last(model, enabled=True):
        raise KeyError
    assert classes(model) == before
    with channels_last(model, enabled=False):
        assert classes(model) == before


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_made_inside_stands_on_its_own(copied: Callable[[nn.Module], nn.Module]) -> None:
    model, x = race(3), pictures(3, torch.float32)
    with channels_last(model, enabled=True):
        other = copied(model)
        with torch.no_grad():
            other[-1].weight.zero_()
    torch.testing.assert_close(other(x), other[-1].bias.expand(6, -1))
    assert isinstance(other, nn.Sequential)


@pytest.mark.parametrize("transform", ["grad", "vmap"])
def test_torch_func_may_transform_it(transform: str) -> None:
    def found(enabled: bool) -> Tensor:
        model, x = made(race, 1), pictures(1)
        model[4] = nn.ReLU()  # vmap takes nothing in place
        with channels_last(model, enabled=enabled):
            if transform == "vmap":
                return torch.func.vmap(model)(x[:, None])
            return torch.func.grad(lambda given: model(given).sin().sum())(x)

    torch.testing.assert_close(found(True), found(False), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("enabled", [True, False])
def test_a_training_takes_it_from_the_plan(enabled: bool) -> None:
    inside: list[bool] = []
    torch.manual_seed(0)
    model = race(1)
    model[3].register_forward_pre_hook(lambda layer, args: inside.append(args[0].stride(1) == 1))
    stored = InMemory({"x": pictures(1, torch.float32), "target": torch.arange(6) % 5})
    source = Shuffled(stored, torch.arange(6), batch_size=6, seed=1)
    plan = Plan(
        steps=3, compile="off", onednn="off", precision="float32", threads=1, device="cpu", channels_last=enabled
    )
    Engine(Classification(model, ["x"]), source, plan, {"model": SGD(lr=0.1)}).run()
    assert inside == [enabled] * 3
    assert type(model) is nn.Sequential
