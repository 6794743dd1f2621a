"""The mistakes that teach most: those that the model was surest of."""

from __future__ import annotations

from penstock.run.report.findings import Mistake
from penstock.run.report.markup import Column, Html, Section, element, join, number, percent, picture, show, table
from penstock.run.report.records import RunRecord

LIMIT = 60
COLUMNS = 24


def mistakes(run: RunRecord) -> Section | None:
    """A gallery where the examples are pictures, else a table of their rows."""
    found = run.evaluation.mistakes[:LIMIT] if run.evaluation is not None else []
    items = [item for item in found if item.alignment is None and item.words is None]
    if not items:
        return None
    if all(item.residual is None for item in items):
        title, note = "Mistakes", "Wrong predictions, the most confident first: odd labels and odd data show up here."
    else:
        title, note = "Largest errors", "The examples whose prediction lies farthest from the truth."
    tiles = [_tile(item) for item in items]
    drawn = [tile for tile in tiles if tile is not None]
    rest = [item for item, tile in zip(items, tiles) if tile is None]
    parts = [element("p", note, class_="note")]
    if drawn:
        parts.append(element("ul", *drawn, class_="gallery"))
    if rest:
        parts.append(_rows(run, title, rest))
    return Section("mistakes", title, join(parts))


def _tile(item: Mistake) -> Html | None:
    said, truth = show(item.predicted), show(item.truth)
    image = picture(item.picture, f"Example of {truth}, predicted as {said}")
    if image is None:
        return None
    lines = [
        element("span", "predicted ", element("b", said), f" {_strength(item)}"),
        element("span", "true ", element("b", truth)),
    ]
    if item.place:
        lines.append(element("small", item.place))
    return element("li", image, *lines)


def _rows(run: RunRecord, title: str, items: list[Mistake]) -> Html:
    names = list(dict.fromkeys(name for item in items for name in item.row or {}))[:COLUMNS]
    strength = "Residual" if any(item.residual is not None for item in items) else "Confidence"
    columns = [Column("Place"), Column("True"), Column("Predicted"), Column(strength, True)]
    columns += [Column(name, all(_is_number((item.row or {}).get(name)) for item in items)) for name in names]
    rows = [
        [
            show(item.place),
            show(item.truth),
            show(item.predicted),
            _strength(item),
            *(show((item.row or {}).get(name)) for name in names),
        ]
        for item in items
    ]
    return table(title, columns, rows)


def _strength(item: Mistake) -> str:
    return percent(item.confidence) if item.confidence is not None else number(item.residual)


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
