"""Learning a tag for every word of a sentence: many to many, of equal length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.core.batch import Batch
from penstock.core.errors import DataError
from penstock.core.objective import Evaluation, Update
from penstock.core.shared import rows
from penstock.data.ragged import LENGTH
from penstock.metrics.classification import confusion, macro_f1
from penstock.metrics.tagging import marks_spans, span_scores
from penstock.nn.steps import within
from penstock.objectives.predicting import Predicting

IGNORED = -100
"""The target of a step that is padding."""


class Tagging(Predicting):
    """Cross-entropy at every step; `model` gives logits (B, T, K), "target" is (B, T) int64 padded with `IGNORED`.

    `tags` are the names of the K classes. Where they mark spans, F1 is that of spans.
    """

    def __init__(self, model: nn.Module, inputs: Sequence[str], *, tags: Sequence[str]) -> None:
        super().__init__(model, inputs)
        self.tags = list(tags)
        self._spans = marks_spans(tags)

    def forward(self, batch: Batch) -> Tensor:
        """The model's output on a batch."""
        output: Tensor = self.model(*[batch[name] for name in self.inputs])
        return output

    def loss(self, batch: Batch) -> Update:
        """The mean over the steps that are words, of which there are `weight`."""
        target = batch["target"]
        loss = F.cross_entropy(self(batch).flatten(0, 1), target.flatten(), ignore_index=IGNORED)
        return Update(loss, weight=int(batch["target" + LENGTH].sum()))

    def evaluate(self, source: Iterable[Batch]) -> Evaluation:
        """Loss and accuracy by words, F1 of spans or the mean of all tags', the share of sentences without a mistake.

        Records, of all words one after the other: predicted, target, probability (of what was predicted); and length
        (N,) of each sentence.
        """
        found = rows(source, self._judged)
        if not found:
            raise DataError("evaluation", "there are no sentences", "give at least one to evaluate on")
        predicted, target, probability, loss, length = (torch.cat(part).cpu() for part in zip(*found, strict=True))
        right = predicted == target
        accuracy = float(right.double().mean())
        whole = [bool(part.all()) for part in torch.split(right, length.tolist())]
        metrics = {
            "loss": float(loss.double().mean()),
            "accuracy": accuracy,
            "error": 1 - accuracy,
            "f1": self._f1(predicted, target, length),
            "exact_match": sum(whole) / len(whole),
        }
        records = {"predicted": predicted, "target": target, "probability": probability, "length": length}
        return Evaluation(metrics, records)

    def predict(self, batch: Batch) -> list[tuple[Tensor, Tensor]]:
        """For each sentence its classes (T,) and their probabilities (T,)."""
        probability, predicted = self(batch).float().softmax(2).max(2)
        lengths = batch[self.inputs[-1]].tolist()
        return [(predicted[row, :steps].cpu(), probability[row, :steps].cpu()) for row, steps in enumerate(lengths)]

    def _judged(self, batch: Batch) -> tuple[Tensor, ...]:
        """For every word the class predicted, the true one, the probability of the former, the loss; and lengths."""
        target, length = batch["target"], batch["target" + LENGTH]
        real = within(length, target.shape[1])
        logits, target = self(batch)[real].float(), target[real]  # (words, K), (words,)
        share, predicted = logits.softmax(1).max(1)
        loss = F.cross_entropy(logits, target, reduction="none")
        return predicted, target, share, loss, length

    def _f1(self, predicted: Tensor, target: Tensor, length: Tensor) -> float:
        if not self._spans:
            return macro_f1(confusion(predicted, target, len(self.tags)))
        ours, theirs = (named(part, length, self.tags) for part in (predicted, target))
        return span_scores(ours, theirs)[0].f1


def named(classes: Tensor, length: Tensor, tags: Sequence[str]) -> list[list[str]]:
    """The tags of each sentence, from the classes of all words and the lengths (N,)."""
    return [[tags[at] for at in part.tolist()] for part in torch.split(classes, length.tolist())]
