"""How well a decoder's output explains an example: small objects that are passed to an objective.

B batch, F number columns, K categories of a column, T time, M bands.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

from penstock.core.errors import RecipeError
from penstock.nn.steps import within


class Likelihood(ABC):
    """What is compared with an example's fields, in the order in which the encoder takes them."""

    @abstractmethod
    def nats(self, output: Tensor, *truth: Tensor) -> Tensor:
        """-log p(truth | output) of each example (B,)."""

    @abstractmethod
    def error(self, output: Tensor, *truth: Tensor) -> Tensor:
        """What an autoencoder that is no model of probability minimises: the same by value, (B,)."""

    @abstractmethod
    def squares(self, output: Tensor, *truth: Tensor) -> Tensor:
        """The mean squared difference of what is expected and what is, (B,)."""

    @abstractmethod
    def mean(self, output: Tensor) -> Tensor:
        """What the output says that the example looks like."""


@final
@dataclass(frozen=True, kw_only=True)
class Gaussian(Likelihood):
    """Values of any shape, normal about the output with standard deviation `deviation`; the error is squared."""

    deviation: float = 1.0

    def __post_init__(self) -> None:
        _check_deviation(self.deviation)

    def nats(self, output: Tensor, *truth: Tensor) -> Tensor:
        """-log of the density."""
        squares = (full(output) - truth[0]).square().flatten(1)
        return squares.sum(1) / (2 * self.deviation**2) + squares.shape[1] * _constant(self.deviation)

    def error(self, output: Tensor, *truth: Tensor) -> Tensor:
        """Squared, by value."""
        return (full(output) - truth[0]).square().flatten(1).mean(1)

    def squares(self, output: Tensor, *truth: Tensor) -> Tensor:
        """The same."""
        return self.error(output, *truth)

    def mean(self, output: Tensor) -> Tensor:
        """The output itself."""
        return full(output)


@final
class Bernoulli(Likelihood):
    """Values from 0 to 1 of any shape, of which the output gives the logits; the error is the cross-entropy."""

    def nats(self, output: Tensor, *truth: Tensor) -> Tensor:
        """Cross-entropy; for values of 0 and 1 it is -log of the probability."""
        truths = truth[0].to(torch.promote_types(output.dtype, torch.float32))
        return F.binary_cross_entropy_with_logits(full(output), truths, reduction="none").flatten(1).sum(1)

    def error(self, output: Tensor, *truth: Tensor) -> Tensor:
        """Cross-entropy by value."""
        return self.nats(output, *truth) / truth[0][0].numel()

    def squares(self, output: Tensor, *truth: Tensor) -> Tensor:
        """Of probabilities."""
        return (self.mean(output) - truth[0]).square().flatten(1).mean(1)

    def mean(self, output: Tensor) -> Tensor:
        """Probabilities."""
        return full(output).sigmoid()


@final
@dataclass(frozen=True, kw_only=True)
class Rows(Likelihood):
    """Rows of a table: F = `numbers` standardised numbers (B, F), normal, and codes (B, columns) of categories.

    The output is (B, F + sum K): means, then the logits of each column of `cardinalities` in turn. Fields that the
    table does not have, numbers or categories, are not given.
    """

    numbers: int
    cardinalities: Sequence[int] = ()
    deviation: float = 1.0

    def __post_init__(self) -> None:
        _check_deviation(self.deviation)

    @property
    def width(self) -> int:
        """How many outputs it takes."""
        return self.numbers + sum(self.cardinalities)

    def nats(self, output: Tensor, *truth: Tensor) -> Tensor:
        """-log of density times probability."""
        squares, crossed = self._both(output, truth)
        return squares / (2 * self.deviation**2) + self.numbers * _constant(self.deviation) + crossed

    def error(self, output: Tensor, *truth: Tensor) -> Tensor:
        """Squared error of numbers and cross-entropy of categories, by column."""
        squares, crossed = self._both(output, truth)
        return (squares + crossed) / (self.numbers + len(self.cardinalities))

    def squares(self, output: Tensor, *truth: Tensor) -> Tensor:
        """Of numbers, and of each category's probability against 0 or 1; by output."""
        expected = self.mean(output)
        numbers, codes = self._parted(truth)
        parts = [] if numbers is None else [numbers]
        if codes is not None:
            parts += [F.one_hot(codes[:, j], count) for j, count in enumerate(self.cardinalities)]
        return (expected - torch.cat(parts, 1)).square().mean(1)

    def mean(self, output: Tensor) -> Tensor:
        """Numbers, then the probabilities of each column's categories."""
        numbers, *logits = torch.split(full(output), [self.numbers, *self.cardinalities], 1)
        return torch.cat([numbers, *[part.softmax(1) for part in logits]], 1)

    def _both(self, output: Tensor, truth: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Summed squares of the numbers and summed cross-entropies of the categories, (B,) each."""
        means, *logits = torch.split(full(output), [self.numbers, *self.cardinalities], 1)
        numbers, codes = self._parted(truth)
        squares = means.new_zeros(len(means)) if numbers is None else (means - numbers).square().sum(1)
        if codes is None:
            return squares, torch.zeros_like(squares)
        found = [F.cross_entropy(part, codes[:, j], reduction="none") for j, part in enumerate(logits)]
        return squares, torch.stack(found).sum(0)

    def _parted(self, truth: Sequence[Tensor]) -> tuple[Tensor | None, Tensor | None]:
        return truth[0] if self.numbers else None, truth[-1] if self.cardinalities else None


@final
@dataclass(frozen=True, kw_only=True)
class Frames(Likelihood):
    """Spectrograms (B, T, M) of given lengths (B,), normal; what is beyond the length does not count."""

    deviation: float = 1.0

    def __post_init__(self) -> None:
        _check_deviation(self.deviation)

    def nats(self, output: Tensor, *truth: Tensor) -> Tensor:
        """-log of the density of the real steps."""
        squares, values = self._squares(output, truth)
        return squares / (2 * self.deviation**2) + values * _constant(self.deviation)

    def error(self, output: Tensor, *truth: Tensor) -> Tensor:
        """Squared, by value of the real steps."""
        squares, values = self._squares(output, truth)
        return squares / values.clamp(min=1)

    def squares(self, output: Tensor, *truth: Tensor) -> Tensor:
        """The same."""
        return self.error(output, *truth)

    def mean(self, output: Tensor) -> Tensor:
        """The output itself, which may be a few steps longer."""
        return full(output)

    def _squares(self, output: Tensor, truth: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Sums over the real values, and how many these are, (B,) each."""
        spectrum, lengths = truth
        steps, bands = spectrum.shape[1:]
        away = (full(output)[:, :steps] - spectrum).square().sum(2)  # (B, T)
        return away.masked_fill(~within(lengths, steps), 0.0).sum(1), (lengths * bands).to(away.dtype)


def full(output: Tensor) -> Tensor:
    """In single precision at least: sums over a picture are not for half of it."""
    return output.to(torch.promote_types(output.dtype, torch.float32))


def _constant(deviation: float) -> float:
    """What each value adds to -log of the normal density."""
    return 0.5 * math.log(2 * math.pi) + math.log(deviation)


def _check_deviation(deviation: float) -> None:
    if not (math.isfinite(deviation) and deviation > 0):
        raise RecipeError("likelihood", f"deviation is {deviation}", "give a positive number, such as 1")
