"""Steps of sequences that were padded to one length."""

from __future__ import annotations

import torch
from torch import Tensor


def within(lengths: Tensor, steps: int) -> Tensor:
    """Which of `steps` steps of each sequence are real, not padding: lengths (B,) to (B, T) bool."""
    return torch.arange(steps, device=lengths.device) < lengths.unsqueeze(1)
