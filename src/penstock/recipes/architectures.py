"""The models that the command line knows by name, and how one is built for data of given sizes."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from penstock.core.errors import RecipeError, suggest
from penstock.recipes.settings import NetSettings

if TYPE_CHECKING:
    from torch import nn

MODELS = {
    "linear": "penstock.models.linear:Linear",
    "mlp": "penstock.models.mlp:MLP",
    "cnn": "penstock.models.cnn:CNN",
    "resnet18": "penstock.models.resnet:resnet18",
    "resnet34": "penstock.models.resnet:resnet34",
    "resnet50": "penstock.models.resnet:resnet50",
    "resnet20": "penstock.models.resnet_cifar:resnet20",
    "resnet32": "penstock.models.resnet_cifar:resnet32",
    "resnet44": "penstock.models.resnet_cifar:resnet44",
    "resnet56": "penstock.models.resnet_cifar:resnet56",
}
"""Where each model is. Its constructor's keywords say what it is built from: `outputs`; `inputs`, where it takes flat
rows (and so tables), or any of `channels`, `height` and `width`, where it takes pictures; and settings of `net`."""

SEQUENCES = {
    "rnn": "penstock.models.sequence:rnn",
    "jordan": "penstock.models.sequence:jordan",
    "lstm": "penstock.models.sequence:lstm",
    "lstm_closed": "penstock.models.sequence:lstm_closed",
    "gru": "penstock.models.sequence:gru",
    "tcn": "penstock.models.sequence:tcn",
}
"""Models of sequences. They take `vocabulary` or `features`, and are `pooled` where a sequence has one answer."""

ACTIVATIONS = {
    "relu": "ReLU",
    "gelu": "GELU",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "leaky_relu": "LeakyReLU",
    "silu": "SiLU",
}


def one_of(models: Mapping[str, str]) -> Callable[[str], str]:
    """A check that gives the name back. It raises ValueError, which says the nearest name, where none is called so."""

    def known(name: str) -> str:
        if name not in ("auto", *models):
            raise ValueError(suggest(name, ["auto", *models]))
        return name

    return known


def build_model(
    name: str, sizes: Mapping[str, Any], outputs: int, net: NetSettings, models: Mapping[str, str] = MODELS
) -> nn.Module:
    """A model by name for a picture's `channels`, `height`, `width`, or a table's `numbers` and `cardinalities`.

    Raises RecipeError where model, data and settings do not go together.
    """
    make = _find(name, models)
    accepted = inspect.signature(make).parameters
    chosen = {"outputs": outputs} | _settings(name, accepted, net)
    if "numbers" not in sizes:
        flat = {"inputs": math.prod(sizes.values())}
        return make(**{key: size for key, size in {**sizes, **flat}.items() if key in accepted}, **chosen)
    if "inputs" not in accepted:
        raise RecipeError("model", f"{name!r} takes pictures, and these data are a table", "use mlp or linear")
    return _for_table(sizes, net, lambda width: make(inputs=width, **chosen))


def _for_table(sizes: Mapping[str, Any], net: NetSettings, body: Callable[[int], nn.Module]) -> nn.Module:
    """Rows reach a flat model through embeddings of their categories, and of their numbers if asked for."""
    from penstock.models.tabular import Tabular
    from penstock.nn.numeric import Periodic

    waves = net.numbers == "periodic" and sizes["numbers"] > 0
    embedding = Periodic(features=sizes["numbers"], sigma=net.sigma) if waves else None
    return Tabular(**sizes, number_embedding=embedding, body=body)


def _find(name: str, models: Mapping[str, str]) -> Callable[..., nn.Module]:
    module, _, attribute = models[name].partition(":")
    make: Callable[..., nn.Module] = getattr(import_module(module), attribute)
    return make


def _settings(name: str, accepted: Mapping[str, Any], net: NetSettings) -> dict[str, Any]:
    """The settings of `net` that the model has. Raises RecipeError for one that was changed and that it has not."""
    from torch import nn

    chosen: dict[str, Any] = {}
    for key in ("hidden", "widths", "dropout", "activation", "width", "layers", "heads", "bidirectional"):
        value, default = getattr(net, key), NetSettings.model_fields[key].get_default(call_default_factory=True)
        if key in accepted and value not in ([], None):
            chosen[key] = getattr(nn, ACTIVATIONS[value]) if key == "activation" else value
        elif value != default:
            raise RecipeError(f"net.{key}", f"the model {name!r} has no such choice", "leave it out")
    return chosen
