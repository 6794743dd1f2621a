"""The Transformer's trunks: one that sees whole sequences, and one that sees the past alone.

B batch, T time, S steps of another sequence, H width, N heads, D channels of a head, L layers.
"""

from __future__ import annotations

import math
from typing import final

from torch import Tensor, nn
from torch.nn import functional as F

from penstock.models.trunk import Carry, Causal, Trunk
from penstock.nn.attention import CrossAttention, Past, SelfAttention, padding_bias
from penstock.nn.initialise import normal_
from penstock.nn.positions import Positions, Rotary
from penstock.nn.sizes import require_given, require_sizes
from penstock.nn.steps import within

WIDENING = 4
"""How many times wider the layer between two attentions is: Vaswani et al. 2017, section 3.3."""


@final
class WayRound(nn.Module):
    """The way round a part of a block: the sum of what went in and what was found is normalised, or what goes in is.

    The former is that of Vaswani et al. 2017; the latter, `pre_norm`, trains without warming up (Xiong et al. 2020, "On
    layer normalization in the Transformer architecture").
    """

    def __init__(self, *, width: int, dropout: float, pre_norm: bool) -> None:
        super().__init__()
        self.norm, self.dropout, self.pre_norm = nn.LayerNorm(width), dropout, pre_norm

    def into(self, x: Tensor) -> Tensor:
        """What the part is given."""
        return self.norm(x) if self.pre_norm else x

    def past(self, x: Tensor, found: Tensor) -> Tensor:
        """What went in, with what the part found."""
        x = x + (F.dropout(found, self.dropout, self.training) if self.dropout else found)
        return x if self.pre_norm else self.norm(x)


@final
class Block(nn.Module):
    """Self-attention and two linear layers, each with a way round it."""

    def __init__(self, *, width: int, heads: int, dropout: float, pre_norm: bool, gain: float) -> None:
        super().__init__()
        self.attention = SelfAttention(width=width, heads=heads, dropout=dropout)
        self.attention_way = WayRound(width=width, dropout=dropout, pre_norm=pre_norm)
        self.widen, self.narrow = nn.Linear(width, WIDENING * width), nn.Linear(WIDENING * width, width)
        self.way = WayRound(width=width, dropout=dropout, pre_norm=pre_norm)
        normal_(self.widen, 1.0)
        for layer in (self.attention.out, self.narrow):
            normal_(layer, gain)

    def forward(
        self,
        x: Tensor,
        *,
        angles: Tensor | None = None,
        bias: Tensor | None = None,
        causal: bool = False,
        past: Past | None = None,
    ) -> tuple[Tensor, Past]:
        """Steps (B, T, H), and the keys and values of all so far."""
        x, past = self.look(x, angles=angles, bias=bias, causal=causal, past=past)
        return self.digest(x), past

    def look(
        self,
        x: Tensor,
        *,
        angles: Tensor | None = None,
        bias: Tensor | None = None,
        causal: bool = False,
        past: Past | None = None,
    ) -> tuple[Tensor, Past]:
        """The first part."""
        found, past = self.attention(self.attention_way.into(x), angles=angles, bias=bias, causal=causal, past=past)
        return self.attention_way.past(x, found), past

    def digest(self, x: Tensor) -> Tensor:
        """The second part."""
        return self.way.past(x, self.narrow(F.gelu(self.widen(self.way.into(x)))))


@final
class CrossBlock(nn.Module):
    """A causal block that, between its two parts, looks at another sequence."""

    def __init__(self, *, width: int, heads: int, dropout: float, pre_norm: bool, gain: float) -> None:
        super().__init__()
        self.block = Block(width=width, heads=heads, dropout=dropout, pre_norm=pre_norm, gain=gain)
        self.cross = CrossAttention(width=width, heads=heads, dropout=dropout)
        self.cross_way = WayRound(width=width, dropout=dropout, pre_norm=pre_norm)
        normal_(self.cross.out, gain)

    def forward(
        self,
        x: Tensor,
        past: Past,
        memory: Past,
        *,
        bias: Tensor,
        angles: Tensor | None = None,
        looks: list[Tensor] | None = None,
    ) -> tuple[Tensor, Past]:
        """Steps (B, T, H), and the keys and values of all so far; where it looks (B, T, S) is added to `looks`."""
        x, past = self.block.look(x, angles=angles, causal=True, past=past)
        given = self.cross_way.into(x)
        if looks is not None:
            looks.append(self.cross.weights(given, memory, bias=bias))
        x = self.cross_way.past(x, self.cross(given, memory, bias=bias))
        return self.block.digest(x), past


