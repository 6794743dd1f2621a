"""How training went: curves of the loss, the metrics, the learning rate and the gradient norm."""

from __future__ import annotations

from penstock.run.report.markup import Html, Section, element, metric_name, metric_value, number
from penstock.run.report.named_curves import named_curves, series
from penstock.run.report.plots import Best, Line
from penstock.run.report.records import RunRecord
from penstock.run.report.svg import FIRST, SECOND, THIRD

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


def _loss(run: RunRecord, across: str) -> Html | None:
    lines = {}
    for split, colour, name in (("train", FIRST, "training"), ("validation", SECOND, "validation")):
        x, y = series(run, split, "loss", across)
        if x:
            lines[name] = Line(x, y, colour, noisy=split == "train")
    words = (
        f"{name} from {number(line.y[0])} to {number(line.y[-1])}, lowest {number(min(line.y))}"
        for name, line in lines.items()
    )
    title = "Loss" if len(lines) > 1 else f"{''.join(lines).capitalize()} loss"
    return named_curves("loss", title, lines, across, words="; ".join(words), best=_best(run, across, ("loss",)))


def _metrics(run: RunRecord, across: str, names: tuple[str, ...]) -> Html | None:
    present = [(name, *series(run, "validation", name, across)) for name in names]
    present = [(name, x, y) for name, x, y in present if x]
    if any(name == "accuracy" for name, _, _ in present):
        present = [item for item in present if item[0] != "error"]  # one minus the accuracy
    lines = {metric_name(name): Line(x, y, colour) for (name, x, y), colour in zip(present, (SECOND, FIRST, THIRD))}
    words = (
        f"{metric_name(name)} from {metric_value(name, y[0])} to {metric_value(name, y[-1])}" for name, _, y in present
    )
    title = _capital(" and ".join(lines)) + " on validation"
    best = _best(run, across, names)
    return named_curves(f"metric-{names[0]}", title, lines, across, words="; ".join(words), best=best)


def _single(run: RunRecord, across: str, key: str, title: str) -> Html | None:
    x, y = series(run, "train", key, across)
    lines = {key: Line(x, y, FIRST, noisy=key == "norm")} if x else {}
    words = f"from {number(y[0])} to {number(y[-1])}, highest {number(max(y))}" if y else ""
    return named_curves(key, title, lines, across, words=words)


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
