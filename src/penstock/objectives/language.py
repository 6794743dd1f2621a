"""Learning a language: the next token from those before it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.core.batch import Batch
from penstock.core.errors import DataError
from penstock.core.objective import Evaluation, Objective, Update
from penstock.core.shared import rows
from penstock.data.ragged import LENGTH
from penstock.data.streams import CARRY, TOKENS
from penstock.nn.steps import within

Carry = tuple[Tensor, ...]


class LanguageModel(Protocol):
    """What a model must do: read on from what it remembers."""

    def begin(self, examples: int) -> Carry:
        """What it remembers before the first token."""
        ...

    def advance(self, x: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
        """Tokens (B, T) after those that `carry` remembers: scores (B, T, V) of each next one, and what to remember."""
        ...


class Language(Objective):
    """Cross-entropy of every token after the first, from "tokens" (B, T + 1), of which "tokens_length" (B,) are real.

    The `carry` of one batch is told to the source, so that it can come back with the next: B examples that go on.
    `characters` (V,) says how much text each token is, for the bits a character; `smoothing` mixes the target with the
    uniform distribution in training.
    """

    def __init__(self, model: nn.Module, *, characters: Tensor, carry: bool, smoothing: float = 0.0) -> None:
        super().__init__()
        self.model, self.smoothing, self._carries = model, smoothing, carry
        self.register_buffer("characters", characters, persistent=False)

    def scores(self, batch: Batch) -> tuple[Tensor, Carry]:
        """Scores (B, T, V) of the tokens after the first, and what is remembered at the end."""
        model: LanguageModel = self.model  # type: ignore[assignment]
        x = batch[TOKENS][:, :-1]
        kept = sorted((name for name in batch if name.startswith(CARRY)), key=lambda name: int(name[len(CARRY) :]))
        carry = tuple(batch[name] for name in kept) if kept else model.begin(len(x))
        return model.advance(x, carry)

    def loss(self, batch: Batch) -> Update:
        """Mean over the tokens, weighted by their number."""
        scores, carry = self.scores(batch)
        if self._carries:
            batch.feedback(**{f"{CARRY}{at}": value for at, value in enumerate(carry)})
        target, real = _target(batch)
        scores, smoothing = scores.flatten(0, 1), self.smoothing
        if real is None:
            return Update(F.cross_entropy(scores, target.flatten(), label_smoothing=smoothing), weight=target.numel())
        target = target.masked_fill(~real, -100)  # what cross_entropy leaves out
        loss = F.cross_entropy(scores, target.flatten(), label_smoothing=smoothing, reduction="sum")
        count = max(int(real.sum()), 1)
        return Update(loss / count, weight=count)

    def evaluate(self, source: Iterable[Batch]) -> Evaluation:
        """Loss in nats a token, perplexity, bits a character, accuracy; records: nats and right (N,) of each piece."""
        found = rows(source, self._measure)
        if not found:
            raise DataError("evaluation", "there is no text", "give at least one text to evaluate on")
        nats, right, tokens, characters = (torch.cat(parts).cpu().double() for parts in zip(*found, strict=True))
        count, letters = float(tokens.sum()), float(characters.sum())
        loss = float(nats.sum()) / max(count, 1.0)
        metrics = {
            "loss": loss,
            "perplexity": math.exp(min(loss, 700.0)),
            "bits_per_character": float(nats.sum()) / math.log(2) / max(letters, 1.0),
            "accuracy": float(right.sum()) / max(count, 1.0),
        }
        return Evaluation(metrics, {"nats": nats, "tokens": tokens})

    def _measure(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Of each example: nats, tokens foretold rightly, tokens, characters; (B,) each."""
        scores, _ = self.scores(batch)
        target, real = _target(batch)
        real = torch.ones_like(target, dtype=torch.bool) if real is None else real
        nats = F.cross_entropy(scores.flatten(0, 1).float(), target.flatten(), reduction="none").view_as(target)
        right = scores.argmax(2) == target
        letters = self.get_buffer("characters")[target]
        summed = [value.float().mul(real).sum(1) for value in (nats, right, torch.ones_like(nats), letters)]
        return summed[0], summed[1], summed[2], summed[3]


def _target(batch: Batch) -> tuple[Tensor, Tensor | None]:
    """The tokens to be foretold (B, T), and which of them are real; None: all."""
    target = batch[TOKENS][:, 1:]
    lengths = batch.get(TOKENS + LENGTH)
    return target, None if lengths is None else within(lengths - 1, target.shape[1])
