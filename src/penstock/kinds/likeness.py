"""An answer that is the input again: how far off it may be, and what is known of the examples besides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, final

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from penstock.core.errors import CheckpointError
from penstock.data.features import Classes
from penstock.data.ragged import Stored
from penstock.kinds.answer import Answer, Series
from penstock.kinds.kind import Material
from penstock.kinds.told import TOLD, Told

MOST_CLASSES = 30
"""Different labels above which they are not taken for classes."""
UNKNOWN = -1
"""The target of an example whose class is not known."""


@final
@dataclass(frozen=True)
class LikenessAnswer(Answer):
    """Examples again. `names` are their classes, where they have some, which only the report uses; `told` is what the
    decoder knows besides the code.

    An error of reconstruction above `threshold` is unusual; it is None until a training has ended. `samples` are those
    of a usual sound.
    """

    word: ClassVar[str] = "likeness"
    names: tuple[str, ...] = ()
    threshold: float | None = None
    samples: int | None = None
    told: Told | None = None
    outputs: int = 0

    @classmethod
    def fit(cls, labels: Series[Any], rows: np.ndarray, samples: int | None) -> LikenessAnswer:
        """The classes of all rows, sorted as they come first; `rows` are those of training."""
        known = labels.dropna()
        names = known.astype(str).unique().tolist() if len(known) else []
        if len(names) > MOST_CLASSES or len(names) < 2:
            names = []
        return cls(
            tuple(sorted(names, key=lambda name: (len(name), name)) if _numeric(names) else names), None, samples
        )

    def fields(self, material: Material) -> dict[str, Stored]:
        """With what the decoder is told."""
        told: dict[str, Stored] = {} if self.told is None else {TOLD: self.told.encode(material)}
        return super().fields(material) | told

    def settled(self, threshold: float) -> LikenessAnswer:
        """With the threshold that a training has found."""
        return replace(self, threshold=threshold)

    def encode(self, labels: Series[Any]) -> Tensor:
        """The number of each example's class, `UNKNOWN` where it has none of the known ones."""
        if not self.names:
            return torch.full((len(labels),), UNKNOWN)
        found = pd.Index(self.names, dtype=object).get_indexer(pd.Index(labels.astype(str), dtype=object))
        return torch.from_numpy(found.astype(np.int64))

    def facts(self, labels: Series[Any], splits: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """How many examples of each class stand in each split."""
        found = self.encode(labels).numpy()
        rows = [
            {"name": name} | {part: int((found[rows] == k).sum()) for part, rows in splits.items()}
            for k, name in enumerate(self.names)
        ]
        return {"classes": rows} if rows else {}

    def say(self, outputs: Any) -> list[dict[str, Any]]:
        """Whether the error is unusual, and the error beside the threshold."""
        said = []
        for error in outputs.double().tolist():
            known = self.threshold is not None
            found: dict[str, Any] = {"prediction": "unusual" if known and error > self.threshold else "usual"}
            said.append(found | {"error": error, "threshold": self.threshold})
        return said

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        found = {"kind": self.word, "names": list(self.names), "threshold": self.threshold, "samples": self.samples}
        return found | {"told": None if self.told is None else self.told.to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> LikenessAnswer:
        """The reverse of `to_json`. Raises CheckpointError where it makes no sense."""
        names, threshold, samples = value["names"], value["threshold"], value["samples"]
        sound = all(isinstance(name, str) for name in names) and isinstance(threshold, float | None)
        if not sound or not isinstance(samples, int | None):
            raise CheckpointError("answer", "its classes or its threshold make no sense", "restore the saved model")
        told = value["told"]
        known = None if told is None else Told(str(told["column"]), Classes.from_json(told["classes"]))
        return cls(tuple(names), threshold, samples, known)


def _numeric(names: list[str]) -> bool:
    return all(name.isdigit() for name in names)
