"""Networks that foretell the next token, by name; `outputs` is the size V of the vocabulary.

B batch, T time, H width.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import final

from torch import Tensor, nn
from torch.nn import functional as F

from penstock.core.errors import RecipeError
from penstock.models.jordan import Jordan
from penstock.models.recurrent import GRU, LSTM, Elman
from penstock.models.tcn import TCN
from penstock.models.transformer import Decoder
from penstock.models.trunk import Carry, Causal
from penstock.nn.positions import Learned, Positions, Rotary, Sinusoidal
from penstock.nn.sizes import require_dropout, require_sizes


@final
class LanguageNet(nn.Module):
    """Tokens (B, T) to scores (B, T, V) of the token after each, through a trunk that sees the past alone.

    The embeddings are also the weights of the last layer (Press and Wolf 2017, "Using the output embedding to improve
    language models"), so the trunk is as wide where it ends as where it begins. `enlarged`: the trunk is given them at
    a size of 1 a number, which cells need. A trunk whose steps go by on their own way to the end, as in a Transformer,
    would then begin by foretelling each token again.
    """

    def __init__(self, trunk: Causal, vocabulary: int, *, dropout: float = 0.0, enlarged: bool = True) -> None:
        super().__init__()
        require_sizes("LanguageNet", vocabulary=vocabulary)
        require_dropout("LanguageNet", dropout)
        if trunk.inputs != trunk.outputs:
            problem = f"the trunk takes {trunk.inputs} numbers a step and gives {trunk.outputs}"
            raise RecipeError("LanguageNet", problem, "make them as many")
        self.trunk, self.dropout = trunk, nn.Dropout(dropout)
        self.embedding = nn.Embedding(vocabulary, trunk.inputs)
        self.bias = nn.Parameter(self.embedding.weight.new_zeros(vocabulary))
        size = math.sqrt(trunk.inputs)
        self._scale = size if enlarged else 1.0
        nn.init.normal_(self.embedding.weight, std=1 / size)

    def begin(self, examples: int) -> Carry:
        """What is remembered before the first token."""
        return self.trunk.begin(examples)

    def advance(self, x: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
        """The next tokens (B, T), after those that `carry` remembers: (B, T, V), and what to remember."""
        found, carry = self.trunk.advance(self.dropout(self.embedding(x) * self._scale), carry)
        return F.linear(self.dropout(found), self.embedding.weight, self.bias), carry

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, T, V) for tokens (B, T) from the beginning."""
        return self.advance(x, self.begin(len(x)))[0]


def _recurrent(cell: Callable[..., Causal]) -> Callable[..., LanguageNet]:
    """What builds a network of cells that are made from `inputs`, `width`, `layers` and `dropout`."""

    def make(*, outputs: int, width: int = 256, layers: int = 1, dropout: float = 0.0) -> LanguageNet:
        return LanguageNet(cell(inputs=width, width=width, layers=layers, dropout=dropout), outputs, dropout=dropout)

    return make


rnn = _recurrent(Elman)
jordan = _recurrent(Jordan)
lstm = _recurrent(LSTM)
gru = _recurrent(GRU)


def tcn(*, outputs: int, width: int = 128, layers: int = 6, dropout: float = 0.0) -> LanguageNet:
    """Temporal convolution."""
    return LanguageNet(TCN(inputs=width, width=width, layers=layers, dropout=dropout), outputs, dropout=dropout)


def transformer(
    *,
    outputs: int,
    context: int,
    width: int = 128,
    layers: int = 4,
    heads: int = 4,
    dropout: float = 0.0,
    positions: str = "rotary",
    pre_norm: bool = True,
) -> LanguageNet:
    """A decoder without encoder (Radford et al. 2019), which is trained on `context` tokens at once."""
    kinds: dict[str, Callable[[], Positions]] = {
        "rotary": Rotary,
        "sinusoidal": Sinusoidal,
        "learned": lambda: Learned(context=context, width=width),
    }
    trunk = Decoder(
        width=width, layers=layers, heads=heads, dropout=dropout, positions=kinds[positions](), pre_norm=pre_norm
    )
    return LanguageNet(trunk, outputs, dropout=dropout, enlarged=False)
