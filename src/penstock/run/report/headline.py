"""The top of the page: what was trained, how good it is, and what that number means."""

from __future__ import annotations

import math

from penstock.metrics.names import higher_is_better
from penstock.recipes.recipe import recipe_type
from penstock.run.report.markup import (
    Html,
    Section,
    count,
    duration,
    element,
    escape,
    join,
    metric_name,
    metric_value,
    number,
    percent,
)
from penstock.run.report.records import EvaluationRecord, RunRecord


def header(run: RunRecord) -> Html:
    """The title, and one line about where and when."""
    summary, data = run.summary, run.data
    words = [recipe_type(run.task).activity.capitalize()]
    if data is not None and data.name:
        words.append(f"on {data.name}")
    if summary is not None and summary.model:
        words.append(f"with {summary.model}")
    line = [escape(" ".join(words))]
    if summary is not None and summary.date:
        line.append(escape(summary.date))
    if summary is not None and summary.status:
        line.append(element("span", summary.status, class_="badge"))
    return element("header", element("h1", run.name), element("p", join(line, " · ")))


def result(run: RunRecord) -> Section | None:
    """The number of the test with its baseline beside it, a sentence about it, and the run in a few facts."""
    parts = []
    if run.evaluation is not None:
        parts.append(_score(run, run.evaluation))
    elif run.summary is not None and run.summary.best is not None and run.summary.best.value is not None:
        best = run.summary.best
        card = _card(f"best validation {metric_name(best.metric)}", metric_value(best.metric, best.value), "main")
        parts.append(element("div", card, class_="cards"))
        parts.append(element("p", "The test split has not been read yet.", class_="meaning"))
    tiles = _tiles(run)
    if tiles:
        parts.append(element("dl", *(element("div", element("dt", k), element("dd", v)) for k, v in tiles)))
    if run.summary is not None and run.summary.stopped:
        parts.append(element("p", f"Why training ended: {run.summary.stopped}", class_="note"))
    return Section("result", "Result", join(parts)) if parts else None


def main_metric(run: RunRecord, evaluation: EvaluationRecord) -> str | None:
    """The metric that the headline shows: the first usual one of the task that was measured."""
    return next((key for key in recipe_type(run.task).headline if evaluation.metrics.get(key) is not None), None)


def _score(run: RunRecord, evaluation: EvaluationRecord) -> Html:
    key = main_metric(run, evaluation)
    if key is None:
        return escape("")
    baseline = evaluation.baseline
    cards = [_card(f"{evaluation.split} {metric_name(key)}", metric_value(key, evaluation.metrics[key]), "main")]
    if baseline is not None and baseline.metrics.get(key) is not None:
        cards.append(_card(f"trivial baseline: {baseline.name}", metric_value(key, baseline.metrics[key]), "base"))
    shown = {key, "error"} if key == "accuracy" else {key}  # the error is one minus the accuracy
    others = [name for name, value in evaluation.metrics.items() if name not in shown and value is not None]
    cards += [_card(metric_name(name), metric_value(name, evaluation.metrics[name]), "other") for name in others]
    says = {"accuracy": _classified, "rmse": _regressed}.get(key, _compared)
    sentences = (_compared if evaluation.reconstruction is not None else says)(run, evaluation)
    meaning = [element("p", " ".join(sentences), class_="meaning")] if sentences else []
    return join([element("div", *cards, class_="cards"), *meaning])


def _classified(run: RunRecord, evaluation: EvaluationRecord) -> list[str]:
    accuracy, total = evaluation.metrics.get("accuracy"), evaluation.examples
    if accuracy is None or not total:
        return []
    right = round(accuracy * total)
    said = [f"{right:,} of {total:,} {evaluation.split} {run.noun} are classified correctly."]
    base = evaluation.baseline.metrics.get("accuracy") if evaluation.baseline else None
    if evaluation.baseline is not None and base is not None:
        trivial = f"the trivial baseline ({evaluation.baseline.name})"
        if accuracy <= base:
            said.append(f"That is no better than {trivial}: the model has not learned anything of use.")
        elif base < 1:
            said.append(f"The model avoids {percent((accuracy - base) / (1 - base))} of the mistakes of {trivial}.")
    low, high = wilson(right, total)
    said.append(
        f"With so many {evaluation.split} {run.noun}, the accuracy on new ones of the same origin "
        f"is likely between {percent(low)} and {percent(high)} (95% Wilson interval)."
    )
    return said


