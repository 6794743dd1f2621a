"""An encoder and a decoder side by side, and decoders that are told something besides the code."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from penstock.models.mlp import MLP
from penstock.nn.quantiser import Quantiser
from penstock.nn.sizes import require_sizes


class Autoencoder(nn.Module):
    """`encoder` makes a code of what it is given, `decoder` makes of a code what it may have come from.

    `activation`, where there is one, acts on the code: a sigmoid for codes whose mean activation is to be low.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, *, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.activation = nn.Identity() if activation is None else activation

    def encode(self, *inputs: Tensor) -> Tensor:
        """The code, (B, Z) or (B, places, Z), where a place that is padding is all 0."""
        code: Tensor = self.activation(self.encoder(*inputs))
        return code

    def decode(self, code: Tensor, *told: Tensor) -> Tensor:
        """The decoder's output for codes; `told` is what it is given besides."""
        output: Tensor = self.decoder(code, *told)
        return output

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.decode(self.encode(*inputs))


class QuantisedAutoencoder(Autoencoder):
    """An autoencoder whose code is a grid or a sequence of entries of a codebook (van den Oord et al. 2017).

    The encoder gives (B, places, D) or (B, H, W, D), where D is the width of the quantiser; a code in use has gone
    through the quantiser besides.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, quantiser: Quantiser) -> None:
        super().__init__(encoder, decoder)
        self.quantiser = quantiser

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.decode(self.quantiser(self.encode(*inputs))[0])


class DenseDecoder(nn.Module):
    """A multilayer perceptron that gives an example of any shape: (B, Z) to (B, *shape)."""

    def __init__(self, *, inputs: int, shape: Sequence[int], hidden: Sequence[int] = (256, 256)) -> None:
        super().__init__()
        require_sizes("DenseDecoder", **{f"shape[{i}]": size for i, size in enumerate(shape)})
        self.inputs, self.shape = inputs, tuple(shape)
        self.body = MLP(inputs=inputs, outputs=torch.Size(shape).numel(), hidden=hidden)

    def forward(self, code: Tensor) -> Tensor:
        output: Tensor = self.body(code)
        return output.view(-1, *self.shape)  # (B, *shape)


class Placed(nn.Module):
    """An encoder whose output is taken for a sequence of `places` vectors: (B, places D) to (B, places, D)."""

    def __init__(self, encoder: nn.Module, *, places: int) -> None:
        super().__init__()
        require_sizes("Placed", places=places)
        self.encoder, self.places = encoder, places

    def forward(self, *inputs: Tensor) -> Tensor:
        code: Tensor = self.encoder(*inputs)
        return code.view(len(code), self.places, -1)


class Conditioned(nn.Module):
    """Tells a decoder one of `classes`, such as who speaks: a learnt vector is appended to the code, at each place.

    (B, ..., Z) and labels (B,) int64 to what `decoder` gives for (B, ..., Z + `width`); anything more is handed on.
    """

    def __init__(self, decoder: nn.Module, *, classes: int, width: int = 16) -> None:
        super().__init__()
        require_sizes("Conditioned", classes=classes, width=width)
        self.decoder, self.embedding = decoder, nn.Embedding(classes, width)

    def forward(self, code: Tensor, label: Tensor, *told: Tensor) -> Tensor:
        known = self.embedding(label)  # (B, width)
        known = known.view(len(code), *[1] * (code.ndim - 2), -1).expand(*code.shape[:-1], -1)
        output: Tensor = self.decoder(torch.cat([code, known.to(code.dtype)], dim=-1), *told)
        return output
