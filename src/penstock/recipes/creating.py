"""A model that has learned to make pictures. N made, C channels, H W height width, Z numbers of a code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from penstock.core.draws import keys_of
from penstock.core.errors import DataError, RecipeError, suggest
from penstock.core.random import derive
from penstock.data.features import Classes
from penstock.data.pixels import PixelScaling
from penstock.kinds.image import ImageKind
from penstock.nn.truncate import truncated
from penstock.objectives.generating import Generating
from penstock.recipes.examiner import CoarseExaminer, Examiner
from penstock.recipes.making import MadePictures, Maker
from penstock.recipes.trained import Trained, configuration, load_weights

AT_ONCE = 64
MOST_COLUMNS = 12
"""Classes that stand side by side on a sheet."""
MakeObjective = Callable[[tuple[int, int, int], int, int], Generating]
"""From the shape of pictures (C, H, W), the number of classes and of training examples."""


class Creating(Trained, Maker):
    """Makes pictures; of the `classes` that it was told of, if of any. `examples` are those that it learned from."""

    objective: Generating

    def __init__(
        self, objective: Generating, kind: ImageKind, classes: Classes | None, model: str, *, examples: int
    ) -> None:
        super().__init__(objective, model)
        self.kind, self.classes, self.examples = kind, classes, examples
        self.examiner: Examiner = CoarseExaminer()
        self.examine_by(self.examiner)

    def examine_by(self, examiner: Examiner) -> None:
        """Measure samples in its features."""
        self.examiner = examiner
        self.objective.examine_with(examiner)

    @property
    def network(self) -> nn.Module:
        """All of the roles."""
        return self.objective

    def config(self) -> dict[str, Any]:
        """The shape of pictures, the classes, and how many examples there were."""
        known = None if self.classes is None else self.classes.to_json()
        return {"kind": self.kind.to_json(), "classes": known, "examples": self.examples}

    @classmethod
    def load(cls, folder: Path, make: MakeObjective) -> Creating:
        """Read a model's folder back; see `Answering.load`."""
        with configuration(folder) as config:
            kind, examples = ImageKind.from_json(config["kind"]), int(config["examples"])
            classes = None if config["classes"] is None else Classes.from_json(config["classes"])
            objective = make(kind.shape, len(classes.names) if classes else 0, examples)
            made = cls(objective.eval(), kind, classes, str(config["model"]), examples=examples)
        load_weights(folder, objective)
        return made

    def predict(self, given: Sequence[object], *, batch_size: int = 256) -> list[dict[str, Any]]:
        """Refused: it makes."""
        raise RecipeError("predict", "this model has no answers, it makes pictures", "use: penstock sample RUN")

    def sample(
        self, count: int, *, seed: int = 0, label: str | None = None, truncation: float | None = None
    ) -> MadePictures:
        """So many pictures. Of all classes in turn, side by side, where it was told of classes and none is asked for.

        Raises RecipeError for a class that it was not told of, and for `truncation` where codes are not normal.
        """
        if truncation is not None and not self.objective.normal:
            raise RecipeError("truncation", f"{self.model} draws no normal codes", "leave it out")
        labels = self.labels(count, label)
        wide = len(self.classes.names) if self.classes is not None and label is None else 0
        columns = wide if 1 < wide <= MOST_COLUMNS else None
        return MadePictures(pixels_of(self.made(count, seed=seed, labels=labels, truncation=truncation)), columns)

    def between(self, first: object, second: object, steps: int) -> MadePictures:
        """From what one seed makes to what another does; in a row for each class that it was told of.

        The codes lie on the arc between the two, where their length is as usual.
        """
        ends = torch.cat([keys_of(derive(_seed(seed), "samples"), torch.arange(1)) for seed in (first, second)])
        start, end = self.objective.draw(ends.to(self.device))
        share = torch.linspace(0, 1, steps, device=self.device).view(-1, *[1] * start.ndim)
        codes = torch.lerp(start, end, share)
        length = torch.lerp(start.norm(), end.norm(), share)
        codes = codes * length / codes.flatten(1).norm(dim=1).clamp(min=1e-12).view_as(share)
        classes = range(len(self.classes.names)) if self.classes is not None else (None,)
        labels = (None if k is None else torch.full((steps,), k) for k in classes)
        rows = [self._in_parts(self.objective.make, codes, label) for label in labels]
        return MadePictures(pixels_of(torch.cat(rows)), steps)

    def made(
        self, count: int, *, seed: int = 0, labels: Tensor | None = None, truncation: float | None = None
    ) -> Tensor:
        """Pictures (N, C, H, W) in [-1, 1], on the processor; of classes (N,) int64."""
        keys = keys_of(derive(seed, "samples"), torch.arange(count)).to(self.device)
        if truncation is not None:
            return self._in_parts(self.objective.make, truncated(self.objective.draw(keys), truncation), labels)
        return self._in_parts(self.objective.sample, keys, labels)

    def labels(self, count: int, label: str | None = None) -> Tensor | None:
        """The classes (N,) of so many pictures: all of one, or all in turn. None where it knows of none."""
        if self.classes is None:
            if label is not None:
                raise RecipeError("label", "this model was told of no classes", "train with --conditional to have them")
            return None
        names = self.classes.names
        if label is None:
            return torch.arange(count) % len(names)
        if label not in names:
            raise RecipeError("label", f"it knows no {label!r}", suggest(label, names))
        return torch.full((count,), names.index(label))

    def _in_parts(self, make: Callable[[Tensor, Tensor | None], Tensor], of: Tensor, labels: Tensor | None) -> Tensor:
        """What is made of keys or codes (N, ...), and classes (N,), a few at a time."""
        known = repeat(None) if labels is None else torch.split(labels.to(self.device), AT_ONCE)
        self.objective.eval()
        with torch.no_grad():
            return torch.cat([make(part, label).cpu() for part, label in zip(torch.split(of, AT_ONCE), known)]).float()


def symmetric(kind: ImageKind) -> ImageKind:
    """The same way in, but for pixels from -1 to 1."""
    middle = [127.5] * kind.shape[0]
    return ImageKind(kind.shape, PixelScaling(middle, middle), kind.augment)


def pixels_of(pictures: Tensor) -> np.ndarray:
    """Pictures (N, C, H, W) in [-1, 1] as uint8."""
    return (pictures.clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8).numpy()


def _seed(given: object) -> int:
    """Raises DataError for what is no seed."""
    try:
        return int(str(given))
    except ValueError:
        raise DataError("interpolate", f"{given!r} is no seed", "give two whole numbers, such as 1 and 2") from None