def _regressed(run: RunRecord, evaluation: EvaluationRecord) -> list[str]:
    rmse, r2 = evaluation.metrics.get("rmse"), evaluation.metrics.get("r2")
    said = []
    if rmse is not None:
        target = f" of “{run.data.target.name}”" if run.data is not None and run.data.target is not None else ""
        total = f"{evaluation.examples:,} " if evaluation.examples else ""
        said.append(
            f"On {total}{evaluation.split} {run.noun} the prediction{target} is off by {number(rmse)} "
            "(root mean square, in the target's own unit)."
        )
        base = evaluation.baseline.metrics.get("rmse") if evaluation.baseline else None
        if evaluation.baseline is not None and base:
            trivial = f"the trivial baseline ({evaluation.baseline.name})"
            if rmse >= base:
                said.append(f"That is no better than {trivial}: the model has not learned anything of use.")
            else:
                said.append(f"That is {percent(1 - rmse / base)} less than {trivial}.")
    if r2 is not None and r2 > 0:
        said.append(f"The model explains {percent(r2)} of the target's variance (R²).")
    return said


def _compared(run: RunRecord, evaluation: EvaluationRecord) -> list[str]:
    key = main_metric(run, evaluation)
    baseline = evaluation.baseline
    value, base = (evaluation.metrics[key], baseline.metrics.get(key)) if key and baseline else (None, None)
    if key is None or baseline is None or value is None or base is None:
        return []
    better = value > base if higher_is_better(key) else value < base
    trivial = f"the trivial baseline ({baseline.name})"
    said = [f"The {metric_name(key)} of {trivial} is {metric_value(key, base)}."]
    return said if better else [*said, "The model is no better: it has not learned anything of use."]


def wilson(right: int, total: int) -> tuple[float, float]:
    """The 95% interval of a share (E. B. Wilson, 1927, Journal of the American Statistical Association 22)."""
    z = 1.959964
    share = right / total
    scale = 1 + z * z / total
    middle = (share + z * z / (2 * total)) / scale
    reach = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / scale
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _card(title: str, value: str, kind: str) -> Html:
    return element("div", element("span", title), element("b", value), class_=f"card {kind}")


def _tiles(run: RunRecord) -> list[tuple[str, str]]:
    tiles = []
    summary = run.summary
    if run.data is not None and run.data.examples is not None:
        splits = " / ".join(count(size) for size in run.data.splits.values())
        names = " / ".join(run.data.splits)
        tiles.append(("Data", f"{count(run.data.examples)} {run.noun}" + (f"; {names}: {splits}" if splits else "")))
    if summary is None:
        return tiles
    if summary.parameters is not None:
        tiles.append(("Model", ", ".join(filter(None, [summary.model, f"{count(summary.parameters)} parameters"]))))
    if summary.steps is not None:
        epochs = f", {number(summary.epochs)} epochs" if summary.epochs is not None else ""
        tiles.append(("Training", f"{count(summary.steps)} steps{epochs}"))
    if summary.seconds is not None:
        rate = summary.examples_per_second
        tiles.append(("Time", duration(summary.seconds) + (f", {number(rate, 3)} examples/s" if rate else "")))
    if summary.best is not None and summary.best.value is not None:
        place = f" at epoch {number(summary.best.epoch, 3)}" if summary.best.epoch is not None else ""
        best = f"{metric_name(summary.best.metric)} {metric_value(summary.best.metric, summary.best.value)}{place}"
        tiles.append(("Best on validation", best))
    device = [summary.device, summary.precision, f"{summary.threads} threads" if summary.threads else None]
    if any(device):
        tiles.append(("Computed on", ", ".join(filter(None, device))))
    return tiles
