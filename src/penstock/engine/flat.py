"""One role's parameters and gradients as views of two flat tensors.

A norm, a clip, an average or an optimizer step is then one operation, however many parameters there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate

import torch
from torch import Tensor, nn

from penstock.core.errors import RecipeError

ALIGNMENT = 16
"""Each parameter starts at a multiple of so many numbers, so that vectorised kernels read aligned memory."""


class Flat:
    """Lays named parameters out in one tensor; those that decay come first.

    `parameter` and `gradient` are (P,). Weights have two dimensions or more and decay; biases and the scales of
    normalisation layers do not. `gradient_and_tail` has `tail` numbers more behind the gradient.
    Raises RecipeError where the parameters differ in device or type, or there are none.
    """

    def __init__(self, role: str, named: Mapping[str, nn.Parameter], tail: int = 0) -> None:
        trainable = {name: p for name, p in named.items() if p.requires_grad}
        if not trainable:
            raise RecipeError(f"role {role!r}", "it has no trainable parameter", "check requires_grad and roles()")
        mixed = {f"{p.dtype} on {p.device}" for p in trainable.values()}
        if len(mixed) > 1 or not next(iter(trainable.values())).is_floating_point():
            raise RecipeError(
                f"role {role!r}",
                f"its parameters are {', '.join(sorted(mixed))}",
                "give them one floating type and device",
            )
        ordered = sorted(trainable.items(), key=lambda item: not _decays(*item))  # stable: decaying parameters first
        sizes = [-(-p.numel() // ALIGNMENT) * ALIGNMENT for _, p in ordered]
        starts = [0, *accumulate(sizes)]
        self.decaying = sum(size for size, item in zip(sizes, ordered, strict=True) if _decays(*item))
        self.parameters = [p for _, p in ordered]
        self.names = [name for name, _ in ordered]
        self._places = {
            name: (start, p.shape, p.stride() if _dense(p) else p.contiguous().stride())
            for (name, p), start in zip(ordered, starts, strict=False)
        }
        self.parameter = self.zeros_like_flat(starts[-1], self.parameters[0])
        self.gradient_and_tail = self.zeros_like_flat(starts[-1] + tail, self.parameter)
        self.gradient = self.gradient_and_tail[: starts[-1]]
        with torch.no_grad():
            for p, value, gradient in zip(
                self.parameters, self.views(self.parameter).values(), self.views(self.gradient).values(), strict=True
            ):
                value.copy_(p)
                p.data = value
                p.grad = gradient

    @staticmethod
    def zeros_like_flat(size: int, like: Tensor) -> Tensor:
        """A zeroed flat tensor of `size` numbers of the type and device of `like`."""
        return torch.zeros(size, dtype=like.dtype, device=like.device)

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """A flat tensor of this layout, by parameter name; writing to a view writes to the tensor."""
        return {name: flat.as_strided(shape, stride, start) for name, (start, shape, stride) in self._places.items()}

    def segments(self, decay: float) -> list[tuple[slice, float]]:
        """The parts that share one weight decay: decaying parameters, then the others."""
        if not decay or self.decaying == len(self.parameter):
            return [(slice(None), decay)]
        if not self.decaying:
            return [(slice(None), 0.0)]
        return [(slice(0, self.decaying), decay), (slice(self.decaying, None), 0.0)]

    def decays(self, decay: float) -> list[float]:
        """The weight decay of each parameter."""
        return [decay if start < self.decaying else 0.0 for start, _, _ in self._places.values()]


def _decays(name: str, p: Tensor) -> bool:
    return p.ndim >= 2 and name.rpartition(".")[2] != "bias"


def _dense(p: Tensor) -> bool:
    """Whether the tensor fills its memory in some order of its dimensions (contiguous, channels last)."""
    return p.is_contiguous() or (p.ndim == 4 and p.is_contiguous(memory_format=torch.channels_last))
