"""What is asked of codes besides that the examples can be told from them. B batch, Z code."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from penstock.core.errors import RecipeError
from penstock.objectives.likelihood import full


class Penalty(ABC):
    """Added to the loss in training."""

    separable = True
    """False where it looks at several examples together."""
    of_inputs = False
    """Whether the gradient with respect to what is coded is needed."""

    @abstractmethod
    def __call__(self, code: Tensor, inputs: Sequence[Tensor]) -> Tensor:
        """A scalar, the mean over the examples, for codes (B, Z) of inputs."""


@final
@dataclass(frozen=True, kw_only=True)
class MeanActivation(Penalty):
    """Each unit of the code, which is between 0 and 1, is on for a share `target` of the batch.

    `weight` times the Kullback-Leibler divergence between target and mean activation, summed over the units (Ng 2011,
    "Sparse autoencoder", section 3).
    """

    weight: float = 0.1
    target: float = 0.05
    separable = False

    def __post_init__(self) -> None:
        _check_weight("sparse", self.weight)
        if not 0 < self.target < 1:
            raise RecipeError("sparse", f"the target is {self.target}", "give a number between 0 and 1, such as 0.05")

    def __call__(self, code: Tensor, inputs: Sequence[Tensor]) -> Tensor:
        """Raises no error for codes beyond 0 and 1; it is not finite there."""
        mean, target = full(code).flatten(1).mean(0), self.target  # (Z,)
        on = target * (target / mean).log()
        off = (1 - target) * ((1 - target) / (1 - mean)).log()
        return self.weight * (on + off).sum()


@final
@dataclass(frozen=True, kw_only=True)
class Absolute(Penalty):
    """`weight` times the sum of the absolute values of an example's code: most become small."""

    weight: float = 1e-3

    def __post_init__(self) -> None:
        _check_weight("sparse", self.weight)

    def __call__(self, code: Tensor, inputs: Sequence[Tensor]) -> Tensor:
        """The mean of the sums."""
        return self.weight * full(code).abs().flatten(1).sum(1).mean()


@final
@dataclass(frozen=True, kw_only=True)
class Contractive(Penalty):
    """`weight` times the squared Frobenius norm of the Jacobian of the code with respect to the first input.

    Rifai et al. 2011, "Contractive auto-encoders", equation (4); exact for any encoder that takes each example alone,
    at the cost of a backward pass for each number of a code.
    """

    weight: float = 0.1
    of_inputs = True

    def __post_init__(self) -> None:
        _check_weight("contractive", self.weight)

    def __call__(self, code: Tensor, inputs: Sequence[Tensor]) -> Tensor:
        """The mean over the examples."""
        flat = code.flatten(1)  # (B, Z)
        units = torch.eye(flat.shape[1], dtype=flat.dtype, device=flat.device)
        along = units.unsqueeze(1).expand(-1, len(flat), -1)  # (Z, B, Z): the same unit in every example
        (slopes,) = torch.autograd.grad(flat, inputs[0], along, create_graph=True, is_grads_batched=True)
        return self.weight * full(slopes).square().sum() / len(flat)


def _check_weight(where: str, weight: float) -> None:
    if not 0 < weight < float("inf"):
        raise RecipeError(where, f"the weight is {weight}", "give a positive number")
