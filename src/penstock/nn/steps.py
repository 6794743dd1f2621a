"""Steps of sequences that were padded to one length. B batch, T time."""

from __future__ import annotations

import torch
from torch import Tensor


def within(lengths: Tensor, steps: int) -> Tensor:
    """Which of `steps` steps of each sequence are real, not padding: lengths (B,) to (B, T) bool."""
    return torch.arange(steps, device=lengths.device) < lengths.unsqueeze(1)


def backwards(x: Tensor, lengths: Tensor | None = None) -> Tensor:
    """The real steps of each sequence in reverse order, (B, T, C) to the same; padding stays where it is."""
    if lengths is None:
        return x.flip(1)
    step = torch.arange(x.shape[1], device=x.device)
    mirrored = lengths.unsqueeze(1) - 1 - step  # (B, T)
    return x.gather(1, torch.where(mirrored < 0, step, mirrored).unsqueeze(2).expand_as(x))
