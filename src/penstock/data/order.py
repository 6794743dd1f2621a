"""In which order an epoch goes through its examples."""

from __future__ import annotations

import torch
from torch import Tensor

POOL = 50
"""Batches whose sequences are sorted by length together: enough that little is padded, few enough to stay random."""


def epoch_order(indices: Tensor, batch_size: int, seed: int, lengths: Tensor | None = None) -> Tensor:
    """The indices (N,) in an order that follows from the seed.

    With the `lengths` of all examples, neighbours within a batch are about equally long: the shuffled order is sorted
    by length in stretches of `POOL` batches, and the batches are shuffled again. A smaller last batch stays the last.
    """
    generator = torch.Generator().manual_seed(seed)
    order = indices[torch.randperm(len(indices), generator=generator)]
    if lengths is None:
        return order
    stretches = torch.split(order, batch_size * POOL)
    sorted_ = torch.cat([part[lengths[part].argsort(stable=True)] for part in stretches])
    whole = len(order) // batch_size * batch_size
    batches = sorted_[:whole].reshape(-1, batch_size)
    return torch.cat([batches[torch.randperm(len(batches), generator=generator)].flatten(), sorted_[whole:]])
