"""The network for sounds: convolutions over spectrograms, then LSTMs that read from both ends."""

from __future__ import annotations

from penstock.models.both_ways import BothWays
from penstock.models.recurrent import LSTM
from penstock.models.sequence import SequenceNet
from penstock.nn.listen import Listen


def speech(
    *,
    outputs: int,
    features: int,
    width: int = 96,
    layers: int = 1,
    dropout: float = 0.1,
    pooled: bool = True,
    stride: int = 4,
) -> SequenceNet:
    """Spectrograms (B, T, features) to (B, outputs), `pooled`, or to (B, T / stride, outputs)."""
    front = Listen(bands=features, width=width, stride=stride)
    trunk = BothWays(lambda inputs: LSTM(inputs=inputs, width=width), inputs=width, layers=layers, dropout=dropout)
    return SequenceNet(front, trunk, outputs, pooled=pooled, dropout=dropout)
