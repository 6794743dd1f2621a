"""Draws what the reports of a variational and of a plain autoencoder have to show into a picture.

penstock train reconstruct --method variational --model dense --code 8 --without class=1 --steps 1200 --name digits-vae
penstock train reconstruct --model dense --without class=1 --steps 1200 --name digits-plain
python docs/draw_reconstruct.py runs/reconstruct/digits-vae runs/reconstruct/digits-plain docs/pictures/reconstruct.png
"""

from __future__ import annotations

import base64
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from penstock.recipes.codes import COLOURS


def picture(uri: str) -> np.ndarray:
    """The pixels of a data URI, grey."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("L"))


def draw(found: dict[str, Any], plain: dict[str, Any]) -> Figure:
    """Originals over reconstructions, samples, the map; and the errors of the `plain` one."""
    figure = Figure(figsize=(11, 3.1), layout="constrained", dpi=100)
    pairs, samples, places, errors = figure.subplots(1, 4)
    rows = [np.hstack([picture(pair[side]) for pair in found["pairs"][:6]]) for side in ("before", "after")]
    more = [np.hstack([picture(pair[side]) for pair in found["pairs"][6:12]]) for side in ("before", "after")]
    gap = np.full((2, rows[0].shape[1]), 255, dtype=np.uint8)
    pairs.imshow(np.vstack([*rows, gap, *more]), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    pairs.set_title("originals over reconstructions", fontsize=9)
    samples.imshow(picture(found["samples"]), cmap="gray", vmin=0, vmax=255)
    samples.set_title("samples", fontsize=9)
    points, classes = np.array(found["map"]["points"]), np.array(found["map"]["classes"])
    for at, name in enumerate(found["map"]["names"]):
        here = points[classes == at]
        if len(here):
            places.plot(here[:, 0], here[:, 1], "o", ms=2.5, mew=0, color=COLOURS[at % len(COLOURS)], label=name)
    places.set_title("map of the codes", fontsize=9)
    places.legend(fontsize=6, markerscale=1.5, frameon=False, handletextpad=0, borderpad=0)
    for part, colour, label in (("counts", "#0068a8", "test"), ("apart", "#c75300", "left out")):
        if part in plain["errors"]:
            counts = np.array(plain["errors"][part])
            shares = counts / counts.sum()
            errors.stairs(shares, plain["errors"]["edges"], fill=True, color=colour, alpha=0.6, label=label)
    errors.axvline(plain["errors"]["threshold"], color="black", lw=1, dashes=(4, 3))
    errors.set_title("errors and the threshold", fontsize=9)
    errors.legend(fontsize=7, frameon=False)
    for axes in (pairs, samples):
        axes.set_axis_off()
    for axes in (places, errors):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=7)
    return figure


if __name__ == "__main__":
    said = [json.loads((Path(run) / "evaluation.json").read_text(encoding="utf-8")) for run in sys.argv[1:3]]
    drawn = io.BytesIO()
    draw(*(one["reconstruction"] for one in said)).savefig(drawn, format="png")
    Image.open(drawn).convert("RGB").quantize(64).save(sys.argv[3], optimize=True)  # so few colours keep it small
