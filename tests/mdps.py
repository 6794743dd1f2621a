"""What is best in a small world, by value iteration: the reference that learners are held against."""

from __future__ import annotations

import torch
from torch import Tensor

from penstock.rl.tabular import Table


def optimal_values(table: Table, discount: float, rounds: int = 10_000) -> Tensor:
    """The worth of each action in each state, (S, A) float64 (Sutton and Barto 2018, section 4.4)."""
    values = torch.zeros(table.next.shape[:2], dtype=torch.float64)
    for _ in range(rounds):
        after = torch.where(table.ends, 0.0, values.max(1).values)  # (S,)
        new = (table.next * (table.reward + discount * after)).sum(2)
        if torch.equal(new, values):
            break
        values = new
    return values


def policy_values(table: Table, policy: Tensor, discount: float) -> Tensor:
    """The worth of each state (S,) where actions are drawn from `policy` (S, A), by solving Bellman's equations."""
    move = torch.einsum("sa,sat->st", policy, table.next)
    gain = torch.einsum("sa,sat,sat->s", policy, table.next, table.reward)
    going = move * (~table.ends).double()
    return torch.linalg.solve(torch.eye(len(gain), dtype=torch.float64) - discount * going, gain)