@final
class Encoder(Trunk):
    """Layers of attention in which every step sees all steps: Vaswani et al. 2017. Marks places by `positions`."""

    def __init__(
        self,
        *,
        width: int,
        layers: int = 4,
        heads: int = 4,
        dropout: float = 0.0,
        positions: Positions | None = None,
        pre_norm: bool = True,
    ) -> None:
        super().__init__()
        require_sizes("Encoder", width=width, layers=layers, heads=heads)
        self.inputs = self.outputs = width
        self.positions = positions if positions is not None else Rotary()
        gain = depth_gain(2 * layers, pre_norm=pre_norm)
        self.blocks = nn.ModuleList(
            Block(width=width, heads=heads, dropout=dropout, pre_norm=pre_norm, gain=gain) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width) if pre_norm else nn.Identity()
        self.dropout, self._channels = nn.Dropout(dropout), width // heads

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(B, T, H) to (B, T, H); steps from `lengths` (B,) on come out as 0 and are seen by none."""
        require_given("Encoder", "inputs a step", self.inputs, x.shape[2])
        angles = self.positions.angles(x, 0, self._channels)
        x = self.dropout(self.positions(x, 0))
        bias = None if lengths is None else padding_bias(lengths, x.shape[1])
        for block in self.blocks:
            x, _ = block(x, angles=angles, bias=bias)
        found: Tensor = self.norm(x)
        return found if lengths is None else found * within(lengths, x.shape[1]).unsqueeze(2)


@final
class Decoder(Causal):
    """Layers of attention in which every step sees the steps up to it; it remembers their keys and values.

    The decoder without encoder of Radford et al. 2019 (GPT-2). Marks places by `positions`.
    """

    def __init__(
        self,
        *,
        width: int,
        layers: int = 4,
        heads: int = 4,
        dropout: float = 0.0,
        positions: Positions | None = None,
        pre_norm: bool = True,
    ) -> None:
        super().__init__()
        require_sizes("Decoder", width=width, layers=layers, heads=heads)
        self.inputs = self.outputs = width
        self.positions = positions if positions is not None else Rotary()
        gain = depth_gain(2 * layers, pre_norm=pre_norm)
        self.blocks = nn.ModuleList(
            Block(width=width, heads=heads, dropout=dropout, pre_norm=pre_norm, gain=gain) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width) if pre_norm else nn.Identity()
        self.dropout, self._heads = nn.Dropout(dropout), heads

    def begin(self, examples: int) -> Carry:
        """Keys and values of no step, (B, N, 0, D), of each layer in turn."""
        like = next(self.parameters())
        empty = like.new_zeros(examples, self._heads, 0, self.inputs // self._heads)
        return (empty,) * (2 * len(self.blocks))

    def advance(self, x: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
        """The next steps (B, T, H), after those that `carry` remembers: (B, T, H), and what to remember."""
        require_given("Decoder", "inputs a step", self.inputs, x.shape[2])
        start, after = carry[0].shape[2], list[Tensor]()
        angles = self.positions.angles(x, start, self.inputs // self._heads)
        x = self.dropout(self.positions(x, start))
        for block, past in zip(self.blocks, pairs(carry), strict=True):
            x, past = block(x, angles=angles, causal=True, past=past)
            after += past
        return self.norm(x), tuple(after)


def depth_gain(parts: int, *, pre_norm: bool) -> float:
    """The gain of a part's last layer, so that the sum of all `parts` keeps its size: Radford et al. 2019, section 2.3.

    Where every sum is normalised, it is 1.
    """
    return 1 / math.sqrt(parts) if pre_norm else 1.0


def pairs(carry: Carry) -> list[Past]:
    """Keys and values, layer by layer."""
    return list(zip(carry[::2], carry[1::2], strict=True))
