"""Draws what a run of `transcribe` heard and wrote, as its report shows it, into one picture.

python docs/draw_transcripts.py runs/transcribe/morse-speech docs/pictures/transcribe.png
"""

from __future__ import annotations

import base64
import io
import json
import sys
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

SHOWN = 3


def draw(run: Path, target: Path) -> None:
    """The sounds that were written down without a mistake, or those with the fewest."""
    heard = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))["mistakes"][-SHOWN:]
    figure = Figure(figsize=(7.5, 1.5 * len(heard)), layout="constrained", dpi=100)
    for axes, item in zip(figure.subplots(len(heard), squeeze=False)[:, 0], heard, strict=True):
        picture = Image.open(io.BytesIO(base64.b64decode(item["picture"].partition(",")[2])))
        axes.imshow(picture, cmap="gray", aspect="auto", extent=(0, 1, 0, 1))
        for piece in item["alignment"]:
            middle = (piece["begin"] + piece["end"]) / 2
            axes.text(middle, 1.05, piece["text"].replace(" ", "␣"), ha="center", family="monospace", weight="bold")
        axes.set_axis_off()
        axes.set_title(" ", fontsize=9)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    Image.open(drawn).convert("L").quantize(16).save(target, optimize=True)  # so few greys keep it small


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
