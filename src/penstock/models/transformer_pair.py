"""The Transformer that translates: an encoder, and a decoder that looks at what it found.

B batch, S steps read, T steps written, H width, V vocabulary, L layers, N heads, D channels of a head.
"""

from __future__ import annotations

import math
from typing import final

from torch import Tensor, nn
from torch.nn import functional as F

from penstock.models.transformer import CrossBlock, Encoder, depth_gain, pairs
from penstock.models.translator import Translator
from penstock.models.trunk import Carry
from penstock.nn.attention import padding_bias
from penstock.nn.positions import Positions
from penstock.nn.sizes import require_sizes


@final
class Transformer(Translator):
    """Tokens (B, S) of the source and (B, T) of the target to logits (B, T, V): Vaswani et al. 2017.

    The target's embeddings are also the weights of the last layer (Press and Wolf 2017, "Using the output embedding to
    improve language models").
    """

    def __init__(
        self,
        *,
        vocabulary: int,
        outputs: int,
        width: int = 128,
        layers: int = 3,
        heads: int = 4,
        dropout: float = 0.1,
        positions: Positions | None = None,
        pre_norm: bool = True,
    ) -> None:
        super().__init__()
        require_sizes("Transformer", vocabulary=vocabulary, outputs=outputs, width=width, layers=layers, heads=heads)
        self.outputs, self._width, self._heads = outputs, width, heads
        self.source, self.target = nn.Embedding(vocabulary, width), nn.Embedding(outputs, width)
        for embedding in (self.source, self.target):
            nn.init.normal_(embedding.weight, std=1 / math.sqrt(width))
        self.encoder = Encoder(
            width=width, layers=layers, heads=heads, dropout=dropout, positions=positions, pre_norm=pre_norm
        )
        gain = depth_gain(3 * layers, pre_norm=pre_norm)
        self.blocks = nn.ModuleList(
            CrossBlock(width=width, heads=heads, dropout=dropout, pre_norm=pre_norm, gain=gain) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width) if pre_norm else nn.Identity()
        self.bias = nn.Parameter(self.target.weight.new_zeros(outputs))
        self.dropout = nn.Dropout(dropout)

    def begin(self, source: Tensor, lengths: Tensor) -> Carry:
        """What hides the padding (B, 1, 1, S), keys and values of what was read, then those of what was written."""
        read = self.encoder(self._embed(self.source, source), lengths)  # (B, S, H)
        empty = read.new_zeros(len(source), self._heads, 0, self._width // self._heads)
        memories: list[Tensor] = []  # (B, N, S, D) each
        for block in self.blocks:
            assert isinstance(block, CrossBlock)
            memories += block.cross.memory(read)
        return padding_bias(lengths, source.shape[1]), *memories, *[empty] * len(memories)

    def advance(self, tokens: Tensor, carry: Carry, looks: list[Tensor] | None = None) -> tuple[Tensor, Carry]:
        """See `Translator`."""
        bias, *rest = carry
        memories, pasts = rest[: len(rest) // 2], rest[len(rest) // 2 :]
        start, after = pasts[0].shape[2], list[Tensor]()
        x = self._embed(self.target, tokens)
        angles = self.encoder.positions.angles(x, start, self._width // self._heads)
        x = self.dropout(self.encoder.positions(x, start))
        for block, memory, past in zip(self.blocks, pairs(tuple(memories)), pairs(tuple(pasts)), strict=True):
            x, past = block(x, past, memory, bias=bias, angles=angles, looks=looks)
            after += past
        return F.linear(self.norm(x), self.target.weight, self.bias), (bias, *memories, *after)

    def _embed(self, embedding: nn.Embedding, tokens: Tensor) -> Tensor:
        """Vectors of deviation 1 (B, T, H), although the weights are small enough to be a last layer's."""
        found: Tensor = embedding(tokens) * math.sqrt(self._width)
        return found
