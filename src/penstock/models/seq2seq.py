"""Two recurrent networks that translate: one reads, the other writes, looking back at what was read.

B batch, S steps read, T steps written, C channels of an embedding, H of a step read, V vocabulary.
"""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.models.translator import Translator
from penstock.models.trunk import Carry, Causal, Trunk
from penstock.nn.attention import padding_bias
from penstock.nn.initialise import normal_
from penstock.nn.scores import Scores
from penstock.nn.sizes import require_dropout, require_sizes


@final
class Seq2Seq(Translator):
    """Tokens (B, S) of the source and (B, T) of the target to logits (B, T, V).

    The writer starts from both ends of what was read (Sutskever, Vinyals and Le 2014; Cho et al. 2014). With `scores`,
    each of its steps then takes what it looks for from all that was read: attention in the order of Luong, Pham and
    Manning 2015, section 3.1, which lets all given steps be computed at once. The target's embeddings are also the
    weights of the last layer. `writer` is recurrent: what it remembers is of a fixed size.
    """

    def __init__(
        self,
        *,
        vocabulary: int,
        outputs: int,
        reader: Trunk,
        writer: Causal,
        scores: Scores | None = None,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        require_sizes("Seq2Seq", vocabulary=vocabulary, outputs=outputs)
        require_dropout("Seq2Seq", dropout)
        self.outputs, self.reader, self.writer, self.scores = outputs, reader, writer, scores
        self.source, self.target = nn.Embedding(vocabulary, reader.inputs), nn.Embedding(outputs, writer.inputs)
        for embedding in (self.source, self.target):
            nn.init.normal_(embedding.weight, std=1 / math.sqrt(embedding.embedding_dim))
        self._shapes = [part.shape[1:] for part in writer.begin(1)]
        self.start = nn.Linear(2 * reader.outputs, sum(shape.numel() for shape in self._shapes))
        found = writer.outputs + (reader.outputs if scores is not None else 0)
        self.merge = nn.Linear(found, writer.inputs)
        for layer in (self.start, self.merge):
            normal_(layer, 1.0)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.dropout = nn.Dropout(dropout)

    def begin(self, source: Tensor, lengths: Tensor) -> Carry:
        """What hides the padding (B, 1, S), what was read (B, S, H) and as it is compared, then the writer's carry."""
        x = self._embed(self.source, source)
        read = self.reader(x, lengths)  # (B, S, H)
        last = read[torch.arange(len(read), device=read.device), lengths - 1]
        start = self.start(torch.cat([last, read[:, 0]], dim=1)).tanh()
        parts = start.split([shape.numel() for shape in self._shapes], dim=1)
        state = [part.reshape(len(read), *shape) for part, shape in zip(parts, self._shapes, strict=True)]
        if self.scores is None:
            return tuple(state)
        return padding_bias(lengths, source.shape[1]).squeeze(1), read, self.scores.prepare(read), *state

    def advance(self, tokens: Tensor, carry: Carry, looks: list[Tensor] | None = None) -> tuple[Tensor, Carry]:
        """See `Translator`."""
        memory, state = (carry[:3], carry[3:]) if self.scores is not None else ((), carry)
        found, state = self.writer.advance(self._embed(self.target, tokens), state)  # (B, T, H)
        if self.scores is not None:
            bias, read, prepared = memory
            weights = (self.scores(found, prepared) + bias).softmax(2)  # (B, T, S)
            if looks is not None:
                looks.append(weights)
            found = torch.cat([found, weights.to(read.dtype) @ read], dim=2)
        merged = self.dropout(self.merge(self.dropout(found)).tanh())  # (B, T, C)
        return F.linear(merged, self.target.weight, self.bias), (*memory, *state)

    def _embed(self, embedding: nn.Embedding, tokens: Tensor) -> Tensor:
        """Vectors of deviation 1, although the weights are small enough to be a last layer's."""
        found: Tensor = self.dropout(embedding(tokens) * math.sqrt(embedding.embedding_dim))
        return found
