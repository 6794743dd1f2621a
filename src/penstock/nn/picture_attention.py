"""Attention between the places of a picture. B batch, C channels, H W height width, D width of queries and keys."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from penstock.nn.sizes import require_sizes


class PictureAttention(nn.Module):
    """Each place of a picture adds what it finds at other places: (B, C, H, W) to the same; at first the identity.

    Zhang et al. 2019, "Self-attention generative adversarial networks", equations (1) to (3), with keys and values
    pooled 2 x 2 as in their program. It is written as products, not as torch's fused attention, for gradient penalties
    differentiate it twice, which the fused kernels cannot.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        require_sizes("PictureAttention", channels=channels)
        width, values = max(channels // 8, 1), max(channels // 2, 1)
        self.query = nn.Conv2d(channels, width, 1, bias=False)
        self.key = nn.Conv2d(channels, width, 1, bias=False)
        self.value = nn.Conv2d(channels, values, 1, bias=False)
        self.out = nn.Conv2d(values, channels, 1, bias=False)
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        query = self.query(x).flatten(2)  # (B, D, H W)
        key, value = self._pooled(self.key(x)), self._pooled(self.value(x))  # (B, D, P), (B, C / 2, P)
        weights = (query.transpose(1, 2) @ key).softmax(2)  # (B, H W, P)
        found = (value @ weights.transpose(1, 2)).unflatten(2, x.shape[2:])  # (B, C / 2, H, W)
        out: Tensor = x + self.gain * self.out(found)
        return out

    def _pooled(self, x: Tensor) -> Tensor:
        """(B, D, H, W) to (B, D, P), a quarter as many places where there are two a side."""
        return (functional.max_pool2d(x, 2) if min(x.shape[2:]) > 1 else x).flatten(2)
