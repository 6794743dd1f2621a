"""Random numbers that belong to examples, so that it makes no difference in how many parts a batch is trained on.

B examples.
"""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor

from penstock.core.random import derive, keyed_uniform

_BITS = 24
"""What one number of `keyed_uniform` has."""


def keys_of(seed: int, examples: Tensor) -> Tensor:
    """A key for each example (B,) int64 of an epoch with this seed, of 48 bits: (B,) int64."""
    halves = (keyed_uniform(seed, examples, 2) * (1 << _BITS)).to(torch.int64)
    return (halves[:, 0] << _BITS) + halves[:, 1]


@final
class Draws:
    """Numbers for one purpose, by the keys of examples: another purpose draws other numbers with the same keys."""

    def __init__(self, purpose: str) -> None:
        self._seed = derive("draws", purpose)

    def uniform(self, keys: Tensor, *shape: int) -> Tensor:
        """In [0, 1): (B,) keys to (B, *shape) float32."""
        return keyed_uniform(self._seed, keys, math.prod(shape)).reshape(len(keys), *shape)

    def normal(self, keys: Tensor, *shape: int) -> Tensor:
        """Of the unit normal, at most 5.8 from 0: (B,) keys to (B, *shape) float32.

        Box and Muller 1958, "A note on the generation of random normal deviates".
        """
        count = math.prod(shape)
        pairs = -(-count // 2)
        radius, angle = torch.split(keyed_uniform(self._seed, keys, 2 * pairs), pairs, 1)
        radius, angle = (-2 * torch.log1p(-radius)).sqrt(), angle * (2 * math.pi)
        return torch.cat([radius * angle.cos(), radius * angle.sin()], 1)[:, :count].reshape(len(keys), *shape)
