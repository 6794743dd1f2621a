"""What tells real examples from generated ones: features, and a score of them. B batch, F features, K classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

from penstock.core.errors import RecipeError
from penstock.models.generator import leaky
from penstock.models.mlp import MLP
from penstock.nn.sizes import require_sizes


class FeatureTrunk(nn.Module):
    """Reads examples, gives features (B, `outputs`)."""

    outputs: int


@dataclass(frozen=True, slots=True)
class Look:
    """What a discriminator made of B examples: `score` (B,), higher for what it takes for real, from `features` (B, F).

    `classes` (B, K) are logits, of a discriminator that names classes.
    """

    score: Tensor
    features: Tensor
    classes: Tensor | None = None


class Head(nn.Module, ABC):
    """From features, and labels where there are any, to a score."""

    @abstractmethod
    def score(self, features: Tensor, label: Tensor | None) -> Tensor:
        """(B, F) and (B,) int64 to (B,)."""

    def classify(self, features: Tensor) -> Tensor | None:
        """Logits (B, K), where it names classes."""
        return None


class PlainHead(Head):
    """A weighted sum of features."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.real = nn.Linear(features, 1)

    def score(self, features: Tensor, label: Tensor | None) -> Tensor:
        """(B, F) to (B,)."""
        found: Tensor = self.real(features)
        return found.squeeze(1)


class ProjectionHead(Head):
    """A weighted sum of features with weights that depend on the class.

    Miyato and Koyama 2018, "cGANs with projection discriminator", equation (4).
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        require_sizes("ProjectionHead", classes=classes)
        self.real = nn.Linear(features, 1)
        self.of_class = nn.Embedding(classes, features)
        nn.init.normal_(self.of_class.weight, std=features**-0.5)

    def score(self, features: Tensor, label: Tensor | None) -> Tensor:
        """(B, F) and (B,) int64 to (B,)."""
        if label is None:
            raise RecipeError("ProjectionHead", "no label was given", "say of which class the examples are")
        found: Tensor = self.real(features)
        of_class: Tensor = self.of_class(label)
        return found.squeeze(1) + (of_class * features).sum(1)


class AuxiliaryHead(Head):
    """A score that knows no labels, and beside it a guess at the class.

    Odena, Olah and Shlens 2017, "Conditional image synthesis with auxiliary classifier GANs", section 3.
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        require_sizes("AuxiliaryHead", classes=classes)
        self.real = nn.Linear(features, 1)
        self.classes = nn.Linear(features, classes)

    def score(self, features: Tensor, label: Tensor | None) -> Tensor:
        """(B, F) to (B,)."""
        found: Tensor = self.real(features)
        return found.squeeze(1)

    def classify(self, features: Tensor) -> Tensor:
        """(B, F) to (B, K)."""
        logits: Tensor = self.classes(features)
        return logits


class Discriminator(nn.Module):
    """A trunk and a head: examples, and labels (B,) int64 where the head wants them, to a `Look`."""

    def __init__(self, trunk: FeatureTrunk, head: Head) -> None:
        super().__init__()
        self.trunk, self.head = trunk, head

    def forward(self, x: Tensor, label: Tensor | None = None) -> Look:
        features: Tensor = self.trunk(x)  # (B, F)
        return Look(self.head.score(features, label), features, self.head.classify(features))


class DenseTrunk(FeatureTrunk):
    """Fully connected layers with leaky ReLU after each: (B, ...) to (B, the last of `hidden`)."""

    def __init__(self, *, inputs: int, hidden: tuple[int, ...] = (512, 256)) -> None:
        super().__init__()
        require_sizes("DenseTrunk", layers=len(hidden))
        *before, self.outputs = hidden
        self.layers = MLP(inputs=inputs, outputs=self.outputs, hidden=before, activation=leaky)
        self.last = leaky()

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.last(self.layers(x))
        return features


class GaussianEncoder(nn.Module):
    """A trunk and two linear layers: examples to the mean and the log of the variance of their codes, (B, Z) each."""

    def __init__(self, trunk: FeatureTrunk, *, code: int) -> None:
        super().__init__()
        require_sizes("GaussianEncoder", code=code)
        self.trunk = trunk
        self.mean, self.log_variance = nn.Linear(trunk.outputs, code), nn.Linear(trunk.outputs, code)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.trunk(x)
        return self.mean(features), self.log_variance(features)
