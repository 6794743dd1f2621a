"""The autoencoders that the command line knows by name, and how one is built for data of given sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from penstock.core.errors import RecipeError
from penstock.recipes.code_settings import CoderSettings, QuantisedSettings

if TYPE_CHECKING:
    from torch import nn

    from penstock.models.autoencoder import Autoencoder

Method = Literal["plain", "denoising", "sparse", "contractive", "variational", "quantised"]
CODERS: Mapping[str, str] = {
    "linear": "one layer each way",
    "dense": "fully connected layers",
    "conv": "convolutions",
}
"""Each name, and what it is."""
HIDDEN = (256, 128)
WIDTHS = (32, 64, 128)
TOLD_WIDTH = 16
"""Numbers that stand for a class that a decoder is told."""


def build_coder(
    name: str,
    sizes: Mapping[str, Any],
    method: Method,
    net: CoderSettings,
    quantised: QuantisedSettings,
    activation: nn.Module | None,
    told: int | None = None,
) -> Autoencoder:
    """An autoencoder for a picture's `channels`, `height`, `width`, a table's `numbers` and `cardinalities`, or a
    sound's `features` a step; its decoder is told one of `told` classes, if there are some.

    Raises RecipeError where name, data and settings do not go together.
    """
    from penstock.models.autoencoder import Autoencoder, Conditioned, QuantisedAutoencoder
    from penstock.nn.quantiser import Quantiser

    code = usual_code(sizes) if net.code is None else net.code
    outputs, seen = 2 * code if method == "variational" else code, code + (TOLD_WIDTH if told is not None else 0)
    if name == "conv":
        encoder, decoder = _convolutional(sizes, outputs, seen, net, grid=method == "quantised")
    else:
        places = quantised.places if method == "quantised" else None
        encoder, decoder = _dense(name, sizes, outputs, seen, net, places)
    if told is not None:
        decoder = Conditioned(decoder, classes=told, width=TOLD_WIDTH)
    if method == "quantised":
        quantiser = Quantiser(codes=quantised.codes, width=code, decay=quantised.decay)
        return QuantisedAutoencoder(encoder, decoder, quantiser)
    return Autoencoder(encoder, decoder, activation=activation)


def usual_code(sizes: Mapping[str, Any]) -> int:
    """Numbers of a code where none is given."""
    if "numbers" in sizes:
        columns: int = sizes["numbers"] + len(sizes["cardinalities"])
        return max(2, min(columns // 2, 16))
    if "features" in sizes:
        return 16
    return 16 if max(sizes["height"], sizes["width"]) <= 16 else 32


def _dense(
    name: str, sizes: Mapping[str, Any], outputs: int, code: int, net: CoderSettings, places: int | None
) -> tuple[nn.Module, nn.Module]:
    """Layers and the same backwards; a linear one has none between."""
    from penstock.models.autoencoder import DenseDecoder, Placed
    from penstock.models.mlp import MLP
    from penstock.models.tabular import Tabular

    if "features" in sizes:
        raise RecipeError("model", f"{name!r} takes examples of one size, and sounds are not", "use conv")
    _refuse(net, name, "widths", "width", *(["hidden"] if name == "linear" else []))
    hidden: Sequence[int] = () if name == "linear" else net.hidden or HIDDEN
    outputs = outputs * (places or 1)
    encoder: nn.Module
    if "numbers" in sizes:
        encoder = Tabular(**sizes, body=lambda width: MLP(inputs=width, outputs=outputs, hidden=hidden))
        shape = [sizes["numbers"] + sum(sizes["cardinalities"])]
    else:
        shape = [sizes["channels"], sizes["height"], sizes["width"]]
        encoder = MLP(inputs=shape[0] * shape[1] * shape[2], outputs=outputs, hidden=hidden)
    if places is not None:
        encoder = Placed(encoder, places=places)
    return encoder, DenseDecoder(inputs=code * (places or 1), shape=shape, hidden=hidden[::-1])


def _convolutional(
    sizes: Mapping[str, Any], outputs: int, code: int, net: CoderSettings, *, grid: bool
) -> tuple[nn.Module, nn.Module]:
    """Over a picture, to one code or to a grid of them; over the time of a sound, to a code for each place."""
    from penstock.models.picture_code import GridDecoder, GridEncoder, PictureDecoder, PictureEncoder
    from penstock.models.spectrum_code import SpectrumDecoder, SpectrumEncoder

    if "numbers" in sizes:
        raise RecipeError("model", "'conv' takes pictures and sounds, and these data are a table", "use dense")
    _refuse(net, "conv", "hidden")
    if "features" in sizes:
        _refuse(net, "conv of sounds", "widths")
        bands, hidden, anonymous = sizes["features"], net.width or 128, net.anonymous is True
        return (
            SpectrumEncoder(bands=bands, outputs=outputs, hidden=hidden, halvings=net.halvings, anonymous=anonymous),
            SpectrumDecoder(inputs=code, bands=bands, hidden=hidden, halvings=net.halvings),
        )
    if grid:
        _refuse(net, "conv of quantised pictures", "widths")
        width, halvings = net.width or 64, net.halvings
        if not halvings:
            raise RecipeError("net.halvings", "a code as large as the picture says nothing", "give at least 1")
        return (
            GridEncoder(channels=sizes["channels"], outputs=outputs, width=width, halvings=halvings),
            GridDecoder(inputs=code, **sizes, hidden=width, halvings=halvings),
        )
    _refuse(net, "conv of pictures", "width")
    widths = net.widths or WIDTHS
    return PictureEncoder(outputs=outputs, **sizes, widths=widths), PictureDecoder(inputs=code, **sizes, widths=widths)


def _refuse(net: CoderSettings, what: str, *names: str) -> None:
    """Raises RecipeError for a setting that was given and that this network has not."""
    for name in names:
        if getattr(net, name):
            raise RecipeError(f"net.{name}", f"{what} has no such choice", "leave it out")
