"""How a regressor's predictions lie about the truth."""

from __future__ import annotations

import numpy as np

from penstock.run.report.markup import Section, element, figure, number
from penstock.run.report.plots import fit as fit_plot
from penstock.run.report.plots import histogram
from penstock.run.report.records import RunRecord


def fit(run: RunRecord) -> Section | None:
    """Predicted against true, and the histogram of the residuals."""
    found = run.evaluation.regression if run.evaluation is not None else None
    if found is None:
        return None
    plots = []
    pairs = [point for point in found.points if None not in point]
    if pairs:
        points = np.array(pairs, dtype=float)
        target = run.data.target.name if run.data is not None and run.data.target is not None else "value"
        label = f"Predicted against true {target}, {len(points)} points; the dashed diagonal is a perfect prediction."
        note = "On the dashed diagonal a prediction is exact."
        plots.append(figure("Predicted against true", fit_plot("fit", label, points, target), note=note))
    residuals = found.residuals
    if residuals is not None and any(residuals.counts):
        middle = residuals.edges[int(np.argmax(residuals.counts)) :][:2]
        label = f"Histogram of residuals; most lie between {number(middle[0])} and {number(middle[1])}."
        svg = histogram("residuals", label, residuals.edges, residuals.counts, "residual")
        plots.append(figure("Residuals", svg, note="A good fit is narrow and centred on the dashed zero."))
    return Section("fit", "Predictions", element("div", *plots, class_="figures")) if plots else None
