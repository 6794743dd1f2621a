"""The models that the command line knows by name, and how one is built for data of given sizes."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
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
    "rnn": "penstock.models.sequence:rnn",
    "jordan": "penstock.models.sequence:jordan",
    "lstm": "penstock.models.sequence:lstm",
    "lstm_closed": "penstock.models.sequence:lstm_closed",
    "gru": "penstock.models.sequence:gru",
    "tcn": "penstock.models.sequence:tcn",
    "transformer": "penstock.models.sequence:transformer",
    "bag": "penstock.models.bag:Bag",
    "speech": "penstock.models.speech:speech",
}
"""Where each model is. Its constructor's keywords say what it is built from: `outputs`; `inputs`, where it takes flat
rows (and so tables), or any of `channels`, `height` and `width`, where it takes pictures; `vocabulary` or `features`,
where it takes sequences of tokens or of numbers; and settings of `net`."""

RECURRENT = ("rnn", "jordan", "lstm", "lstm_closed", "gru", "speech")
"""Models that read sequences step by step; their gradients are clipped where nothing else is said."""
SEQUENCES = {name: MODELS[name] for name in ("rnn", "jordan", "lstm", "lstm_closed", "gru", "tcn", "transformer")}
"""Models that take sequences."""

TRANSLATORS = {
    "transformer": "penstock.models.translators:transformer",
    "gru": "penstock.models.translators:gru",
    "gru-additive": "penstock.models.translators:gru_additive",
    "gru-plain": "penstock.models.translators:gru_plain",
    "lstm": "penstock.models.translators:lstm",
    "lstm-additive": "penstock.models.translators:lstm_additive",
    "lstm-plain": "penstock.models.translators:lstm_plain",
}
"""Models that write one sequence from another; their keywords are `vocabulary`, `outputs` and settings of `net`."""

WRITERS = {name: f"penstock.models.language:{name}" for name in ("transformer", "lstm", "gru", "rnn", "jordan", "tcn")}
"""Models that foretell the next token; their keywords are `outputs`, `context`, and settings of `net`."""

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
    name: str,
    sizes: Mapping[str, Any],
    outputs: int,
    net: NetSettings,
    models: Mapping[str, str] = MODELS,
    *,
    pooled: bool = True,
) -> nn.Module:
    """A model by name for a picture's `channels`, `height`, `width`, a table's `numbers` and `cardinalities`, or one
    answer to a sequence of a `vocabulary` of tokens or of `features` a step, or, not `pooled`, one a step.

    Raises RecipeError where model, data and settings do not go together.
    """
    make = _find(name, models)
    accepted = inspect.signature(make).parameters
    chosen = {"outputs": outputs} | _settings(name, accepted, net)
    if "numbers" in sizes:
        _require(name, accepted, ("inputs",), "a table", "mlp or linear")
        return _for_table(sizes, net, lambda width: make(inputs=width, **chosen))
    if sequence := [key for key in ("vocabulary", "features") if key in sizes]:
        these, first = ("sounds or series", "") if "features" in sizes else ("texts", "bag, ")
        _require(name, accepted, sequence, these, f"{first}gru, lstm, rnn, tcn or transformer")
        whole = {"pooled": pooled} if "pooled" in accepted else {}  # a bag of tokens gives one answer in any case
        return make(**sizes, **chosen, **whole)
    _require(name, accepted, ("inputs", "channels"), "pictures", "cnn, resnet18, mlp or linear")
    flat = {"inputs": math.prod(sizes.values())}
    return make(**{key: size for key, size in {**sizes, **flat}.items() if key in accepted}, **chosen)


def offers(name: str, setting: str, models: Mapping[str, str] = MODELS) -> bool:
    """Whether a model has a choice of that name."""
    return setting in inspect.signature(_find(name, models)).parameters


def _require(name: str, accepted: Mapping[str, Any], one_of_: Sequence[str], these: str, others: str) -> None:
    """Raises RecipeError where a model takes something else than the data are."""
    if not any(key in accepted for key in one_of_):
        taken = {"channels": "pictures", "inputs": "flat rows", "vocabulary": "sequences", "features": "sounds"}
        takes = "texts" if name == "bag" else next(what for key, what in taken.items() if key in accepted)
        raise RecipeError("model", f"{name!r} takes {takes}, and these data are {these}", f"use {others}")


def build_translator(name: str, vocabulary: int, outputs: int, net: NetSettings) -> nn.Module:
    """A model by name that reads a vocabulary and writes another, of `outputs` tokens.

    Raises RecipeError where model and settings do not go together.
    """
    make = _find(name, TRANSLATORS)
    return make(vocabulary=vocabulary, outputs=outputs, **_settings(name, inspect.signature(make).parameters, net))


def build_writer(name: str, outputs: int, context: int, net: NetSettings) -> nn.Module:
    """A model by name that foretells one of `outputs` tokens, trained on `context` of them at once.

    Raises RecipeError where model and settings do not go together.
    """
    make = _find(name, WRITERS)
    accepted = inspect.signature(make).parameters
    sizes = {"context": context} if "context" in accepted else {}
    return make(outputs=outputs, **sizes, **_settings(name, accepted, net))


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
    for key in NetSettings.model_fields:
        if key in ("numbers", "sigma"):  # of what stands before a model of tables
            continue
        value, default = getattr(net, key), NetSettings.model_fields[key].get_default(call_default_factory=True)
        if key in accepted and value not in ([], None):
            chosen[key] = getattr(nn, ACTIVATIONS[value]) if key == "activation" else value
        elif value != default:
            raise RecipeError(f"net.{key}", f"the model {name!r} has no such choice", "leave it out")
    return chosen
