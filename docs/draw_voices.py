"""Draws a sound and what it becomes in other voices, as spectrograms: as it was recorded, and as each of them.

python docs/draw_voices.py runs/reconstruct/voices 3_theo_0.wav theo george jackson docs/pictures/voice.png
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import torch
from matplotlib.figure import Figure
from PIL import Image

import penstock
from penstock.data.audio import read_sound
from penstock.nn.log_spectrum import LogSpectrum

RATE = 8000


def draw(run: Path, sound: Path, own: str, others: list[str], target: Path) -> None:
    """`own` is who speaks in the sound."""
    trained = penstock.load(run)
    shown = {f"recorded: {own}": torch.from_numpy(read_sound(sound, RATE))}
    for name in (own, *others):
        made = trained.reconstruct([str(sound)], told=f"speaker={name}").array[0]
        shown[f"as {name}"] = torch.from_numpy(made)
    seen = LogSpectrum.usual(RATE)
    figure = Figure(figsize=(2.1 * len(shown), 2.2), layout="constrained", dpi=100)
    for axes, (title, wave) in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown.items(), strict=True):
        bands = seen(wave[None], torch.tensor([len(wave)]))[0]
        axes.imshow(bands.T, cmap="gray_r", aspect="auto", origin="lower", vmin=-10, vmax=2)
        axes.set_title(title, fontsize=9)
        axes.set_axis_off()
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    Image.open(drawn).convert("L").quantize(16).save(target, optimize=True)  # so few greys keep it small


if __name__ == "__main__":
    run, sound, own, *others, target = sys.argv[1:]
    draw(Path(run), Path(sound), own, others, Path(target))
