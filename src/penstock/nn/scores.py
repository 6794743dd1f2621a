"""How well each step of one sequence fits each step of another: the scores of attention with a single head.

B batch, T steps that look, S steps looked at, H channels of a step, D channels compared.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import final

from torch import Tensor, nn

from penstock.nn.initialise import normal_
from penstock.nn.sizes import require_sizes


class Scores(nn.Module, ABC):
    """Compares steps that look with steps that are looked at, whose part of the work is done once."""

    @abstractmethod
    def prepare(self, memory: Tensor) -> Tensor:
        """The steps looked at, (B, S, H), as they are compared, (B, S, D)."""

    @abstractmethod
    def forward(self, query: Tensor, prepared: Tensor) -> Tensor:
        """Steps that look, (B, T, queries), and what `prepare` gave: scores (B, T, S)."""


@final
class Additive(Scores):
    """v tanh(W q + U m): Bahdanau, Cho and Bengio 2015, "Neural machine translation by jointly learning to align"."""

    def __init__(self, *, queries: int, memory: int, width: int) -> None:
        super().__init__()
        require_sizes("Additive", queries=queries, memory=memory, width=width)
        self.query, self.memory = nn.Linear(queries, width), nn.Linear(memory, width, bias=False)
        self.score = nn.Linear(width, 1, bias=False)
        for layer in (self.query, self.memory, self.score):
            normal_(layer, 1.0)

    def prepare(self, memory: Tensor) -> Tensor:
        """(B, S, D)."""
        prepared: Tensor = self.memory(memory)
        return prepared

    def forward(self, query: Tensor, prepared: Tensor) -> Tensor:
        pairs = (self.query(query).unsqueeze(2) + prepared.unsqueeze(1)).tanh()  # (B, T, S, D)
        scores: Tensor = self.score(pairs).squeeze(3)
        return scores


@final
class Multiplicative(Scores):
    """q W m over sqrt(queries): Luong, Pham and Manning 2015, "Effective approaches to attention-based neural machine
    translation", section 3.1, "general"; divided as in Vaswani et al. 2017, so that it starts out near 1."""

    def __init__(self, *, queries: int, memory: int) -> None:
        super().__init__()
        require_sizes("Multiplicative", queries=queries, memory=memory)
        self.memory, self._scale = nn.Linear(memory, queries, bias=False), 1 / math.sqrt(queries)
        normal_(self.memory, 1.0)

    def prepare(self, memory: Tensor) -> Tensor:
        """(B, S, queries)."""
        prepared: Tensor = self.memory(memory) * self._scale
        return prepared

    def forward(self, query: Tensor, prepared: Tensor) -> Tensor:
        return query @ prepared.transpose(1, 2)
