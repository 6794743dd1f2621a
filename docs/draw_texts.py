"""Draws what was predicted of texts or of sentences into a picture.

penstock predict runs/classify/python-topics-bag TEXT... --format json --output texts.json
penstock predict runs/tag/python-roles-gru SENTENCE... --format json --output tags.json
python docs/draw_texts.py texts.json docs/pictures/text.png
python docs/draw_texts.py tags.json docs/pictures/tag.png
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

COLOURS = {"O": "#59636e"}
SEVERAL = ("#0068a8", "#c75300", "#00795c", "#8a3ffc", "#a11950", "#6b5900")


def draw_classes(said: list[dict[str, Any]]) -> Figure:
    """How likely each class is, for each text."""
    figure = Figure(figsize=(7.5, 2.1 * len(said)), layout="constrained", dpi=100)
    for axes, one in zip(figure.subplots(len(said), squeeze=False)[:, 0], said, strict=True):
        shares = dict(sorted(one["probabilities"].items(), key=lambda item: item[1]))
        axes.barh(list(shares), list(shares.values()), color=SEVERAL[0])
        axes.set_xlim(0, 1)
        axes.set_title(f"“{one['input']}”", fontsize=10, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_tags(said: list[dict[str, Any]]) -> Figure:
    """The words of each sentence in a row, each over its tag."""
    names = list(dict.fromkeys(tag for one in said for tag in one["tags"] if tag != "O"))
    colours = COLOURS | {name: SEVERAL[at % len(SEVERAL)] for at, name in enumerate(names)}
    figure = Figure(figsize=(9.5, 0.75 * len(said)), dpi=100)
    axes = figure.add_axes((0.01, 0, 0.98, 1))
    letters = max(sum(max(map(len, pair)) + 1 for pair in _pairs(one)) for one in said)
    axes.set(xlim=(0, letters), ylim=(len(said), 0))
    axes.set_axis_off()
    for row, one in enumerate(said):
        at = 0.0
        for word, tag in _pairs(one):
            wide = max(len(word), len(tag))
            axes.text(at + wide / 2, row + 0.35, word, ha="center", family="monospace", fontsize=11)
            if tag:
                axes.text(
                    at + wide / 2, row + 0.7, tag, ha="center", family="monospace", fontsize=8, color=colours[tag]
                )
            at += wide + 1
    return figure


def _pairs(one: dict[str, Any]) -> list[tuple[str, str]]:
    return [(word, "" if tag == "O" else tag) for word, tag in zip(one["input"].split(), one["tags"], strict=True)]


if __name__ == "__main__":
    found = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    drawn = io.BytesIO()
    (draw_tags if "tags" in found[0] else draw_classes)(found).savefig(drawn, format="png")
    Image.open(drawn).convert("RGB").quantize(32).save(sys.argv[2], optimize=True)  # so few colours keep it small
