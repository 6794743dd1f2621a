"""Networks that write one sequence from another, by name."""

from __future__ import annotations

from collections.abc import Callable

from penstock.models.both_ways import BothWays
from penstock.models.recurrent import GRU, LSTM
from penstock.models.seq2seq import Seq2Seq
from penstock.models.transformer_pair import Transformer
from penstock.models.trunk import Causal
from penstock.nn.scores import Additive, Multiplicative, Scores


def transformer(
    *, vocabulary: int, outputs: int, width: int = 128, layers: int = 3, heads: int = 4, dropout: float = 0.1
) -> Transformer:
    """An encoder and a decoder of `layers` each."""
    return Transformer(vocabulary=vocabulary, outputs=outputs, width=width, layers=layers, heads=heads, dropout=dropout)


def _additive(queries: int, memory: int) -> Scores:
    return Additive(queries=queries, memory=memory, width=queries)


def _multiplicative(queries: int, memory: int) -> Scores:
    return Multiplicative(queries=queries, memory=memory)


def _recurrent(cell: Callable[..., Causal], scores: Callable[[int, int], Scores] | None) -> Callable[..., Seq2Seq]:
    """What builds a reader from both ends and a writer, of cells made from `inputs`, `width`, `layers`, `dropout`."""

    def make(*, vocabulary: int, outputs: int, width: int = 128, layers: int = 1, dropout: float = 0.1) -> Seq2Seq:
        def one(inputs: int) -> Causal:
            return cell(inputs=inputs, width=width, layers=1)

        reader = BothWays(one, inputs=width, layers=layers, dropout=dropout)
        writer = cell(inputs=width, width=width, layers=layers, dropout=dropout)
        compare = scores(writer.outputs, reader.outputs) if scores is not None else None
        return Seq2Seq(
            vocabulary=vocabulary, outputs=outputs, reader=reader, writer=writer, scores=compare, dropout=dropout
        )

    return make


gru = _recurrent(GRU, _multiplicative)
gru_additive = _recurrent(GRU, _additive)
gru_plain = _recurrent(GRU, None)
lstm = _recurrent(LSTM, _multiplicative)
lstm_additive = _recurrent(LSTM, _additive)
lstm_plain = _recurrent(LSTM, None)
