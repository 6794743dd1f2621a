"""How far back a network over sequences remembers."""

from __future__ import annotations

from penstock.run.report.markup import Section, element, figure, join, number
from penstock.run.report.plots import Line, curves
from penstock.run.report.records import RunRecord
from penstock.run.report.svg import FIRST

LEAST = 1e-12


def memory(run: RunRecord) -> Section | None:
    """The size of the gradient of the last step with respect to the input of each step before it."""
    found = run.evaluation.memory if run.evaluation is not None else None
    if found is None:
        return None
    points = [(at, norm) for at, norm in enumerate(found.norms) if norm is not None and norm > LEAST]
    if len(points) < 3:
        return None
    x, y = [float(at) for at, _ in points], [norm for _, norm in points]
    label = f"Gradient norm over steps back: {number(y[0])} at the last step, {number(y[-1])} at {number(x[-1])} back."
    svg = curves("memory", label, [Line(x, y, FIRST)], "steps back")
    far = "to the beginning" if found.horizon >= found.steps - 1 else f"{found.horizon:,} steps back"
    said = (
        f"What the network has found by the last step of a sequence depends on inputs {far}: there the gradient is "
        f"still a hundredth of its largest. What lies further back cannot be learned from. Where the curve falls like "
        f"a line on the logarithmic axis, gradients vanish; an LSTM or a GRU keeps them up, for its gates can let a "
        f"memory pass unchanged."
    )
    body = join(
        [element("p", said, class_="note"), element("div", figure("Gradient by distance", svg), class_="figures")]
    )
    return Section("memory", "How far back it looks", body)
