"""A text as the bag of its tokens, whatever their order. B batch, T time, H hidden width."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from penstock.nn.initialise import normal_
from penstock.nn.sizes import require_dropout, require_sizes
from penstock.nn.steps import within


@final
class Bag(nn.Module):
    """The mean and the largest of the tokens' embeddings, then a linear head: tokens (B, T) int64 to (B, outputs).

    What a text is about can mostly be told from its words alone; it is trained in seconds. Joulin et al. 2017, "Bag of
    tricks for efficient text classification", section 2, with the largest beside the mean. In training, `dropout` acts
    on whole tokens and before the head.
    """

    def __init__(self, *, outputs: int, vocabulary: int, width: int = 128, dropout: float = 0.0) -> None:
        super().__init__()
        require_sizes("Bag", outputs=outputs, vocabulary=vocabulary, width=width)
        require_dropout("Bag", dropout)
        self.embedding, self.dropout = nn.Embedding(vocabulary, width), nn.Dropout(dropout)
        self.head = nn.Linear(2 * width, outputs)
        nn.init.normal_(self.embedding.weight, std=0.1)  # small, so that a rare token has little to say
        normal_(self.head, 1.0)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """`lengths` (B,): how many of the T tokens are real; all, where they are not given."""
        real = torch.ones_like(x, dtype=torch.bool) if lengths is None else within(lengths, x.shape[1])
        if self.training and self.dropout.p:
            real = real & (torch.rand(x.shape, device=x.device) >= self.dropout.p)
        count = real.sum(1, keepdim=True).clamp(min=1)
        real = real.unsqueeze(2)  # (B, T, 1)
        found = self.embedding(x)  # (B, T, H)
        mean = found.masked_fill(~real, 0).sum(1) / count
        largest = found.masked_fill(~real, -torch.inf).amax(1) if x.shape[1] else mean
        largest = largest.masked_fill(~real.any(1), 0)
        pooled: Tensor = self.head(self.dropout(torch.cat([mean, largest], 1)))
        return pooled
