"""What comes next in a series, as quantiles. B batch, T steps back, F steps ahead, C columns, K told, Q quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from penstock.nn.sizes import require_given, require_sizes


@final
class Forecaster(nn.Module):
    """The last value, plus a weighted sum of the steps before it, plus what a network finds: (B, T, C) to (B, F, K, Q).

    All of it is told relative to the last value, so that a series may wander off to where training never was. The sum
    is shared by all columns (the "NLinear" of Zeng et al. 2023, "Are transformers effective for time series
    forecasting?"); it starts at zero. `network` maps (B, T, 2 C), the values as they are and relative to the last, to
    (B, F K Q); None: the sum alone.
    """

    def __init__(
        self,
        network: nn.Module | None,
        *,
        context: int,
        ahead: int,
        columns: int,
        targets: Sequence[int],
        quantiles: int,
    ) -> None:
        super().__init__()
        require_sizes(
            "Forecaster", context=context, ahead=ahead, columns=columns, targets=len(targets), quantiles=quantiles
        )
        self.context, self.columns, self.shape = context, columns, (ahead, len(targets), quantiles)
        self.network = network
        self.sum = nn.Linear(context, ahead * quantiles)
        nn.init.zeros_(self.sum.weight)
        nn.init.zeros_(self.sum.bias)
        self.register_buffer("targets", torch.tensor(list(targets)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        require_given("Forecaster", "steps", self.context, x.shape[1])
        require_given("Forecaster", "columns", self.columns, x.shape[2])
        ahead, targets, quantiles = self.shape
        last = x[:, -1:]  # (B, 1, C)
        told = (x - last).index_select(2, self.get_buffer("targets"))  # (B, T, K)
        found: Tensor = self.sum(told.transpose(1, 2)).view(-1, targets, ahead, quantiles).transpose(1, 2)
        found = found + last.index_select(2, self.get_buffer("targets")).unsqueeze(3)
        if self.network is not None:
            found = found + self.network(torch.cat([x, x - last], 2)).view(-1, ahead, targets, quantiles)
        return found
