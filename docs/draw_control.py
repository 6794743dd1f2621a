"""Draws docs/pictures/control.png from runs: the return against the frames, what the values explain, the entropy.

python docs/draw_control.py runs/control/cartpole-ppo-mlp runs/control/pendulum-sac-mlp
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from penstock.run.report.acting import frames_and
from penstock.run.report.records import read_run

FIRST, SECOND = "#0068a8", "#c75300"
PICTURE = Path(__file__).with_name("pictures") / "control.png"


def draw(folders: Sequence[str], path: Path = PICTURE) -> None:
    """One row of plots; the first two of the folders."""
    figure = Figure(figsize=(9.0, 2.6), layout="constrained")
    axes = figure.subplots(1, 3)
    for folder, colour, place in zip(folders, (FIRST, SECOND), axes[:2], strict=False):
        run = read_run(Path(folder))
        place.plot(*frames_and(run, "validation", "return"), color=colour)
        assert run.evaluation is not None
        assert run.evaluation.baseline is not None
        level = run.evaluation.baseline.metrics["return"]
        assert level is not None
        place.axhline(level, color="grey", linewidth=1, dashes=(4, 3))
        place.set_title(f"return, {run.recipe['env']} by {run.recipe['algorithm']}", fontsize=9)
    first = read_run(Path(folders[0]))
    axes[2].plot(*frames_and(first, "train", "explained"), color=FIRST, label="explained variance")
    axes[2].plot(*frames_and(first, "train", "entropy"), color=SECOND, label="entropy")
    axes[2].set_title(f"as it learns, {first.recipe['env']}", fontsize=9)
    axes[2].set_ylim(bottom=0)
    axes[2].legend(fontsize=7, frameon=False)
    for place in axes:
        place.set_xlabel("frames", fontsize=8)
        place.tick_params(labelsize=7)
        place.locator_params(axis="x", nbins=5)
        place.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    draw(sys.argv[1:])
