"""From what a CTC model says at each step to a sequence of tokens. The blank is token 0."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from penstock.decoding.ngram import END, NGram

BLANK = 0


@dataclass(frozen=True)
class Found:
    """A sequence of tokens, and ln of its score."""

    tokens: list[int]
    score: float


def collapse(path: Sequence[int]) -> list[int]:
    """The sequence that a path over the steps stands for: repeats are one token, blanks are nothing."""
    previous = [BLANK, *path]
    return [token for token, before in zip(path, previous) if token not in (before, BLANK)]


def greedy(logprob: Tensor, lengths: Tensor) -> list[list[int]]:
    """The sequence of the likeliest path of each example: logprob (B, T, V), lengths (B,)."""
    paths = logprob.argmax(2).cpu()
    return [collapse(path[:length].tolist()) for path, length in zip(paths, lengths.tolist(), strict=True)]


@final
@dataclass(frozen=True, kw_only=True)
class PrefixBeam:
    """Looks for the likeliest sequence, over all of its paths together, and over what a language makes of it.

    Prefix search with a beam of `width` prefixes (Graves et al. 2006, section 3.2; Hannun et al. 2014, algorithm 1).
    With a `language`, ln p of a sequence has `weight` times ln of its probability in the language added, and `bonus`
    for each token, which makes up for the language's liking for what is short. Tokens less likely than `least` at a
    step are not tried there.
    """

    width: int = 16
    language: NGram | None = None
    weight: float = 0.5
    bonus: float = 0.0
    least: float = 1e-4

    def __call__(self, logprob: Tensor, lengths: Tensor) -> list[list[int]]:
        """The best sequence of each example: logprob (B, T, V), lengths (B,)."""
        rows = zip(logprob.double().cpu(), lengths.tolist(), strict=True)
        return [self.search(row[:length])[0].tokens for row, length in rows]

    def search(self, logprob: Tensor) -> list[Found]:
        """Up to `width` sequences of one example (T, V), the best first."""
        beam: dict[tuple[int, ...], _Ends] = {(): _Ends(blank=0.0)}
        tried = logprob >= math.log(self.least)
        for step, likely in zip(logprob, tried, strict=True):
            tokens = torch.nonzero(likely).flatten().tolist()
            beam = self._extended(beam, dict(zip(tokens, step[tokens].tolist(), strict=True)), float(step[BLANK]))
        final = [Found(list(prefix), ends.total + self._told(prefix, END)) for prefix, ends in beam.items()]
        return sorted(final, key=lambda found: -found.score)

    def _extended(
        self, beam: dict[tuple[int, ...], _Ends], step: dict[int, float], blank: float
    ) -> dict[tuple[int, ...], _Ends]:
        """The prefixes after one more step, the best `width` of them."""
        grown: dict[tuple[int, ...], _Ends] = {}
        for prefix, ends in beam.items():
            same = grown.setdefault(prefix, _Ends(language=ends.language))
            same.blank = _added(same.blank, ends.path + blank)
            for token, value in step.items():
                if token == BLANK:
                    continue
                repeats = bool(prefix) and token == prefix[-1]
                if repeats:
                    same.token = _added(same.token, ends.token + value)
                # the same token again is a new one only where a blank lies between
                before = ends.blank if repeats else ends.path
                if before == -math.inf:
                    continue
                longer = (*prefix, token)
                language = ends.language + self._told(prefix, token) + self.bonus
                other = grown.setdefault(longer, _Ends(language=language))
                other.token = _added(other.token, before + value)
        best = sorted(grown.items(), key=lambda item: -item[1].total)[: self.width]
        return dict(best)

    def _told(self, prefix: tuple[int, ...], token: int) -> float:
        """What the language says to a token after a prefix."""
        return 0.0 if self.language is None else self.weight * self.language.logprob(prefix, token)


@dataclass(slots=True)
class _Ends:
    """ln p of a prefix over the paths that end in a blank and over those that end in its last token, and what the
    language adds."""

    blank: float = -math.inf
    token: float = -math.inf
    language: float = 0.0

    @property
    def path(self) -> float:
        """ln p over all its paths."""
        return _added(self.blank, self.token)

    @property
    def total(self) -> float:
        """By which prefixes are compared."""
        return self.path + self.language


def _added(one: float, other: float) -> float:
    """ln(e^one + e^other)."""
    low, high = (one, other) if one < other else (other, one)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))
