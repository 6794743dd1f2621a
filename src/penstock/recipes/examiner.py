"""What samples are measured by: a classifier's features, or coarse pixels. B batch, F features, K classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from penstock.core.errors import CheckpointError
from penstock.data.pixels import PixelScaling
from penstock.kinds.category import CategoryAnswer
from penstock.kinds.image import ImageKind
from penstock.models.cnn import CNN
from penstock.recipes.answering import Answering
from penstock.recipes.trained import Trained

COARSE = 8
"""Pixels a side of the pictures that stand in for features."""
AT_ONCE = 256


class Examiner(nn.Module, ABC):
    """Pictures (B, C, H, W) in [-1, 1] to features (B, F). `classes` (K,) are those that it tells apart, if any."""

    classes: Sequence[str] = ()

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """The features."""

    def probabilities(self, x: Tensor) -> Tensor:
        """Of the classes: (B, K)."""
        return x.new_zeros(len(x), 0)

    def described(self) -> dict[str, Any]:
        """What it is, for the record."""
        return {"name": "coarse pixels"}


class CoarseExaminer(Examiner):
    """Pixels, as means over squares, at most 8 x 8 of them: where there are no labels to learn features from."""

    def forward(self, x: Tensor) -> Tensor:
        size = (min(COARSE, x.shape[2]), min(COARSE, x.shape[3]))
        return functional.adaptive_avg_pool2d(x, size).flatten(1)


class ClassifierExaminer(Examiner):
    """The numbers before the last layer of a convolutional network that was trained to tell the classes apart."""

    def __init__(self, network: CNN, scaling: PixelScaling, classes: Sequence[str], accuracy: float | None) -> None:
        super().__init__()
        self.network, self.scaling, self.classes, self.accuracy = network, scaling, tuple(classes), accuracy

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.network.neck(self.network.stages(self._seen(x)))
        return features

    def probabilities(self, x: Tensor) -> Tensor:
        """The softmax of its answer: (B, K)."""
        logits: Tensor = self.network(self._seen(x))
        return logits.softmax(1)

    def described(self) -> dict[str, Any]:
        """With its accuracy on the test split of the data."""
        return {"name": "a classifier of the same data", "accuracy": self.accuracy, "classes": list(self.classes)}

    def _seen(self, x: Tensor) -> Tensor:
        """Pictures in [-1, 1] as the classifier was given them."""
        return self.scaling(x * 127.5 + 127.5)


def examiner_from(trained: Trained, accuracy: float | None) -> ClassifierExaminer:
    """What a run of `classify` has made. Raises CheckpointError where it is another than was asked for."""
    found = trained if isinstance(trained, Answering) else None
    network, kind, answer = (found.network, found.kind, found.answer) if found else (None, None, None)
    if not (isinstance(network, CNN) and isinstance(kind, ImageKind) and isinstance(answer, CategoryAnswer)):
        raise CheckpointError("examiner", "it is no convolutional classifier of pictures", "train anew")
    return ClassifierExaminer(network, kind.scaling, answer.classes.names, accuracy)


@torch.no_grad()
def looked_at(examiner: Examiner, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Features (N, F) and probabilities (N, K) of many pictures (N, C, H, W), on the processor."""
    device = next((p.device for p in examiner.parameters()), pictures.device)
    parts = [part.to(device) for part in torch.split(pictures, AT_ONCE)]
    features = [examiner(part).float().cpu() for part in parts]
    return torch.cat(features), torch.cat([examiner.probabilities(part).float().cpu() for part in parts])
