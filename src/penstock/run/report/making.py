"""What a generative model makes, how its players kept each other in balance, and whether it makes all that there is."""

from __future__ import annotations

import math

from penstock.run.report.findings import Making
from penstock.run.report.markup import (
    Column,
    Html,
    Section,
    bar,
    element,
    join,
    number,
    percent,
    picture,
    table,
)
from penstock.run.report.named_curves import COLOURS, named_curves, series
from penstock.run.report.plots import Line
from penstock.run.report.records import RunRecord

FORGOTTEN = 0.2
"""A class with less than this share of what it has among real examples counts as forgotten."""


def samples(run: RunRecord) -> Section | None:
    """Samples of the kept weights, and those with the same codes while it learned."""
    made = _making(run)
    parts: list[Html] = []
    if made is not None and (sheet := picture(made.sheet, "Samples of the trained model")) is not None:
        parts.append(_drawn(sheet, "by the kept weights"))
    moving = picture(run.film, "Samples with the same codes, from the beginning of training to its end")
    if moving is not None:
        parts.append(_drawn(moving, "the training as a film: the same codes after each evaluation"))
    grown = [(step, picture(text, f"Samples after {step} steps")) for step, text in run.sheets]
    if stills := [_drawn(image, f"step {step:,}") for step, image in grown if image is not None]:
        parts.append(element("h3", "While it learned"))
        parts.append(element("div", *stills, class_="figures"))
    if not parts:
        return None
    note = "None of these pictures is in the data. Nothing was selected: the codes follow from the seed."
    return Section("samples", "Samples", join([element("p", note, class_="note"), *parts]))


def balance(run: RunRecord) -> Section | None:
    """The losses of the players of a game, side by side."""
    rows = run.rows.get("train", [])
    names = sorted({key for row in rows for key in row if key.endswith("_loss")}, reverse=True)
    if len(names) < 2 or run.task != "generate":  # a policy and its values do not play against each other
        return None
    across = "epoch" if all("epoch" in row for row in rows) else "step"
    lines = {
        name.removesuffix("_loss"): Line(*series(run, "train", name, across), colour, noisy=True)
        for name, colour in zip(names, COLOURS, strict=False)
    }
    losses = named_curves("balance", "Losses", lines, across)
    assert losses is not None
    note = (
        "A game has no loss that falls to nothing: as long as the curves stay apart and level, both sides learn from "
        "each other. A discriminator whose loss goes to zero has won, and the generator learns nothing more."
    )
    body = join([element("p", note, class_="note"), element("div", losses, class_="figures")])
    return Section("balance", "Balance", body)


def variety(run: RunRecord) -> Section | None:
    """Whether it makes everything that there is: classes, and nearness both ways."""
    made = _making(run)
    if made is None:
        return None
    said = [f"Measured in the features of {made.examiner.name}."]
    if made.examiner.accuracy is not None:
        said[0] = f"Measured in the features of {made.examiner.name}, right in {percent(made.examiner.accuracy)}."
    parts: list[Html] = []
    if made.classes:
        lost = [item.name for item in made.classes if item.share < FORGOTTEN * item.real]
        said.append(
            f"It forgets {', '.join(lost)}: the modes have collapsed there." if lost else "No class is forgotten."
        )
        even = math.exp(made.entropy or 0.0)
        said.append(f"The classes of {made.samples:,} samples are as varied as {number(even, 3)} even ones.")
        if made.agreement is not None:
            said.append(f"The class that was asked for is seen in {percent(made.agreement)} of them.")
        if made.sure is not None and made.real_sure is not None:
            said.append(
                f"The classifier is sure (0.9 and more) of {percent(made.sure)} of the samples, "
                f"and of {percent(made.real_sure)} of real ones."
            )
        most = max(max(item.share, item.real) for item in made.classes) or 1.0
        rows = [
            [item.name, bar(item.share / most, percent(item.share)), bar(item.real / most, percent(item.real))]
            for item in made.classes
        ]
        columns = [Column("Class"), Column("Samples", True), Column("Real", True)]
        parts.append(table("Classes of samples", columns, rows))
    if plots := [plot for names in (("precision", "recall"), ("density", "coverage")) if (plot := _curve(run, names))]:
        parts.append(element("div", *plots, class_="figures"))
    note = (
        "Precision and density tell how many samples look like real examples, recall and coverage how many real "
        "examples there are samples like: a generator whose recall falls while its precision holds is collapsing."
    )
    head = [element("p", " ".join(said), class_="meaning"), element("p", note, class_="note")]
    return Section("variety", "Variety", join([*head, *parts]))


def neighbours(run: RunRecord) -> Section | None:
    """Samples beside the training examples nearest to them."""
    made = _making(run)
    if made is None or not made.neighbours:
        return None
    tiles = []
    for item in made.neighbours:
        pair = [picture(item.made, "A sample"), picture(item.nearest, "The training example nearest to it")]
        images = [image for image in pair if image is not None]
        tiles.append(element("li", *images, element("small", f"distance {number(item.distance, 3)}")))
    said = (
        f"Above, a sample; below, the training example nearest to it. The median distance is {number(made.distance, 3)}"
        f"; that of real examples which were not learned from is {number(made.real_distance, 3)}. "
    )
    near = made.distance is not None and made.real_distance is not None and made.distance < made.real_distance / 2
    said += "Samples lie much nearer: it has learned by heart." if near else "It does not copy what it learned from."
    body = [element("p", said, class_="meaning"), element("ul", *tiles, class_="gallery")]
    return Section("neighbours", "Nearest training examples", join(body))


def _curve(run: RunRecord, names: tuple[str, str]) -> Html | None:
    lines = {
        name: Line(*series(run, "validation", name, "step"), colour)
        for name, colour in zip(names, COLOURS, strict=False)
    }
    if not all(len(line.x) > 1 for line in lines.values()):
        return None
    return named_curves(names[0], " and ".join(names).capitalize(), lines, "step")


def _drawn(image: Html, words: str) -> Html:
    return element("figure", element("figcaption", element("small", words)), image)


def _making(run: RunRecord) -> Making | None:
    return run.evaluation.making if run.evaluation is not None else None
