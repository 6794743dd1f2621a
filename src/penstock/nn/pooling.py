"""One vector for a whole sequence. B batch, T time, H hidden width."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from penstock.nn.steps import within


@final
class Pooling(nn.Module):
    """The last step, the mean and the largest of all real steps, side by side: (B, T, H) to (B, 3 H).

    What matters may stand anywhere in a long sequence, and the last step alone may have lost it. An empty sequence
    gives zeros. Howard and Ruder 2018, "Universal language model fine-tuning", section 3.3 ("concat pooling").
    """

    parts = 3

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """`lengths` (B,): how many steps are real; all, where they are not given."""
        if not x.shape[1]:
            return x.new_zeros(len(x), self.parts * x.shape[2])
        if lengths is None:
            return torch.cat([x[:, -1], x.mean(1), x.amax(1)], 1)
        real = within(lengths, x.shape[1]).unsqueeze(2)  # (B, T, 1)
        end = (lengths - 1).clamp(min=0).view(-1, 1, 1).expand(-1, 1, x.shape[2])
        last = x.gather(1, end).squeeze(1)
        mean = x.masked_fill(~real, 0).sum(1) / lengths.clamp(min=1).unsqueeze(1)
        largest = x.masked_fill(~real, -torch.inf).amax(1)
        return torch.cat([last, mean, largest], 1).masked_fill((lengths == 0).unsqueeze(1), 0)
