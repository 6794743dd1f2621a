"""Codes of the unit normal, nearer to the middle than usual."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def truncated(code: Tensor, bound: float) -> Tensor:
    """Numbers of the unit normal as numbers of that part of it which lies within +- `bound`, in the same order.

    Brock, Donahue and Simonyan 2019, "Large scale GAN training for high fidelity natural image synthesis", section 3.1:
    what lies beyond is drawn again. This has the same distribution, without drawing: the same share of either lies
    below a number and below what becomes of it, and a code stays near to what it was.
    """
    share = torch.erf(code.double() / math.sqrt(2)) * math.erf(bound / math.sqrt(2))
    return (torch.erfinv(share) * math.sqrt(2)).clamp(-bound, bound).to(code.dtype)
