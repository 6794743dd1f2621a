"""How training went: curves of the loss, the metrics, the learning rate and the gradient norm."""

from __future__ import annotations

from penstock.run.report.markup import Html, Section, element, figure, metric_name, metric_value, number
from penstock.run.report.plots import Best, Line, curves
from penstock.run.report.records import RunRecord
from penstock.run.report.svg import FIRST, SECOND, THIRD

_CLASSES = {FIRST: "first", SECOND: "second", THIRD: "third"}
_TOGETHER = (("accuracy", "error", "f1", "auc"), ("rmse", "mae"), ("r2",))  # metrics that share a scale


def training(run: RunRecord) -> Section | None:
    """Every curve for which there are points."""
    across = "epoch" if all("epoch" in row for rows in run.rows.values() for row in rows) else "step"
    plots = [_loss(run, across)]
    groups = list(_TOGETHER)
    monitored = run.summary.best.metric if run.summary is not None and run.summary.best is not None else "loss"
    if monitored not in ("loss", *(key for group in groups for key in group)):
        groups.append((monitored,))
    plots += [_metrics(run, across, group) for group in groups]
    plots.append(_single(run, across, "rate", "Learning rate"))
    plots.append(_single(run, across, "norm", "Gradient norm"))
    found = [plot for plot in plots if plot is not None]
    return Section("training", "Training", element("div", *found, class_="figures")) if found else None


def series(run: RunRecord, split: str, key: str, across: str) -> tuple[list[float], list[float]]:
    """The points of one curve; rows without a finite number there are left out."""
    rows = [row for row in run.rows.get(split, []) if key in row and across in row]
    return [row[across] for row in rows], [row[key] for row in rows]


def _loss(run: RunRecord, across: str) -> Html | None:
    lines, keys, words = [], [], []
    for split, colour, name in (("train", FIRST, "training"), ("validation", SECOND, "validation")):
        x, y = series(run, split, "loss", across)
        if x:
            lines.append(Line(x, y, colour, noisy=split == "train"))
            keys.append((_CLASSES[colour], name))
            words.append(f"{name} from {number(y[0])} to {number(y[-1])}, lowest {number(min(y))}")
    if not lines:
        return None
    label = f"Loss over {across}: {'; '.join(words)}."
    return figure("Loss", curves("loss", label, lines, across, _best(run, across, ("loss",))), keys)


def _metrics(run: RunRecord, across: str, names: tuple[str, ...]) -> Html | None:
    present = [(name, *series(run, "validation", name, across)) for name in names]
    present = [(name, x, y) for name, x, y in present if x]
    if any(name == "accuracy" for name, _, _ in present):
        present = [item for item in present if item[0] != "error"]  # one minus the accuracy
    if not present:
        return None
    colours = [SECOND, FIRST, THIRD]
    drawn = list(zip(present, colours))
    lines = [Line(x, y, colour) for (_, x, y), colour in drawn]
    keys = [(_CLASSES[colour], metric_name(name)) for (name, _, _), colour in drawn]
    title = _capital(" and ".join(metric_name(name) for name, _, _ in present)) + " on validation"
    words = (
        f"{metric_name(name)} from {metric_value(name, y[0])} to {metric_value(name, y[-1])}" for name, x, y in present
    )
    label = f"{title} over {across}: {'; '.join(words)}."
    svg = curves(f"metric-{names[0]}", label, lines, across, _best(run, across, names))
    return figure(title, svg, keys if len(keys) > 1 else ())


def _single(run: RunRecord, across: str, key: str, title: str) -> Html | None:
    x, y = series(run, "train", key, across)
    if not x:
        return None
    label = f"{title} over {across}: from {number(y[0])} to {number(y[-1])}, highest {number(max(y))}."
    return figure(title, curves(key, label, [Line(x, y, FIRST, noisy=key == "norm")], across))


def _best(run: RunRecord, across: str, names: tuple[str, ...]) -> Best | None:
    best = run.summary.best if run.summary is not None else None
    place = (best.epoch if across == "epoch" else best.step) if best is not None else None
    if best is None or place is None:
        return None
    value = best.value if best.metric in names else None
    shown = f" {metric_value(best.metric, value)}," if value is not None else ""
    return Best(place, value, f"best:{shown} {across} {number(place)}")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
