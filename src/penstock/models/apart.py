"""A network of its own for each of several agents. B batch, K agents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, final

import torch
from torch import Tensor, nn

from penstock.nn.choices import Choice
from penstock.nn.marks import unmarked
from penstock.nn.sizes import require_sizes


@final
class Apart(nn.Module):
    """K networks that know nothing of one another: each row goes to that of the agent whose mark it bears, without it.

    Takes observations (B, ...) with marks, see `penstock.nn.marks.marked`, and whatever else a network takes of each,
    (B, ...); gives what one network for all would give. `make` makes one for observations without a mark, which may be
    one of `states`. Tan 1993, "Multi-agent reinforcement learning: independent vs. cooperative agents"; de Witt et al.
    2020, "Is independent learning all you need in the StarCraft multi-agent challenge?".
    """

    def __init__(self, make: Callable[[], nn.Module], *, agents: int, states: int | None = None) -> None:
        super().__init__()
        require_sizes("Apart", agents=agents)
        self.networks, self.states = nn.ModuleList(make() for _ in range(agents)), states

    def forward(self, observation: Tensor, *others: Tensor) -> Any:
        seen, which = unmarked(observation, len(self.networks), self.states)
        order = which.argsort(stable=True)
        sizes = which.bincount(minlength=len(self.networks)).tolist()
        parts = zip(*[torch.split(each[order], sizes) for each in (seen, *others)], strict=True)
        found = [network(*part) for network, part in zip(self.networks, parts, strict=True)]
        return _joined(found, order.argsort())


def _joined(parts: Sequence[Any], order: Tensor) -> Any:
    """Tensors or choices of all agents, or tuples of them, as those of the batch."""
    first = parts[0]
    if isinstance(first, tuple):
        return tuple(_joined(each, order) for each in zip(*parts, strict=True))
    return type(first).joined(parts, order) if isinstance(first, Choice) else torch.cat(list(parts))[order]
