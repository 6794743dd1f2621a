"""What a discriminator and a generator minimise, from scores (B,) that are high for what is taken for real."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

from torch import Tensor
from torch.nn.functional import softplus


class AdversarialLoss(ABC):
    """Two losses, each a mean over examples."""

    @abstractmethod
    def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:
        """From the scores of real and of generated examples, (B,) each, to a scalar."""

    @abstractmethod
    def generator(self, generated: Tensor) -> Tensor:
        """From the scores of generated examples (B,) to a scalar."""


class _CrossEntropy(AdversarialLoss):
    """Cross-entropy of the label 1 for real and 0 for generated examples; the score is a logit."""

    def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:
        """-log D(x) - log (1 - D(G(z)))."""
        return softplus(-real).mean() + softplus(generated).mean()


@final
@dataclass(frozen=True)
class Original(_CrossEntropy):
    """The game of one value: Goodfellow et al. 2014, "Generative adversarial nets", equation (1)."""

    def generator(self, generated: Tensor) -> Tensor:
        """log (1 - D(G(z))), whose slope vanishes where the discriminator is sure."""
        return -softplus(generated).mean()


@final
@dataclass(frozen=True)
class NonSaturating(_CrossEntropy):
    """Generated examples labelled 1 for the generator's turn: Goodfellow et al. 2014, section 3."""

    def generator(self, generated: Tensor) -> Tensor:
        """-log D(G(z))."""
        return softplus(-generated).mean()


@final
@dataclass(frozen=True)
class LeastSquares(AdversarialLoss):
    """Scores that are to be 1 and 0: Mao et al. 2017, "Least squares GANs", equation (9)."""

    def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:
        """Half the squared distances from 1 and from 0."""
        return ((real - 1).square().mean() + generated.square().mean()) / 2

    def generator(self, generated: Tensor) -> Tensor:
        """Half the squared distance from 1."""
        return (generated - 1).square().mean() / 2


@final
@dataclass(frozen=True)
class Hinge(AdversarialLoss):
    """Scores beyond 1 and -1 are good enough: Lim and Ye 2017, "Geometric GAN"; Miyato et al. 2018, (16) and (17)."""

    def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:
        """What is missing to 1 and to -1."""
        return (1 - real).relu().mean() + (1 + generated).relu().mean()

    def generator(self, generated: Tensor) -> Tensor:
        """The score, as high as can be."""
        return -generated.mean()


@final
@dataclass(frozen=True)
class Wasserstein(AdversarialLoss):
    """The difference of mean scores: Arjovsky, Chintala and Bottou 2017, "Wasserstein GAN", algorithm 1.

    It means something only for a discriminator whose slope is bounded: by `ClipWeights`, `GradientPenalty` or spectral
    normalisation.
    """

    def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:
        """Minus the estimate of the distance."""
        return generated.mean() - real.mean()

    def generator(self, generated: Tensor) -> Tensor:
        """The score, as high as can be."""
        return -generated.mean()
