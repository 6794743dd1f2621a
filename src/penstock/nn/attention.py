"""Attention: each query takes a mean of values, weighted by how well their keys fit it.

B batch, T steps of queries, S steps of keys and values, C channels, N heads, D channels of a head.
"""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.core.errors import RecipeError
from penstock.nn.initialise import normal_
from penstock.nn.positions import turned
from penstock.nn.sizes import require_dropout, require_sizes
from penstock.nn.steps import within

Past = tuple[Tensor, Tensor]
"""Keys and values (B, N, S, D) each."""
NEVER = -1e4
"""Added to a score, it leaves no weight, in half precision too; and where nothing may be seen, no NaN either."""
SHORT = 128 * 128
"""Scores of one head up to which two matrix products are as fast on a processor as the fused kernel, or faster."""


def attend(
    query: Tensor, key: Tensor, value: Tensor, *, bias: Tensor | None = None, causal: bool = False, dropout: float = 0.0
) -> Tensor:
    """Queries (B, N, T, D), keys and values (B, N, S, D): what each query finds, (B, N, T, D).

    Scaled dot products (Vaswani et al. 2017, equation (1)); `bias`, which goes with (B, N, T, S), is added to the
    scores. Causal: the T queries are the last of the S steps, and none sees a later one. Through torch's fused kernel,
    except on processors where that is slower: for short sequences and in half precision.
    """
    steps, keys = query.shape[2], key.shape[2]
    half = query.dtype in (torch.bfloat16, torch.float16)
    if query.device.type == "cpu" and (half or steps * keys <= SHORT):
        weights = attention_weights(query, key, bias=bias, causal=causal).to(value.dtype)
        return (F.dropout(weights, dropout) if dropout else weights) @ value
    if causal and steps > 1 and (bias is not None or steps < keys):
        ahead = _ahead(query, keys)
        bias, causal = ahead if bias is None else bias + ahead, False
    bias = None if bias is None else bias.to(query.dtype)
    return F.scaled_dot_product_attention(
        query, key, value, attn_mask=bias, is_causal=causal and steps > 1, dropout_p=dropout
    )


def attention_weights(query: Tensor, key: Tensor, *, bias: Tensor | None = None, causal: bool = False) -> Tensor:
    """How much of each of S values goes to each of T queries, (B, N, T, S); see `attend`."""
    batch, heads, steps, channels = query.shape
    keys = key.shape[2]
    if causal and steps > 1:
        ahead = _ahead(query, keys)
        bias = ahead if bias is None else bias + ahead
    added = query.new_zeros(()) if bias is None else bias.to(query.dtype)
    scores = torch.baddbmm(
        added.expand(batch, heads, steps, keys).reshape(batch * heads, steps, keys),
        query.reshape(-1, steps, channels),
        key.reshape(-1, keys, channels).transpose(1, 2),
        alpha=1 / math.sqrt(channels),
    )
    return scores.softmax(2).view(batch, heads, steps, keys)


def padding_bias(lengths: Tensor, steps: int) -> Tensor:
    """What hides padding: lengths (B,) to (B, 1, 1, S), 0 within and `NEVER` beyond."""
    return (~within(lengths, steps) * NEVER)[:, None, None, :]


def _ahead(query: Tensor, keys: int) -> Tensor:
    """What hides from each of the last T of S steps those that follow it, (T, S)."""
    steps = query.shape[2]
    return query.new_full((steps, keys), NEVER).triu_(1 + keys - steps)


@final
class SelfAttention(nn.Module):
    """Steps that look at each other through `heads` heads: Vaswani et al. 2017, section 3.2.2.

    Keys and values of earlier steps may be given as `past`; those of all steps so far are given back.
    """

    def __init__(self, *, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        _check("SelfAttention", width, heads, dropout)
        self.heads, self.dropout = heads, dropout
        self.project, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        normal_(self.project, 1.0)
        normal_(self.out, 1.0)

    def forward(
        self,
        x: Tensor,
        *,
        angles: Tensor | None = None,
        bias: Tensor | None = None,
        causal: bool = False,
        past: Past | None = None,
    ) -> tuple[Tensor, Past]:
        query, key, value = _heads(self.project(x), 3, self.heads)
        if angles is not None:
            query, key = turned(query, angles), turned(key, angles)
        if past is not None and past[0].shape[2]:
            key, value = torch.cat([past[0], key], dim=2), torch.cat([past[1], value], dim=2)
        dropout = self.dropout if self.training else 0.0
        found = attend(query, key, value, bias=bias, causal=causal, dropout=dropout)
        return self.out(found.transpose(1, 2).flatten(2)), (key, value)


@final
class CrossAttention(nn.Module):
    """Steps that look at those of another sequence, of which `memory` makes keys and values once."""

    def __init__(self, *, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        _check("CrossAttention", width, heads, dropout)
        self.heads, self.dropout = heads, dropout
        self.query, self.project = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        for layer in (self.query, self.project, self.out):
            normal_(layer, 1.0)

    def memory(self, source: Tensor) -> Past:
        """Keys and values of a sequence (B, S, C)."""
        key, value = _heads(self.project(source), 2, self.heads)
        return key, value

    def forward(self, x: Tensor, memory: Past, *, bias: Tensor | None = None) -> Tensor:
        (query,) = _heads(self.query(x), 1, self.heads)
        found = attend(query, *memory, bias=bias, dropout=self.dropout if self.training else 0.0)
        result: Tensor = self.out(found.transpose(1, 2).flatten(2))
        return result

    def weights(self, x: Tensor, memory: Past, *, bias: Tensor | None = None) -> Tensor:
        """Where each step looks, the mean of the heads: (B, T, S)."""
        (query,) = _heads(self.query(x), 1, self.heads)
        return attention_weights(query, memory[0], bias=bias).mean(1)


def _heads(x: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    """(B, T, parts C) to parts of (B, N, T, D)."""
    batch, steps, _ = x.shape
    return x.view(batch, steps, parts, heads, -1).permute(2, 0, 3, 1, 4).unbind(0)


def _check(where: str, width: int, heads: int, dropout: float) -> None:
    require_sizes(where, width=width, heads=heads)
    require_dropout(where, dropout)
    if width % heads:
        raise RecipeError(where, f"a width of {width} is not divided by {heads} heads", "choose a multiple")
