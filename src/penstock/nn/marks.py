"""Who sees an observation, written into it. B batch, K agents, C channels, H W height width, F numbers."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

BRIGHT = 255
"""The mark in a picture of bytes."""


def marked(observation: Tensor, which: Tensor, agents: int, states: int | None = None) -> Tensor:
    """Observations (B, ...) of the agents (B,), of which there are K, told apart.

    A vector has zeros with a single one appended, (B, F + K), as has whatever else is no picture, laid out flat; a
    picture (B, C, H, W) K channels, of which one is bright; the number of one of so many `states` (B,) becomes that of
    one of K times as many. Terry et al. 2020, "Revisiting parameter sharing in multi-agent deep reinforcement
    learning", "agent indication".
    """
    if states is not None:
        return which * states + observation
    mark = functional.one_hot(which, agents).to(observation.dtype)
    if observation.dim() != 4:
        return torch.cat([observation.flatten(1) if observation.dim() > 1 else observation.unsqueeze(1), mark], 1)
    bright = mark if observation.is_floating_point() else mark * BRIGHT
    return torch.cat([observation, bright[:, :, None, None].expand(-1, -1, *observation.shape[2:])], 1)


def unmarked(observation: Tensor, agents: int, states: int | None = None) -> tuple[Tensor, Tensor]:
    """What `marked` was given, whatever was flat remaining so: the observations, and the agents (B,).

    The mark may have been brought to another scale, if it was the same for all agents.
    """
    if states is not None:
        return observation % states, observation // states
    last = observation[:, -agents:]
    which = last.flatten(2)[:, :, 0].argmax(1) if last.dim() > 2 else last.argmax(1)
    return observation[:, :-agents], which
