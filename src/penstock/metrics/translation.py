"""How near translations are to those of people, by sacrebleu."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

HAN = 0.3
"""Share of Chinese characters from which a text is cut into characters before its words are compared."""


def bleu(found: Sequence[str], wanted: Sequence[str]) -> float:
    """BLEU of a corpus in [0, 100] (Papineni et al. 2002), cut into words as WMT does, or as Chinese where it is that.

    NaN of nothing.
    """
    if not wanted:
        return float("nan")
    from sacrebleu.metrics.bleu import BLEU

    cut = "zh" if _is_chinese(wanted) else "13a"
    return _score(BLEU(tokenize=cut), found, wanted)


def chrf(found: Sequence[str], wanted: Sequence[str]) -> float:
    """The F-score of runs of one to six characters of a corpus in [0, 100]: Popovic 2015. NaN of nothing."""
    if not wanted:
        return float("nan")
    from sacrebleu.metrics.chrf import CHRF

    return _score(CHRF(), found, wanted)


def exact_match(found: Sequence[str], wanted: Sequence[str]) -> float:
    """The share that is right to the last character; NaN of nothing."""
    right = sum(one == other for one, other in zip(found, wanted, strict=True))
    return right / len(wanted) if wanted else float("nan")


def _score(metric: Any, found: Sequence[str], wanted: Sequence[str]) -> float:
    return float(metric.corpus_score(list(found), [list(wanted)]).score)


def _is_chinese(texts: Sequence[str]) -> bool:
    letters = [character for text in texts[:1000] for character in text if character.isalpha()]
    return sum("\u4e00" <= character <= "\u9fff" for character in letters) >= HAN * max(len(letters), 1)
