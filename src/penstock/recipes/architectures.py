"""The models that the command line knows by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import nn

from penstock.core.errors import RecipeError
from penstock.models.cnn import CNN
from penstock.models.linear import Linear
from penstock.models.mlp import MLP
from penstock.models.resnet import resnet18, resnet34, resnet50
from penstock.models.resnet_cifar import resnet20, resnet32, resnet44, resnet56
from penstock.models.tabular import Tabular
from penstock.nn.numeric import Periodic
from penstock.recipes.settings import NetSettings

Sizes = Mapping[str, Any]

ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "leaky_relu": nn.LeakyReLU,
    "silu": nn.SiLU,
}


def _mlp(sizes: Sizes, outputs: int, net: NetSettings) -> nn.Module:
    make = partial(
        MLP,
        outputs=outputs,
        hidden=net.hidden or ([256, 256] if "numbers" in sizes else [300, 100]),
        activation=ACTIVATIONS[net.activation],
        dropout=0.1 if net.dropout is None else net.dropout,
    )
    if "numbers" not in sizes:
        return make(inputs=_pixels(sizes))
    periodic = (
        Periodic(features=sizes["numbers"], sigma=net.sigma) if net.numbers == "periodic" and sizes["numbers"] else None
    )
    return Tabular(**sizes, number_embedding=periodic, body=lambda width: make(inputs=width))


def _linear(sizes: Sizes, outputs: int, net: NetSettings) -> nn.Module:
    if "numbers" in sizes:
        return Tabular(**sizes, body=lambda width: Linear(inputs=width, outputs=outputs))
    return Linear(inputs=_pixels(sizes), outputs=outputs)


def _cnn(sizes: Sizes, outputs: int, net: NetSettings) -> nn.Module:
    widths = net.widths or [32, 64, 128]
    return CNN(
        **_image("cnn", sizes),
        outputs=outputs,
        widths=widths,
        convolutions=[1 if stage == 0 else 2 for stage in range(len(widths))],
        hidden=net.hidden[-1] if net.hidden else None,
        dropout=0.2 if net.dropout is None else net.dropout,
    )


def _resnet(make: Callable[..., nn.Module], sizes: Sizes, outputs: int, net: NetSettings) -> nn.Module:
    return make(outputs=outputs, channels=_image(make.__name__, sizes)["channels"])


MODELS: Mapping[str, Callable[[Sizes, int, NetSettings], nn.Module]] = {
    "linear": _linear,
    "mlp": _mlp,
    "cnn": _cnn,
} | {
    make.__name__: partial(_resnet, make)
    for make in (resnet18, resnet34, resnet50, resnet20, resnet32, resnet44, resnet56)
}


def build_model(name: str, sizes: Sizes, outputs: int, net: NetSettings) -> nn.Module:
    """A model by name, for inputs of these sizes. Raises RecipeError where the two do not go together."""
    return MODELS[name](sizes, outputs, net)


def _pixels(sizes: Sizes) -> int:
    return int(sizes["channels"] * sizes["height"] * sizes["width"])


def _image(name: str, sizes: Sizes) -> Sizes:
    if "height" not in sizes:
        raise RecipeError("model", f"{name!r} takes pictures, and these data are a table", "use mlp or linear")
    return sizes
