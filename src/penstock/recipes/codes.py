"""The codes of examples: written as numbers, and drawn as a map. N examples, Z numbers of a code."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.font_manager import get_font_names
from numpy.typing import NDArray

from penstock.core.csv_text import csv_text
from penstock.core.files import write_bytes, write_text
from penstock.recipes.judged_reconstructions import plane
from penstock.recipes.palette import COLOURS, SHAPES
from penstock.recipes.supervised import held_out, labelled

if TYPE_CHECKING:
    from penstock.recipes.reconstruct import Reconstruct
    from penstock.recipes.reconstructing import Reconstructing

FONTS = ["DejaVu Sans", "Noto Sans CJK SC", "Microsoft YaHei", "PingFang SC", "WenQuanYi Zen Hei", "Arial Unicode MS"]
"""Looked through for letters that the ones before lack."""


@final
@dataclass(frozen=True)
class Codes:
    """One row of `array` (N, Z) for each of `names`, and of `labels`, None where there are none."""

    names: Sequence[str]
    array: NDArray[np.float32]
    labels: Sequence[str | None] | None = None

    def write(self, path: Path) -> None:
        """A csv with the name and the class of each, or the bare numbers as npy. Raises ResourceError."""
        if path.suffix.lower() == ".npy":
            file = io.BytesIO()
            np.save(file, self.array, allow_pickle=False)
            write_bytes(path, file.getvalue())
            return
        known = self.labels is not None
        header = ["input", *(["class"] if known else []), *(f"z{at + 1}" for at in range(self.array.shape[1]))]
        labels = [[label] for label in self.labels] if self.labels is not None else [[]] * len(self.names)
        rows = ([name, *label, *map(_short, row.tolist())] for name, label, row in zip(self.names, labels, self.array))
        write_text(path, csv_text(header, rows))

    def draw(self, path: Path) -> str | None:
        """A picture of the codes in a plane, and how it came about; nothing where there is no plane."""
        if self.array.shape[1] < 2 or len(self.array) < 3:
            return None
        points, how = plane(torch.from_numpy(self.array))
        write_bytes(path, _picture(points.numpy(), self.labels, how))
        return how


def _short(value: float) -> float:
    return float(f"{value:.7g}")


def _picture(points: NDArray[np.float64], labels: Sequence[str | None] | None, how: str) -> bytes:
    """A scatter plot as png, with a colour for each class."""
    names = list(dict.fromkeys(label for label in labels or () if label is not None))
    names = sorted(names, key=lambda name: (len(name), name)) if all(name.isdigit() for name in names) else names
    fonts = [font for font in FONTS if font in get_font_names()]
    with matplotlib.rc_context({"font.family": fonts, "text.usetex": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(7.2, 5.4), layout="constrained")
        axes = figure.subplots()
        size = 14 if len(points) <= 1000 else 5
        if not 1 < len(names) <= len(COLOURS) * len(SHAPES):
            axes.scatter(points[:, 0], points[:, 1], s=size, c=COLOURS[0], alpha=0.7, linewidths=0)
        else:
            known = np.array([names.index(label) if label is not None else -1 for label in labels or ()])
            for at in range(len(names)):
                here = points[known == at]
                colour, shape = COLOURS[at % len(COLOURS)], SHAPES[at // len(COLOURS)]
                axes.scatter(
                    here[:, 0], here[:, 1], s=size, c=colour, marker=shape, alpha=0.75, linewidths=0, label=" "
                )
            handles, _ = axes.get_legend_handles_labels()
            legend = figure.legend(handles, [" "] * len(names), loc="outside right upper", frameon=False, markerscale=2)
            for text, name in zip(legend.get_texts(), names, strict=True):
                text.set_parse_math(False)
                text.set_text(name[:40])
        axes.set_xlabel(how, parse_math=False)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=110, metadata={"Software": None})
    return file.getvalue()


def codes_of(recipe: Reconstruct, trained: Reconstructing, supplied: object, given: Sequence[object] | None) -> Codes:
    """The codes of raw inputs, or of all the recipe's own data, with their classes.

    Raises DataError for what cannot be read.
    """
    if given is not None:
        names, codes = trained.encode(given)
        return Codes(names, codes.numpy())
    with contextlib.closing(recipe.read_material(supplied)) as material:
        rows = np.arange(len(material.labels))
        codes = trained.codes(held_out(trained, labelled(trained, material), rows))
    classes = trained.answer.encode(material.labels).tolist()
    places = [str(place) for place in material.labels.index]
    known = [trained.answer.names[at] if at >= 0 else None for at in classes] if trained.answer.names else None
    return Codes(places, codes.numpy(), known)
