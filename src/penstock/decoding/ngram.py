"""A model of which token follows which: counts of short sequences, smoothed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, final

END = -1
"""Stands for the end of a sequence among the tokens."""


@final
class NGram:
    """The probability of a token after the `order` - 1 tokens before it, or after the beginning.

    Smoothed as Witten and Bell 1991, "The zero-frequency problem", method C, interpolated: of what followed a context n
    times, with t different tokens, t / (n + t) of the probability goes to the context that is one token shorter, and
    below all contexts to the uniform distribution over the `size` tokens and the end.
    """

    def __init__(self, order: int, size: int, counts: Mapping[tuple[int, ...], Mapping[int, int]]) -> None:
        self.order, self.size = order, size
        self.counts = {context: dict(after) for context, after in counts.items()}
        self._totals = {context: sum(after.values()) for context, after in self.counts.items()}
        self._known: dict[tuple[int, ...], float] = {}

    @classmethod
    def fit(cls, sequences: Iterable[Sequence[int]], *, order: int, size: int) -> NGram:
        """From sequences of tokens 0 to `size` - 1."""
        counts: dict[tuple[int, ...], Counter[int]] = {}
        for sequence in sequences:
            whole = [*sequence, END]
            for at, token in enumerate(whole):
                for length in range(min(order, at + 1)):
                    counts.setdefault(tuple(whole[at - length : at]), Counter())[token] += 1
        return cls(order, size, counts)

    def logprob(self, before: Sequence[int], token: int) -> float:
        """ln p(token | before); `before` is all that came since the beginning, or its end."""
        context = tuple(before[max(len(before) - self.order + 1, 0) :])
        key = (*context, token)
        if key not in self._known:
            self._known[key] = math.log(self._probability(context, token))
        return self._known[key]

    def _probability(self, context: tuple[int, ...], token: int) -> float:
        shorter = self._probability(context[1:], token) if context else 1 / (self.size + 1)
        after = self.counts.get(context)
        if after is None:
            return shorter
        total, different = self._totals[context], len(after)
        return (after.get(token, 0) + different * shorter) / (total + different)

    def to_json(self) -> dict[str, Any]:
        """The counts."""
        rows = [[list(context), sorted(after.items())] for context, after in sorted(self.counts.items())]
        return {"order": self.order, "size": self.size, "counts": rows}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> NGram:
        """The reverse of `to_json`."""
        counts = {tuple(context): {int(token): int(n) for token, n in after} for context, after in value["counts"]}
        return cls(value["order"], value["size"], counts)
