"""What a language model writes, how its writing grew, and where a text surprised it."""

from __future__ import annotations

from penstock.run.report.findings import SurpriseRecord, WrittenRecord
from penstock.run.report.markup import Html, Section, clean, element, join, number
from penstock.run.report.records import RunRecord

GROWN = 8
"""Samples that show how the writing grew, at most."""
MOST_BITS = 10.0
"""A surprise from which the colour is full."""


def samples(run: RunRecord) -> Section | None:
    """What it writes in the end, more and less boldly; and what it wrote while it learned."""
    parts = []
    written = run.evaluation.samples if run.evaluation is not None else []
    if written:
        parts.append(element("p", "Written by the trained model; the seed is 0 each time.", class_="note"))
        parts += [_written(f"temperature {number(item.temperature)}", item) for item in written]
    if run.samples:
        parts.append(element("h3", "While it learned"))
        parts += [_written(f"step {item.step:,}, epoch {number(item.epoch, 3)}", item) for item in _few(run.samples)]
    return Section("samples", "Samples", join(parts)) if parts else None


def surprise(run: RunRecord) -> Section | None:
    """The first test passage, each token the darker the less it was expected."""
    tokens = run.evaluation.surprise if run.evaluation is not None else []
    if not tokens:
        return None
    mean = sum(token.bits for token in tokens) / len(tokens)
    note = (
        f"The beginning of the test text: the darker a token, the less the model expected it. A token comes with "
        f"{number(mean, 3)} bits of surprise in the mean; point at one to read its own."
    )
    text = element("pre", *map(_token, tokens), class_="passage")
    return Section("surprise", "Surprise", join([element("p", note, class_="note"), text]))


def _few(items: list[WrittenRecord]) -> list[WrittenRecord]:
    """Evenly spread, the first and the last among them."""
    if len(items) <= GROWN:
        return items
    return [items[round(at * (len(items) - 1) / (GROWN - 1))] for at in range(GROWN)]


def _written(title: str, item: WrittenRecord) -> Html:
    text = element("pre", element("b", item.prompt), item.text, class_="written")
    return element("figure", element("figcaption", element("small", title)), text)


def _token(token: SurpriseRecord) -> Html:
    share = min(max(token.bits, 0.0) / MOST_BITS, 1.0)
    shown = clean(token.text).replace("\n", "↵\n")
    return element("span", shown, title=f"{token.bits:.1f} bits", style=f"--v:{share:.2f}")
