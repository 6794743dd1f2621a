"""What is done to examples that a denoising autoencoder is to restore. B batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from penstock.core.errors import RecipeError


class Corruption(ABC):
    """Spoils the fields of a batch; the numbers are drawn from a generator, or from the global one."""

    @abstractmethod
    def __call__(self, fields: Sequence[Tensor], generator: torch.Generator | None = None) -> list[Tensor]:
        """The fields, spoilt."""


@final
@dataclass(frozen=True, kw_only=True)
class Noise(Corruption):
    """Adds normal noise of standard deviation `deviation` to every floating field.

    Vincent et al. 2010, "Stacked denoising autoencoders", section 3.3.
    """

    deviation: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.deviation < float("inf"):
            raise RecipeError("noise", f"its deviation is {self.deviation}", "give a positive number, such as 0.5")

    def __call__(self, fields: Sequence[Tensor], generator: torch.Generator | None = None) -> list[Tensor]:
        """Integers stay."""
        return [
            field + self.deviation * _normal(field, generator) if field.is_floating_point() else field
            for field in fields
        ]


@final
@dataclass(frozen=True, kw_only=True)
class Masking(Corruption):
    """Puts a `share` of the values of each of the first `fields` fields to 0, which says nothing of them.

    0 is the mean of a standardised number, and the code of a category that was never seen. Vincent et al. 2010,
    section 3.3.
    """

    share: float = 0.3
    fields: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise RecipeError("masking", f"the share is {self.share}", "give a number between 0 and 1, such as 0.3")

    def __call__(self, fields: Sequence[Tensor], generator: torch.Generator | None = None) -> list[Tensor]:
        """Further fields, such as lengths, stay."""
        spoilt = [
            field.masked_fill(torch.rand(field.shape, generator=generator, device=field.device) < self.share, 0)
            for field in fields[: self.fields]
        ]
        return [*spoilt, *fields[self.fields :]]


def _normal(like: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=like.device)
