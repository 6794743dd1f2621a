"""Numbers that are drawn in proportion to their size, however many there are. B numbers at a time."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

_WIDTH = 64
"""Children of a node: so many are added up at once for the price of two, so the tree is shallow."""


@final
class SumTree:
    """`count` numbers that are not negative, 0 at first, each node the sum of its children; float64.

    A node is always added up anew from its children, in their order: nothing is left of numbers that were there before.
    """

    def __init__(self, count: int, device: torch.device | str = "cpu") -> None:
        sizes = [count]
        while sizes[-1] > 1:
            sizes.append(-(-sizes[-1] // _WIDTH))
        padded = [-(-size // _WIDTH) * _WIDTH for size in sizes[:-1]] or [_WIDTH]
        self._levels = [torch.zeros(size, dtype=torch.float64, device=device) for size in padded]  # leaves first
        self.count = count

    @property
    def leaves(self) -> Tensor:
        """The numbers (count,), not to be written to."""
        return self._levels[0][: self.count]

    @property
    def total(self) -> Tensor:
        """Their sum, ()."""
        return self._levels[-1].cumsum(0)[-1]

    def put(self, index: Tensor, value: Tensor) -> None:
        """Let the numbers at `index` (B,) be `value` (B,); given twice, one of the two counts."""
        self._levels[0][index] = value.to(torch.float64)
        for below, level in zip(self._levels, self._levels[1:], strict=False):
            index = index // _WIDTH
            level[index] = below.view(-1, _WIDTH)[index].cumsum(1)[:, -1]

    def fill(self, leaves: Tensor) -> None:
        """Let all numbers be those of `leaves` (count,)."""
        self.put(torch.arange(self.count, device=leaves.device), leaves)

    def find(self, mass: Tensor) -> Tensor:
        """Which numbers lie at `mass` (B,) where all are laid end to end: (B,). Never one that is 0."""
        node = torch.zeros(len(mass), dtype=torch.int64, device=mass.device)
        for level in reversed(self._levels):
            ends = level.view(-1, _WIDTH)[node].cumsum(1)  # (B, width)
            whole = ends[:, -1]
            mass = mass.clamp(min=0).minimum(torch.nextafter(whole, torch.zeros_like(whole)))  # sums are rounded
            child = (ends <= mass.unsqueeze(1)).sum(1)
            before = torch.where(child > 0, ends.gather(1, (child - 1).clamp(min=0).unsqueeze(1))[:, 0], 0.0)
            mass, node = mass - before, node * _WIDTH + child
        return node

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """`count` of them (B,), one from each of as many equal parts of the sum."""
        uniform = torch.rand(count, generator=generator, dtype=torch.float64).to(self._levels[0].device)
        place = (torch.arange(count, device=uniform.device) + uniform) / count
        return self.find(place * self.total)
