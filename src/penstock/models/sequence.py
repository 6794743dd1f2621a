"""Networks over sequences of tokens or of numbers, by name. B batch, T time, C numbers a step, H hidden width."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import final

from torch import Tensor, nn

from penstock.core.errors import RecipeError
from penstock.models.both_ways import BothWays
from penstock.models.jordan import Jordan
from penstock.models.recurrent import GRU, LSTM, Elman
from penstock.models.tcn import TCN
from penstock.models.transformer import Encoder
from penstock.models.trunk import Carry, Causal, Trunk
from penstock.nn.initialise import normal_
from penstock.nn.pooling import Pooling
from penstock.nn.shorten import Front, Shorten
from penstock.nn.sizes import require_dropout, require_sizes


@final
class SequenceNet(nn.Module):
    """A front that turns a step into numbers, a trunk that reads them in turn, and a linear head.

    Tokens (B, T) int64 or numbers (B, T, C) to (B, outputs), `pooled`, or to (B, T, outputs). The front is an
    embedding, one that makes fewer steps, or None. Dropout acts on what the front gives and before the head.
    """

    def __init__(
        self, front: nn.Module | None, trunk: Trunk, outputs: int, *, pooled: bool, dropout: float = 0.0
    ) -> None:
        super().__init__()
        require_sizes("SequenceNet", outputs=outputs)
        require_dropout("SequenceNet", dropout)
        self.front, self.trunk, self.dropout = front, trunk, nn.Dropout(dropout)
        self.pooling = Pooling() if pooled else None
        self.head = nn.Linear(trunk.outputs * (Pooling.parts if pooled else 1), outputs)
        normal_(self.head, 1.0)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """`lengths` (B,): how many of the T steps are real; all, where they are not given."""
        x, lengths = self.seen(x, lengths)
        x = self.trunk(x, lengths)  # (B, T', H)
        if self.pooling is not None:
            x = self.pooling(x, lengths)  # (B, 3 H)
        found: Tensor = self.head(self.dropout(x))
        return found

    def seen(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """What the trunk is given: (B, T', its inputs), and how many steps of that are real."""
        if self.front is None:
            return x, lengths
        if isinstance(self.front, Front):
            return self.dropout(self.front(x, lengths)), None if lengths is None else self.front.steps(lengths)
        return self.dropout(self.front(x)), lengths

    def steps(self, lengths: Tensor) -> Tensor:
        """How many steps come out, not pooled, for so many that go in: (B,) to (B,)."""
        return self.front.steps(lengths) if isinstance(self.front, Front) else lengths

    def begin(self, examples: int) -> Carry:
        """What is remembered before the first step. Raises RecipeError where the trunk reads from both ends."""
        return self._causal().begin(examples)

    def advance(self, x: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
        """The next steps, after those that `carry` remembers: (B, T, outputs), and what to remember."""
        found, carry = self._causal().advance(self.seen(x)[0], carry)
        return self.head(self.dropout(found)), carry

    def _causal(self) -> Causal:
        if isinstance(self.trunk, Causal) and self.pooling is None and not isinstance(self.front, Front):
            return self.trunk
        raise RecipeError("model", "it must see a sequence whole", "take one that is not pooled and reads one way")


def _recurrent(cell: Callable[..., Causal]) -> Callable[..., SequenceNet]:
    """What builds a network of cells that are made from `inputs`, `width`, `layers` and `dropout`."""

    def make(
        *,
        outputs: int,
        vocabulary: int | None = None,
        features: int | None = None,
        width: int = 128,
        layers: int = 1,
        dropout: float = 0.0,
        bidirectional: bool = False,
        pooled: bool = False,
        stride: int = 1,
    ) -> SequenceNet:
        front, size = _front(vocabulary, features, width, stride)

        def stack(inputs: int, layers: int) -> Causal:
            return cell(inputs=inputs, width=width, layers=layers, dropout=dropout)

        trunk: Trunk
        if bidirectional:
            trunk = BothWays(lambda inputs: stack(inputs, 1), inputs=size, layers=layers, dropout=dropout)
        else:
            trunk = stack(size, layers)
        return SequenceNet(front, trunk, outputs, pooled=pooled, dropout=dropout)

    return make


rnn = _recurrent(Elman)
jordan = _recurrent(Jordan)
lstm_closed = _recurrent(partial(LSTM, gate_bias=-1.0))
gru = _recurrent(GRU)


def lstm(
    *,
    outputs: int,
    vocabulary: int | None = None,
    features: int | None = None,
    width: int = 128,
    layers: int = 1,
    dropout: float = 0.0,
    bidirectional: bool = False,
    memory: int | None = None,
    pooled: bool = False,
    stride: int = 1,
) -> SequenceNet:
    """A stack of LSTMs, which may start out remembering up to `memory` steps."""
    return _recurrent(partial(LSTM, memory=memory))(
        outputs=outputs,
        vocabulary=vocabulary,
        features=features,
        width=width,
        layers=layers,
        dropout=dropout,
        bidirectional=bidirectional,
        pooled=pooled,
        stride=stride,
    )


def tcn(
    *,
    outputs: int,
    vocabulary: int | None = None,
    features: int | None = None,
    width: int = 64,
    layers: int = 6,
    dropout: float = 0.0,
    pooled: bool = False,
    stride: int = 1,
) -> SequenceNet:
    """Temporal convolution: all steps at once, and a memory that ends at a known distance."""
    front, size = _front(vocabulary, features, width, stride)
    trunk = TCN(inputs=size, width=width, layers=layers, dropout=dropout)
    return SequenceNet(front, trunk, outputs, pooled=pooled, dropout=dropout)


def transformer(
    *,
    outputs: int,
    vocabulary: int | None = None,
    features: int | None = None,
    width: int = 128,
    layers: int = 2,
    heads: int = 4,
    dropout: float = 0.0,
    pooled: bool = False,
    stride: int = 1,
) -> SequenceNet:
    """Attention: every step sees all steps, at any distance."""
    front, size = _front(vocabulary, features, width, stride)
    if front is None:
        front = nn.Linear(size, width)
    trunk = Encoder(width=width, layers=layers, heads=heads, dropout=dropout)
    return SequenceNet(front, trunk, outputs, pooled=pooled, dropout=dropout)


def _front(vocabulary: int | None, features: int | None, width: int, stride: int) -> tuple[nn.Module | None, int]:
    """What comes before the trunk, and how many numbers a step it gives."""
    if (vocabulary is None) == (features is None):
        raise RecipeError("SequenceNet", "it takes either tokens or numbers", "give one of vocabulary and features")
    require_sizes("SequenceNet", width=width, stride=stride)
    if vocabulary is not None:
        require_sizes("SequenceNet", vocabulary=vocabulary)
        if stride > 1:
            raise RecipeError("SequenceNet", f"a stride of {stride} over tokens would lose some", "leave it out")
        return nn.Embedding(vocabulary, width), width
    assert features is not None
    require_sizes("SequenceNet", features=features)
    if stride > 1:
        return Shorten(inputs=features, width=width, stride=stride), width
    return None, features
