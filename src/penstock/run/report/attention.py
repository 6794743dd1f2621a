"""Where a model that translates looked in what it read, for each token that it wrote."""

from __future__ import annotations

from penstock.run.report.findings import Looks
from penstock.run.report.markup import Html, Section, element, escape, figure, join
from penstock.run.report.records import RunRecord

CELL, LETTER = 18, 8.5
SHOWN_TOKENS = 60  # more do not fit on a page


def looks(run: RunRecord) -> Section | None:
    """A map for each of a few examples of the test."""
    found = run.evaluation.looks if run.evaluation is not None else []
    shown = [one for one in found if one.written and max(len(one.read), len(one.written)) <= SHOWN_TOKENS]
    if not shown:
        return None
    note = (
        "A row is a token that was written, a column one that was read: the darker, the more of it was taken. "
        "Where text is translated word by word, a line runs from the upper left to the lower right."
    )
    maps = [figure(f"Example {number}", _map(one)) for number, one in enumerate(shown, 1)]
    return Section("attention", "Where it looked", join([element("p", note, class_="note"), *maps]))


def _map(one: Looks) -> Html:
    """The weights as squares, with what was read above and what was written at the left."""
    left = LETTER * max(map(_width, one.written)) + 10
    above = LETTER * max(map(_width, one.read)) + 10
    width, height = left + CELL * len(one.read) + 4, above + CELL * len(one.written) + 4
    parts: list[Html] = []
    for at, token in enumerate(one.read):
        x = left + CELL * (at + 0.5) + 4
        parts.append(_label(token, x, above - 6, turn=f"rotate(-90 {x:.1f} {above - 6:.1f})"))
    for row, token in enumerate(one.written):
        y = above + CELL * row
        parts.append(_label(token, left - 6, y + 13, anchor="end"))
        for at, weight in enumerate(one.looks[row]):
            if weight >= 0.01:
                parts.append(_square(left + CELL * at, y, weight, f"{token} looks at {one.read[at]}: {weight:.2f}"))
    frame = element(
        "rect",
        x=f"{left:.1f}",
        y=f"{above:.1f}",
        width=CELL * len(one.read),
        height=CELL * len(one.written),
        fill="none",
        stroke="currentColor",
        stroke_opacity="0.3",
    )
    label = f"Attention from {''.join(one.written)} to {''.join(one.read)}"
    size = f"width:{width:.0f}px;max-width:100%"
    return element(
        "svg", frame, *parts, viewBox=f"0 0 {width:.0f} {height:.0f}", style=size, role="img", aria_label=label
    )


def _square(x: float, y: float, weight: float, title: str) -> Html:
    return element(
        "rect",
        element("title", title),
        x=f"{x + 0.5:.1f}",
        y=f"{y + 0.5:.1f}",
        width=CELL - 1,
        height=CELL - 1,
        fill="currentColor",
        fill_opacity=f"{weight:.2f}",
    )


def _label(token: str, x: float, y: float, anchor: str = "start", turn: str | None = None) -> Html:
    return element(
        "text",
        escape(token),
        x=f"{x:.1f}",
        y=f"{y:.1f}",
        font_size=13,
        fill="currentColor",
        text_anchor=anchor,
        transform=turn,
    )


def _width(token: str) -> float:
    """How wide a token is in letters: a Chinese character is nearly two."""
    return sum(1.7 if ord(character) >= 0x2E80 else 1.0 for character in token)
