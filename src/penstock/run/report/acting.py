"""How acting was learned: returns and lengths of episodes, what was expected of them, how sure the policy became."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.run.report.markup import Html, Section, element, join, number, picture
from penstock.run.report.named_curves import COLOURS, coloured_curves, named_curves, series
from penstock.run.report.plots import Line
from penstock.run.report.records import RunRecord

_CURVES = (
    ("entropy", "Entropy", "how much is left to chance, in nats"),
    ("explained", "Explained variance", "share of the returns' variance that the values foretold"),
    ("value_loss", "Value loss", "squared error of the values"),
    ("kl", "Divergence", "of the policy from the one that acted, in nats"),
    ("temperature", "Temperature", "the price of entropy"),
    ("value", "Value", "mean return that was expected in a batch"),
    ("epsilon", "Epsilon", "share of actions at random"),
)
"""What the log of a training may have, the title, and what it is."""
_OF_AGENT, _OTHER = "return_", ("return_deviation",)


def acting(run: RunRecord) -> Section | None:
    """Against the frames, all environments' together."""
    if run.task != "control" or run.data is None:
        return None
    lines = [("the best actions", *frames_and(run, "validation", "return"))]
    trivial = run.evaluation.baseline if run.evaluation is not None else None
    level = trivial.metrics.get("return") if trivial is not None else None
    if trivial is not None and level is not None and lines[0][1]:
        ends = [lines[0][1][0], lines[0][1][-1]]
        lines.append((trivial.name, ends, [level, level]))
    plots = [_figure("Return", "of an episode, on validation", lines)]
    plots.append(_figure("Return over time", "of the best actions", [("return", *_times_and(run))], "seconds"))
    plots.append(_figure("Episode length", "in steps", [("length", *frames_and(run, "validation", "episode_length"))]))
    told = [("expected", "expected"), ("discounted", "came")]
    judged = [(words, *frames_and(run, "validation", name)) for name, words in told]
    plots.append(_figure("Discounted return", "that was expected at the beginning, and that came", judged))
    for name, title, note in _CURVES:
        plots.append(_figure(title, note, [(name, *frames_and(run, "train", name))]))
    plots.append(_agents(run))
    found = [plot for plot in plots if plot is not None]
    if not found:
        return None
    moving = picture(run.episode, "The best episode of the test")
    shown = [_filmed(moving)] if moving is not None else []
    return Section("acting", "Acting", join([*_said(run), *shown, element("div", *found, class_="figures")]))


def _filmed(moving: Html) -> Html:
    words = element("figcaption", element("small", "the best of the test's episodes, from its beginning to its end"))
    return element("figure", words, moving)


def _said(run: RunRecord) -> list[Html]:
    """The middle of the returns, and how sure it is."""
    metrics = run.evaluation.metrics if run.evaluation is not None else {}
    middle, low, high = (metrics.get(name) for name in ("interquartile_mean", "interval_low", "interval_high"))
    if run.evaluation is None or middle is None or low is None or high is None:
        return []
    said = (
        f"The middle half of {run.evaluation.examples} episodes brought {number(middle)} on average; "
        f"of as many others it would be between {number(low)} and {number(high)} (95% bootstrap interval)."
    )
    return [element("p", said, class_="meaning")]


def frames_and(run: RunRecord, split: str, name: str) -> tuple[list[float], list[float]]:
    """Frames, all environments' together, and values."""
    epochs, values = series(run, split, name, "epoch")
    frames = run.data.splits.get("train", 1) if run.data is not None else 1
    return [epoch * frames for epoch in epochs], values


def _agents(run: RunRecord) -> Html | None:
    """What each of several agents got, which their mean does not tell of opponents."""
    names = (
        [name for name in run.evaluation.metrics if name.startswith(_OF_AGENT)] if run.evaluation is not None else []
    )
    curves = {name.removeprefix(_OF_AGENT): frames_and(run, "validation", name) for name in names if name not in _OTHER}
    known = {name: points for name, points in curves.items() if points[0]}
    if not known:
        return None
    return element("div", coloured_curves("acting-agents", "Return of each agent", known, "frames"))


def _times_and(run: RunRecord) -> tuple[list[float], list[float]]:
    """Seconds of training until each evaluation, and the return that it found."""
    steps, values = series(run, "validation", "return", "step")
    known = [(run.times[step], value) for step, value in zip(steps, values, strict=True) if step in run.times]
    return [seconds for seconds, _ in known], [value for _, value in known]


def _figure(
    title: str, note: str, lines: Sequence[tuple[str, list[float], list[float]]], across: str = "frames"
) -> Html | None:
    drawn = {name: Line(x, y, colour) for (name, x, y), colour in zip(lines, COLOURS, strict=False) if x}
    return named_curves(f"acting-{title.casefold().replace(' ', '-')}", title, drawn, across, note=note)
