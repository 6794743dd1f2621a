"""Sentences whose tags a model got wrong, word for word."""

from __future__ import annotations

from penstock.run.report.findings import Mistake
from penstock.run.report.markup import Html, Section, element, join, percent
from penstock.run.report.records import RunRecord

_OUTSIDE = "O"


def sentences(run: RunRecord) -> Section | None:
    """The sentences with the surest mistakes: every word with its tag, the wrong ones marked."""
    items = [item for item in (run.evaluation.mistakes if run.evaluation is not None else []) if item.words]
    if not items:
        return None
    note = (
        "The sentences with the mistakes that the model was surest of. Below a word stands its predicted tag, where it "
        "has one; of a wrong one, struck out, with the true tag behind it."
    )
    parts = [element("p", note, class_="note"), *map(_sentence, items)]
    return Section("sentences", "Sentences", join(parts))


def _sentence(item: Mistake) -> Html:
    words = zip(item.words or [], item.tags or [], item.true_tags or [], strict=False)
    caption = element("small", f"{item.place}, {percent(item.confidence)} sure of {item.predicted}")
    return element("figure", element("p", *(_word(*word) for word in words), class_="tagged"), caption)


def _word(word: str, tag: str, true: str) -> Html:
    if tag != true:
        below = [element("s", tag), element("b", true)]
    else:
        below = [element("small", tag)] if tag != _OUTSIDE else []
    return element("span", element("span", word), *below, class_="wrong" if tag != true else None)
