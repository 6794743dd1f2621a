"""Learning to write down what is heard where nobody says when: connectionist temporal classification."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.core.batch import Batch
from penstock.core.errors import DataError
from penstock.core.objective import Evaluation, Update
from penstock.core.shared import rows
from penstock.data.ragged import LENGTH
from penstock.decoding.ctc import BLANK, greedy
from penstock.metrics.edits import cer, wer
from penstock.nn.steps import within
from penstock.objectives.predicting import Predicting

NOTHING = -1
"""Fills up the rows of records beyond their ends."""

Decode = Callable[[Tensor, Tensor], list[list[int]]]
"""Log-probabilities (B, T, V) and lengths (B,) to a sequence of tokens for each example."""


def same(lengths: Tensor) -> Tensor:
    """As many steps out as in."""
    return lengths


class CTC(Predicting):
    """Sequences of tokens from longer sequences of inputs, by the sum over all alignments (Graves et al. 2006).

    `inputs` are two fields: sequences (B, T, C) and their lengths (B,). From them `model` makes logits (B, T', V);
    `steps` says how many of the T' are real, given the lengths. "target" (B, U) holds tokens above 0, the blank, and
    "target_length" how many. `spell` turns tokens into text, by which characters and words are counted.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Sequence[str],
        *,
        spell: Callable[[Sequence[int]], str],
        steps: Callable[[Tensor], Tensor] = same,
        decode: Decode = greedy,
    ) -> None:
        super().__init__(model, inputs)
        self.spell, self.steps, self.decode = spell, steps, decode

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Log-probabilities (B, T', V) in float32, and how many steps of each example are real (B,)."""
        field, lengths = self.inputs
        logits: Tensor = self.model(batch[field], batch[lengths])
        return logits.float().log_softmax(2), self.steps(batch[lengths])

    def loss(self, batch: Batch) -> Update:
        """Negative log-likelihood of the targets, a token. Without end where a target does not fit into its steps."""
        logprob, lengths = self(batch)
        found = self._nll(logprob, lengths, batch)
        tokens = float(batch["target" + LENGTH].sum())
        return Update(found.sum() / tokens, weight=tokens)

    def evaluate(self, source: Iterable[Batch]) -> Evaluation:
        """Loss (nats a token), character and word error rate, share of texts without any error.

        Records: path (N, T') the likeliest token at each step, probability (N, T') its probability, said (N, U') the
        tokens decoded, target (N, U); filled up with -1.
        """
        found = rows(source, self._row)
        if not found:
            raise DataError("evaluation", "there are no examples", "give at least one example to evaluate on")
        nll, path, probability, said, target = (list(column) for column in zip(*found, strict=True))
        parts = {"path": path, "said": said, "target": target}
        records = {name: _joined(part) for name, part in parts.items()} | {"probability": _joined(probability).float()}
        texts, wanted = (self.texts(records[name]) for name in ("said", "target"))
        right = sum(one == other for one, other in zip(texts, wanted, strict=True))
        tokens = int((records["target"] != NOTHING).sum())
        metrics = {
            "loss": torch.cat(nll).double().sum().item() / max(tokens, 1),
            "cer": cer(texts, wanted),
            "wer": wer(texts, wanted),
            "exact_match": right / len(texts),
        }
        return Evaluation(metrics, records)

    def predict(self, batch: Batch) -> list[list[int]]:
        """The tokens of each example."""
        return self.decode(*self(batch))

    def texts(self, tokens: Tensor) -> list[str]:
        """Rows of tokens (N, U) that are filled up with -1, as texts."""
        return [self.spell([token for token in row if token != NOTHING]) for row in tokens.tolist()]

    def _row(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        logprob, lengths = self(batch)
        best = logprob.max(2)
        real = within(lengths, logprob.shape[1])
        path = best.indices.masked_fill(~real, NOTHING)
        probability = best.values.exp().masked_fill(~real, NOTHING)
        inside = within(batch["target" + LENGTH], batch["target"].shape[1])
        target = batch["target"].masked_fill(~inside, NOTHING)
        said = _padded(self.decode(logprob, lengths)).to(target.device)
        return self._nll(logprob, lengths, batch), path, probability, said, target

    @staticmethod
    def _nll(logprob: Tensor, lengths: Tensor, batch: Batch) -> Tensor:
        """(B,)."""
        return F.ctc_loss(
            logprob.transpose(0, 1),
            batch["target"],
            lengths,
            batch["target" + LENGTH],
            blank=BLANK,
            reduction="none",
        )


def steps_needed(tokens: Sequence[int]) -> int:
    """The fewest steps in which a sequence can be said: one a token, and a blank between two that are alike."""
    return len(tokens) + sum(one == other for one, other in pairwise(tokens))


def _padded(sequences: Sequence[Sequence[int]]) -> Tensor:
    """Sequences as rows (B, longest), filled up with -1."""
    longest = max(map(len, sequences), default=0)
    return torch.tensor([[*row, *[NOTHING] * (longest - len(row))] for row in sequences]).reshape(len(sequences), -1)


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """(B, T) of unequal T to one (N, longest T), filled up with -1, on the processor."""
    longest = max(part.shape[1] for part in parts)
    return torch.cat([F.pad(part.cpu(), (0, longest - part.shape[1]), value=NOTHING) for part in parts])
