"""Draws how much each token of a text surprised a language model, as the report of its run has it.

python docs/draw_surprise.py runs/language/shakespeare docs/pictures/language.png
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from PIL import Image

ROWS, WIDE, MOST_BITS = 11, 56, 8.0


def draw(tokens: list[dict[str, object]]) -> Figure:
    """The first lines, each character on the darker a ground the less its token was expected."""
    figure = Figure(figsize=(7.6, 2.9), dpi=100)
    axes = figure.add_axes((0.01, 0, 0.98, 1))
    axes.set(xlim=(0, WIDE), ylim=(ROWS, 0))
    axes.set_axis_off()
    row = column = 0
    while tokens and not str(tokens[0]["text"]).strip():
        tokens = tokens[1:]
    for token in tokens:
        share = min(float(str(token["bits"])) / MOST_BITS, 1.0)
        for letter in str(token["text"]):
            if letter == "\n" or column == WIDE:
                row, column = row + 1, 0
            if letter != "\n":
                axes.fill_between([column, column + 1], row, row + 1, color=to_rgba("#c75300", 0.8 * share), lw=0)
                axes.text(column + 0.5, row + 0.55, letter, ha="center", va="center", family="monospace", fontsize=10)
                column += 1
    return figure


def main() -> None:
    """The run's folder, and where to put the picture."""
    folder, place = map(Path, sys.argv[1:])
    figure = draw(json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))["surprise"])
    figure.savefig(place)
    Image.open(place).convert("P", palette=Image.Palette.ADAPTIVE, colors=32).save(place, optimize=True)


if __name__ == "__main__":
    main()
