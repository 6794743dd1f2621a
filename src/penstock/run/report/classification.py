"""What a classifier confuses, class by class, and whether its confidence can be believed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from penstock.run.report.findings import Classification
from penstock.run.report.markup import (
    Column,
    Html,
    Section,
    bar,
    count,
    element,
    figure,
    join,
    number,
    percent,
    scroll_box,
    table,
)
from penstock.run.report.plots import reliability as reliability_plot
from penstock.run.report.records import RunRecord

SHOWN = 30  # classes that a confusion matrix can show and still be read
PAIRS = 10

Counts = NDArray[np.int64]


def confusion(run: RunRecord) -> Section | None:
    """The confusion matrix and the pairs of classes that are confused most."""
    found = _classification(run)
    if found is None or not found.confusion:
        return None
    counts = np.array(found.confusion, dtype=np.int64)
    kept = most_confused_classes(counts)
    note = (
        f"The {SHOWN} classes with the most errors, of {len(found.classes)}; shares are of all examples of a class."
        if len(kept) < len(found.classes)
        else "A row is a true class, a column a predicted one. The colour is the share of the row."
    )
    parts = [element("p", note, class_="note"), _matrix(found.classes, counts, kept)]
    pairs = most_confused_pairs(counts)
    if pairs:
        columns = [
            Column("True class"),
            Column("Predicted as"),
            Column("Times", True),
            Column("Share", True),
        ]
        rows = [
            [found.classes[truth], found.classes[predicted], count(times), percent(times / int(counts[truth].sum()))]
            for truth, predicted, times in pairs
        ]
        parts += [element("h3", "Most confused pairs"), table("Most confused pairs", columns, rows)]
    else:
        parts.append(element("p", "No example was confused.", class_="note"))
    return Section("confusion", "Confusion", join(parts))


def classes(run: RunRecord) -> Section | None:
    """Precision, recall, F1 and support of every class; the weakest first where there are many."""
    found = _classification(run)
    if found is None or not found.per_class:
        return None
    items = list(found.per_class)
    many = len(items) > SHOWN
    if many:
        items.sort(key=lambda item: item.f1 if item.f1 is not None else -1.0)
    columns = [Column("Class"), *(Column(name, True) for name in ("Precision", "Recall", "F1", "Support"))]
    rows = [
        [
            item.name,
            bar(item.precision, _score(item.precision)),
            bar(item.recall, _score(item.recall)),
            bar(item.f1, _score(item.f1)),
            count(item.support),
        ]
        for item in items
    ]
    note = (
        "Precision: of those predicted as this class, the share that is. Recall: of those that are, the share found. "
        "F1 is their harmonic mean; support is the number of examples." + (" Weakest classes first." if many else "")
    )
    return Section("classes", "Classes", join([element("p", note, class_="note"), table("Classes", columns, rows)]))


def reliability(run: RunRecord) -> Section | None:
    """The reliability diagram and the expected calibration error."""
    found = _classification(run)
    record = found.reliability if found is not None else None
    filled = [item for item in record.bins if item.count and item.confidence is not None] if record else []
    if record is None or not filled:
        return None
    bins = np.array([(item.confidence, item.accuracy, item.count) for item in filled], dtype=float)
    gap = float(((bins[:, 0] - bins[:, 1]) * bins[:, 2]).sum() / bins[:, 2].sum())
    lean = "on the whole the model is neither too sure nor too unsure" if abs(gap) < 0.01 else _side(gap)
    note = (
        f"Expected calibration error {number(record.error, 3)}: confidence and the share that is right differ by "
        f"{percent(record.error)} on average; {lean}. "
        "On the dashed line, of the predictions made with 80% confidence, 80% are right."
    )
    label = f"Reliability diagram, {len(filled)} bins; expected calibration error {number(record.error, 3)}."
    body = join(
        [element("p", note, class_="note"), figure("Accuracy by confidence", reliability_plot("ece", label, bins))]
    )
    return Section("reliability", "Reliability", body)


def most_confused_classes(counts: Counts, limit: int = SHOWN) -> list[int]:
    """The classes with the most errors, missed or wrongly predicted, in their usual order; all where there are few."""
    if len(counts) <= limit:
        return list(range(len(counts)))
    wrong = counts.sum(0) + counts.sum(1) - 2 * counts.diagonal()
    return sorted(int(place) for place in np.argsort(-wrong, kind="stable")[:limit])


def most_confused_pairs(counts: Counts, limit: int = PAIRS) -> list[tuple[int, int, int]]:
    """(true class, predicted class, times), most frequent first."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:limit]
    pairs = [divmod(int(place), len(counts)) for place in order]
    return [
        (truth, predicted, int(wrong[truth, predicted])) for truth, predicted in pairs if wrong[truth, predicted] > 0
    ]


def _classification(run: RunRecord) -> Classification | None:
    return run.evaluation.classification if run.evaluation is not None else None


def _matrix(names: list[str], counts: Counts, kept: list[int]) -> Html:
    """A table rather than a picture: the names are the browser's to draw, and a screen reader can walk through it."""
    totals = np.maximum(counts.sum(1), 1)
    corner = element("td", "true ↓\npredicted →", class_="corner")
    head = element("tr", corner, *(element("th", element("span", names[predicted]), scope="col") for predicted in kept))
    rows = []
    for truth in kept:
        cells = [
            _cell(int(counts[truth, predicted]), counts[truth, predicted] / totals[truth], truth == predicted)
            for predicted in kept
        ]
        rows.append(element("tr", element("th", names[truth], scope="row"), *cells))
    size = "confusion dense" if len(kept) > 12 else "confusion"
    body = element("table", element("thead", head), element("tbody", *rows), class_=size)
    return scroll_box("Confusion matrix", body)


def _cell(times: int, share: float, right: bool) -> Html:
    if times == 0:
        return element("td", "0", class_="zero")
    kind = ("right" if right else "wrong") + (" full" if share > 0.85 else "")
    return element("td", count(times), class_=kind, style=f"--v:{share:.3f}", title=f"{percent(share)} of the row")


def _score(value: float | None) -> str:
    return f"{value:.3f}" if value is not None else number(None)


def _side(gap: float) -> str:
    return f"on the whole the model is too {'sure' if gap > 0 else 'unsure'}, by {percent(abs(gap))}"
