"""How well predicted tags agree with the true ones: by words, and by the spans that tags of the kind B-X, I-X mark."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Span = tuple[str, int, int]
"""What it is, and the words from the first on up to, not including, the last."""

_MARKED = re.compile(r"([BIESLU])-(.+)", re.DOTALL)
_OUTSIDE = "O"


@dataclass(frozen=True, slots=True)
class SpanScores:
    """Precision, recall and F1 of spans, 0 where undefined; `support` counts the true ones."""

    precision: float
    recall: float
    f1: float
    support: int


def marks_spans(tags: Iterable[str]) -> bool:
    """Whether tags mark spans: all are O or of the kind B-X, I-X (also E-, S-, L-, U-), and one is not O."""
    inside = [tag for tag in tags if tag != _OUTSIDE]
    return bool(inside) and all(map(_MARKED.fullmatch, inside))


def spans(tags: Sequence[str]) -> list[Span]:
    """The spans of a sentence, whichever of the schemes IOB1, IOB2, IOBES and BILOU its tags are of.

    A span ends before a word that is outside, that begins another, or that is of another kind, and with E, L, S and U
    (Tjong Kim Sang and De Meulder 2003, "Introduction to the CoNLL-2003 shared task", section 2.3).
    """
    found: list[Span] = []
    kind, start, open_ = "", 0, False
    for at, tag in enumerate([*tags, _OUTSIDE]):
        marked = _MARKED.fullmatch(tag)
        mark, what = marked.groups() if marked else (_OUTSIDE, "")
        goes_on = open_ and what == kind and mark in "IEL"
        if open_ and not goes_on:
            found.append((kind, start, at))
            open_ = False
        if marked and not goes_on:
            kind, start, open_ = what, at, True
        if open_ and mark in "ELSU":
            found.append((kind, start, at + 1))
            open_ = False
    return found


def span_scores(
    predicted: Sequence[Sequence[str]], true: Sequence[Sequence[str]]
) -> tuple[SpanScores, dict[str, SpanScores]]:
    """Of all spans together, and of each kind by name: a span counts where kind, first and last word are right."""
    claimed, there, hits = Counter[str](), Counter[str](), Counter[str]()
    for ours, theirs in zip(predicted, true, strict=True):
        mine, real = set(spans(ours)), set(spans(theirs))
        claimed.update(kind for kind, _, _ in mine)
        there.update(kind for kind, _, _ in real)
        hits.update(kind for kind, _, _ in mine & real)
    each = {kind: _scores(hits[kind], claimed[kind], there[kind]) for kind in sorted(claimed | there)}
    return _scores(hits.total(), claimed.total(), there.total()), each


def _scores(hits: int, claimed: int, there: int) -> SpanScores:
    return SpanScores(hits / max(claimed, 1), hits / max(there, 1), 2 * hits / max(claimed + there, 1), there)
