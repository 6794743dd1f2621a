"""Draws docs/pictures/games.png from runs: points against opponents, and what is held of the first moves.

python docs/draw_games.py runs/selfplay/tic-tac-toe-cnn runs/selfplay/connect-four-cnn
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from penstock.run.report.acting import frames_and
from penstock.run.report.findings import Opened
from penstock.run.report.records import RunRecord, read_run

COLOURS = {"random": "#7a8691", "one_ply": "#c75300", "search": "#0068a8", "perfect": "#00795c"}
PICTURE = Path(__file__).with_name("pictures") / "games.png"


def draw(folders: Sequence[str], path: Path = PICTURE) -> None:
    """A row for each run: its points while it learned, the empty board, and the board after the best move."""
    figure = Figure(figsize=(9.0, 2.7 * len(folders)), layout="constrained")
    axes = figure.subplots(len(folders), 3, squeeze=False, width_ratios=(1.5, 1, 1))
    for row, folder in zip(axes, folders, strict=True):
        run = read_run(Path(folder))
        assert run.evaluation is not None
        assert run.evaluation.board is not None
        _points(row[0], run)
        for place, one, words in zip(row[1:], run.evaluation.board.opening, ("at the beginning", "after that move")):
            _board(place, one)
            place.set_title(f"visits {words}, value {one.value:+.2f}", fontsize=8)
    figure.savefig(path, dpi=110)


def _points(place: Axes, run: RunRecord) -> None:
    assert run.evaluation is not None
    assert run.evaluation.board is not None
    for name in run.evaluation.board.opponents:
        x, wins = frames_and(run, "validation", f"wins_{name}")
        _, draws = frames_and(run, "validation", f"draws_{name}")
        points = [100 * (won + drawn / 2) for won, drawn in zip(wins, draws, strict=True)]
        place.plot(x, points, color=COLOURS[name], label=name.replace("_", "-"))
    place.set_title(f"points of 100 against each, {run.recipe['data']}", fontsize=8)
    place.set_xlabel("positions", fontsize=8)
    place.tick_params(labelsize=7)
    place.locator_params(axis="x", nbins=5)
    place.spines[["top", "right"]].set_visible(False)
    place.legend(fontsize=7, frameon=False)


def _board(place: Axes, one: Opened) -> None:
    board, visits = np.array(one.board), np.array(one.visits)
    falling = len(visits) == board.shape[1]
    shares = np.tile(visits, (len(board), 1)) if falling else visits[: board.size].reshape(board.shape)
    place.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1.15)
    for (row, column), stone in np.ndenumerate(board):
        if stone:
            fill = "black" if stone > 0 else "white"
            place.scatter(column, row, s=90, c=fill, edgecolors="black", linewidths=0.8)
        elif not falling and shares[row, column] >= 0.01:
            place.text(column, row, f"{100 * shares[row, column]:.0f}", ha="center", va="center", fontsize=7)
    if falling:
        place.set_xticks(range(len(visits)), [f"{100 * share:.0f}" for share in visits], fontsize=7)
    else:
        place.set_xticks([])
    place.set_yticks([])


if __name__ == "__main__":
    draw(sys.argv[1:])
