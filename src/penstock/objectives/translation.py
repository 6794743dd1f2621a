"""Learning to write one sequence from another.

B batch, S steps read, T tokens written, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from penstock.core.batch import Batch
from penstock.core.errors import DataError
from penstock.core.objective import Evaluation, Update
from penstock.core.shared import rows
from penstock.decoding.beam import Hypothesis, beam_search, greedy
from penstock.metrics.translation import bleu, chrf, exact_match
from penstock.models.translator import Translator
from penstock.nn.steps import within
from penstock.objectives.predicting import Predicting

PAD, UNKNOWN, BEGIN, END = range(4)
NEVER = (PAD, UNKNOWN, BEGIN)
"""Tokens that stand for no text."""
SHOWN = 8
"""Examples of which it is kept where the model looked."""


@dataclass(frozen=True)
class Decoding:
    """How the likeliest sequence is looked for: `width` 1 is greedy. `most` tokens are written at most."""

    width: int = 5
    penalty: float = 0.6
    most: int = 100


class Translation(Predicting):
    """Cross-entropy of each token of "target" (B, T), from its beginning to its end, given those before it.

    `inputs` are the fields of the source and of its lengths. `spell` turns tokens into text, of which BLEU, chrF and
    exact match are measured. In training, a growing share of the tokens given, up to `sampling` at the end, are not
    those of the target but drawn from what the model finds (Bengio et al. 2015, "Scheduled sampling"), for all steps at
    once (Duckworth et al. 2019, "Parallel scheduled sampling").
    """

    model: Translator

    def __init__(
        self,
        model: Translator,
        inputs: Sequence[str],
        *,
        spell: Callable[[Sequence[int]], str],
        smoothing: float = 0.0,
        sampling: float = 0.0,
        decoding: Decoding | None = None,
    ) -> None:
        super().__init__(model, (*inputs, "target"))
        self.spell, self.smoothing, self.sampling = spell, smoothing, sampling
        self.decoding = decoding if decoding is not None else Decoding()

    def loss(self, batch: Batch) -> Update:
        """The mean over all tokens of the targets, their ends included."""
        target = batch["target"]
        given, wanted = target[:, :-1], target[:, 1:]
        if self.sampling:
            given = self._sampled(batch, given)
        logits = self.model(*self._read(batch), given).float()  # (B, T, V)
        loss = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=PAD, label_smoothing=self.smoothing)
        return Update(loss, weight=float((wanted != PAD).sum()))

    @torch.no_grad()
    def evaluate(self, source: Iterable[Batch]) -> Evaluation:
        """Loss, perplexity and accuracy of tokens; BLEU, chrF and exact match of what is written.

        Records, of N examples and, padded, up to T tokens: "written" (N, T), "target" (N, T), "confidence" (N,), the
        mean probability of a written token; and of the first few, "source" (n, S) and "looks" (n, T, S), if it looks.
        """
        found = rows(source, self._examined)
        if not found:
            raise DataError("evaluation", "there are no examples", "give at least one example to evaluate on")
        losses, right, counts, *lines = zip(*(row[:6] for row in found), strict=True)
        tokens = int(sum(counts))
        written, target, confidence = (_stacked(parts) for parts in lines)
        texts, truths = self._texts(written), self._texts(target)
        loss = float(sum(losses)) / tokens
        metrics = {
            "loss": loss,
            "perplexity": math.exp(min(loss, 700.0)),
            "accuracy": float(sum(right)) / tokens,
            "exact_match": exact_match(texts, truths),
            "bleu": bleu(texts, truths),
            "chrf": chrf(texts, truths),
        }
        records = {"written": written, "target": target, "confidence": confidence}
        if len(found[0]) > 6:
            records |= {"source": found[0][6], "looks": found[0][7]}
        return Evaluation(metrics, records)

    def predict(self, batch: Batch) -> list[Hypothesis]:
        """The best sequence that is found for each example."""
        source, lengths = self._read(batch)
        first = torch.full((len(source),), BEGIN, device=source.device)
        state, how = self.model.begin(source, lengths), self.decoding

        def step(tokens: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
            logits, state = self.model.advance(tokens.unsqueeze(1), state)
            return logits[:, 0], state

        if how.width == 1:
            return greedy(step, state, first, end=END, most=how.most, never=NEVER)
        found = beam_search(
            step, state, first, end=END, most=how.most, width=how.width, penalty=how.penalty, never=NEVER
        )
        return [best[0] for best in found]

    def _read(self, batch: Batch) -> tuple[Tensor, Tensor]:
        source, lengths = (batch[name] for name in self.inputs[:2])
        return source, lengths

    @torch.no_grad()
    def _sampled(self, batch: Batch, given: Tensor) -> Tensor:
        """The tokens given (B, T), some of them in the place of which the model's own were drawn."""
        share = self.sampling * self.progress
        logits = self.model(*self._read(batch), given).float()
        logits[:, :, NEVER] = -math.inf
        chance = -torch.empty_like(logits).exponential_().log()  # the largest of logits + Gumbel noise is a draw
        drawn = (logits + chance).argmax(2)  # (B, T), each for the step after
        own = torch.cat([given[:, :1], drawn[:, :-1]], dim=1)
        chosen = (torch.rand(given.shape, device=given.device) < share) & (given > BEGIN)
        return torch.where(chosen, own, given)

    def _examined(self, batch: Batch) -> tuple[Tensor, ...]:
        """What `evaluate` keeps of a batch."""
        target, lengths = batch["target"], batch["target_length"]
        read = self._read(batch)
        wanted = target[:, 1:]
        logits = self.model(*read, target[:, :-1]).float()
        losses = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=PAD, reduction="sum")
        real = within(lengths - 1, wanted.shape[1])
        right = ((logits.argmax(2) == wanted) & real).sum()
        best = self.predict(batch)
        written = _padded([line.tokens for line in best])
        confidence = torch.tensor([math.exp(line.logprob / (len(line.tokens) + 1)) for line in best])
        row = (losses, right, real.sum(), written.to(target.device), target, confidence.to(target.device))
        few, few_lengths = (part[:SHOWN] for part in read)
        begun = torch.cat([torch.full((len(few), 1), BEGIN), written[: len(few)]], dim=1).to(few.device)
        looks = self.model.looks(few, few_lengths, begun)
        return row if looks is None else (*row, few, looks.float())

    def _texts(self, lines: Tensor) -> list[str]:
        return [self.spell(line) for line in lines.tolist()]


def _padded(lines: Sequence[Sequence[int]]) -> Tensor:
    """Token numbers as (N, T)."""
    longest = max(map(len, lines), default=0)
    return torch.tensor([[*line, *[PAD] * (longest - len(line))] for line in lines]).long().view(len(lines), longest)


def _stacked(parts: Sequence[Tensor]) -> Tensor:
    """Rows of all batches, on the processor, padded to one length."""
    if parts[0].ndim == 1:
        return torch.cat(list(parts)).cpu()
    longest = max(part.shape[1] for part in parts)
    return torch.cat([F.pad(part.cpu(), (0, longest - part.shape[1]), value=PAD) for part in parts])
