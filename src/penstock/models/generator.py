"""What makes examples from codes, whatever it is made of. B batch, Z numbers of a code, K classes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from penstock.core.errors import RecipeError
from penstock.models.mlp import MLP
from penstock.nn.sizes import require_given, require_sizes


class Generator(nn.Module):
    """Codes (B, Z), and with `classes` labels (B,) int64, to what `body(width)` makes of (B, width).

    A label's embedding, of `embedding` numbers, is joined to the code. Mirza and Osindero 2014, "Conditional generative
    adversarial nets", section 3.2, with the learned embedding that is usual by now.
    """

    def __init__(self, *, code: int, body: Callable[[int], nn.Module], classes: int = 0, embedding: int = 32) -> None:
        super().__init__()
        require_sizes("Generator", code=code, embedding=embedding)
        self.code, self.classes = code, classes
        self.embedding = nn.Embedding(classes, embedding) if classes else None
        self.body = body(code + (embedding if classes else 0))

    def forward(self, code: Tensor, label: Tensor | None = None) -> Tensor:
        require_given("Generator", "numbers of a code", self.code, code.shape[1])
        if self.embedding is not None:
            if label is None:
                raise RecipeError("Generator", f"no label, of {self.classes} classes", "say what is to be made")
            code = torch.cat([code, self.embedding(label)], 1)
        made: Tensor = self.body(code)
        return made


class DenseGenerator(nn.Module):
    """Fully connected layers with leaky ReLU to a picture in [-1, 1]: (B, inputs) to (B, channels, size, size)."""

    def __init__(self, *, inputs: int, channels: int, size: int, hidden: tuple[int, ...] = (256, 512)) -> None:
        super().__init__()
        require_sizes("DenseGenerator", channels=channels, size=size)
        self.shape = (channels, size, size)
        self.layers = MLP(inputs=inputs, outputs=channels * size**2, hidden=hidden, activation=leaky)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.layers(x)
        return made.tanh().reshape(-1, *self.shape)


def leaky() -> nn.Module:
    """The activation of most adversarial networks (Radford, Metz and Chintala 2016, section 3)."""
    return nn.LeakyReLU(0.2)


def growing(size: int, least: int = 4) -> list[int]:
    """The sides of a picture that grows by doubling, from `least` pixels or fewer to `size`; what is too much is cut
    off. Radford, Metz and Chintala 2016 begin with 4."""
    sides = [size]
    while sides[0] > least:
        sides.insert(0, -(-sides[0] // 2))
    return sides


class Cut(nn.Module):
    """Cuts pictures off at the right and below: (B, C, H, W) to (B, C, side, side)."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, : self.side, : self.side]
