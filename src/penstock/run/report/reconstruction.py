"""What an autoencoder makes of examples, of chance, and of what it has not seen the like of."""

from __future__ import annotations

import numpy as np

from penstock.recipes.palette import COLOURS, SHAPES
from penstock.run.report.findings import Likeness, Reconstruction
from penstock.run.report.markup import (
    Column,
    Html,
    Section,
    element,
    figure,
    join,
    number,
    percent,
    picture,
    show,
    table,
)
from penstock.run.report.plots import counted, scatter
from penstock.run.report.records import RunRecord

LIMIT = 60
COLUMNS = 24
_MARKS = dict(zip(SHAPES, "●▲■◆▼⬟"))


def likenesses(run: RunRecord) -> Section | None:
    """Originals beside reconstructions: some of the test, and those that are farthest off."""
    found = _of(run)
    parts = []
    for title, note, items in (
        ("", "On the left an example of the test, on the right what was made of its code.", found.pairs),
        ("Farthest off", "The examples of the test with the largest errors.", found.worst),
    ):
        shown = _tiles(items[:LIMIT]) or _rows(items[:LIMIT])
        if shown is not None:
            parts += [*([element("h3", title)] if title else []), element("p", note, class_="note"), shown]
    return Section("likenesses", "Originals and reconstructions", join(parts)) if parts else None


def samples(run: RunRecord) -> Section | None:
    """What was made of codes that were drawn."""
    found = _of(run)
    sheet = picture(found.samples, "New examples, made of codes that were drawn from the unit normal")
    note = element(
        "p", "Made of codes that were drawn from the unit normal: nothing of this is in the data.", class_="note"
    )
    if sheet is not None:
        return Section("samples", "Samples", join([note, element("div", sheet, class_="sheet")]))
    if not found.sampled:
        return None
    names = list(dict.fromkeys(name for row in found.sampled for name in row))[:COLUMNS]
    rows = [[show(row.get(name)) for name in names] for row in found.sampled[:LIMIT]]
    return Section("samples", "Samples", join([note, table("Samples", [Column(name) for name in names], rows)]))


def code_map(run: RunRecord) -> Section | None:
    """The codes of the test in a plane."""
    found = _of(run).map
    if found is None or len(found.points) < 3 or any(None in point for point in found.points):
        return None
    points = np.array(found.points, dtype=float)
    label = f"The codes of {len(points):,} test examples in a plane: {found.how}."
    svg = scatter("codes", label, points, found.classes, found.how)
    note = "Near one another lie examples that the code takes for alike."
    keys = element("ul", *(_key(at, name) for at, name in enumerate(found.names)), class_="classes")
    return Section(
        "codes", "Map of the codes", join([figure("Codes", svg, note=note), *([keys] if found.names else [])])
    )


def errors(run: RunRecord) -> Section | None:
    """How far off reconstructions are, with the threshold of what is unusual."""
    found = _of(run).errors
    if found is None or not found.counts:
        return None
    parts = [np.array(found.counts, dtype=float)]
    keys = [("first", "test")]
    if found.apart:
        parts.append(np.array(found.apart, dtype=float))
        keys.append(("second", "left out of the training"))
    said = []
    if found.threshold is not None and found.counts_above is not None:
        said.append(
            f"An error above {number(found.threshold)} counts as unusual (the broken line), by the validation split: "
            f"{percent(found.counts_above)} of the test examples lie above it"
        )
        if found.apart_above is not None:
            said[0] += f", and {percent(found.apart_above)} of those that were left out of the training"
        said[0] += "."
    auc = run.evaluation.metrics.get("auc") if run.evaluation is not None else None
    if auc is not None:
        said.append(f"Of two examples, one of each, the one that was left out has the larger error in {percent(auc)}.")
    svg = counted("errors", "Errors of reconstruction. " + " ".join(said), found.edges, parts, found.threshold)
    body = [element("p", " ".join(said), class_="note"), figure("Errors", svg, keys, "The last bar holds all above.")]
    return Section("errors", "What is unusual", join(body))


def _of(run: RunRecord) -> Reconstruction:
    found = run.evaluation.reconstruction if run.evaluation is not None else None
    return found or Reconstruction()


def _tiles(items: list[Likeness]) -> Html | None:
    tiles = []
    for item in items:
        before, after = picture(item.before, "Original"), picture(item.after, "Reconstruction")
        if before is None or after is None:
            continue
        lines = [
            element("span", *([element("b", item.label), " "] if item.label else []), f"error {number(item.error)}")
        ]
        lines += [element("small", item.place)] if item.place else []
        tiles.append(element("li", element("div", before, after, class_="two"), *lines))
    return element("ul", *tiles, class_="gallery twins") if tiles else None


def _rows(items: list[Likeness]) -> Html | None:
    """Two lines an example."""
    items = [item for item in items if item.row is not None and item.again is not None]
    if not items:
        return None
    names = list(dict.fromkeys(name for item in items for name in item.row or {}))[:COLUMNS]
    lines = []
    for item in items:
        for what, row in (("original", item.row or {}), ("made again", item.again or {})):
            first = what == "original"
            head = [show(item.place) if first else "", what, number(item.error) if first else ""]
            lines.append([*head, *(show(row.get(name)) for name in names)])
    columns = [Column("Place"), Column(""), Column("Error", True), *(Column(name) for name in names)]
    return table("Originals and reconstructions", columns, lines)


def _key(at: int, name: str) -> Html:
    mark, colour = _MARKS[SHAPES[at // len(COLOURS) % len(SHAPES)]], COLOURS[at % len(COLOURS)]
    return element("li", element("span", mark, style=f"color:{colour}"), " ", name)
