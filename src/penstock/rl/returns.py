"""What actions were worth, from the rewards that followed. T steps of N environments, in order of time.

Rewards, values and flags are (T, N). `next_value` is the worth of the state that a step led to, at the end of an
episode of its last one. Nothing follows a step that has terminated; after one that was only truncated the worth of its
last state counts, but not what the next episode brings.
"""

from __future__ import annotations

import torch
from torch import Tensor


def advantages(
    reward: Tensor,
    value: Tensor,
    next_value: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    *,
    discount: float,
    decay: float,
) -> Tensor:
    """Generalised advantage estimates (T, N): the sum of later surprises, weighted by (discount * decay)^k.

    Schulman, Moritz, Levine, Jordan and Abbeel 2016, "High-dimensional continuous control using generalized advantage
    estimation", equation 16. With decay 1, what came less what was expected; with 0, the surprise of the step alone.
    """
    surprise = reward + discount * next_value * ~terminated - value  # (T, N)
    weight = (discount * decay) * (~(terminated | truncated)).to(surprise.dtype)
    found, ahead = torch.empty_like(surprise), torch.zeros_like(surprise[0])
    for t in range(len(reward) - 1, -1, -1):
        ahead = found[t] = surprise[t] + weight[t] * ahead
    return found
