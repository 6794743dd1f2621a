"""Telling a future that is not certain.

B batch, N windows, T steps back, F steps ahead, C columns, K of them told, Q levels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from penstock.core.batch import Batch
from penstock.core.errors import DataError
from penstock.core.objective import Evaluation, Update
from penstock.core.shared import rows
from penstock.metrics.forecasting import mase, pinball
from penstock.objectives.predicting import Predicting


class Quantiles(Predicting):
    """A model from "series" (B, T, C) to quantiles (B, F, K, Q) of "target" (B, F, K), both standardised.

    Quantile q is the value that the truth stays below with probability q; the loss, mean over all, is that of Koenker
    and Bassett 1978, "Regression quantiles". `levels` (Q,) rise and hold 0.5. Evaluations and predictions are in the
    series' own units, by `centre` and `scale` (K,); MASE is relative to `naive` (K,), the mean error in training of
    taking what was there `season` steps before. `targets` are the K of the C columns.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Sequence[str],
        *,
        levels: Sequence[float],
        centre: Tensor,
        scale: Tensor,
        naive: Tensor,
        targets: Sequence[int],
        season: int,
    ) -> None:
        super().__init__(model, inputs)
        self.register_buffer("levels", torch.tensor(list(levels)), persistent=False)
        self.register_buffer("targets", torch.tensor(list(targets)), persistent=False)
        self.centre, self.scale, self.naive, self.season = centre, scale, naive, season
        self.middle = list(levels).index(0.5)

    def forward(self, batch: Batch) -> Tensor:
        """The model's quantiles on a batch."""
        found: Tensor = self.model(*[batch[name] for name in self.inputs])
        return found

    def loss(self, batch: Batch) -> Update:
        """Mean over steps, columns and levels."""
        return Update(pinball(self(batch), batch["target"], self.get_buffer("levels")), weight=batch.size)

    def evaluate(self, source: Iterable[Batch]) -> Evaluation:
        """Loss as in training; MAE and RMSE of the median, MASE, in own units and over all columns.

        Records: "prediction" (N, F, K, Q), "target" (N, F, K), "known" before them, (N, 2 F at most, K), and what two
        simple rules say: "last" (N, 1, K), to stay where one is, and "seasonal" (N, F, K), as a season before.
        """
        found = rows(source, self._found)
        if not found:
            raise DataError("evaluation", "there are no windows", "give at least one window to evaluate on")
        output, target, known, seasonal = (torch.cat(parts).double() for parts in zip(*found, strict=True))
        output = output.sort(3).values
        loss = float(pinball(output, target, self.get_buffer("levels").cpu().double()))
        truth, before, again = (self._own(value) for value in (target, known, seasonal))
        told = self._own(output.transpose(2, 3)).transpose(2, 3)
        error = told[..., self.middle] - truth
        metrics = {
            "loss": loss,
            "mae": float(error.abs().mean()),
            "rmse": float(error.square().mean().sqrt()),
            "mase": mase(error, self.naive),
        }
        records = {"prediction": told, "target": truth, "known": before, "last": before[:, -1:], "seasonal": again}
        return Evaluation(metrics, records)

    def predict(self, batch: Batch) -> Tensor:
        """Quantiles (B, F, K, Q) in own units, each at least as large as the one before it."""
        found = self(batch).cpu().double().sort(3).values
        return self._own(found.transpose(2, 3)).transpose(2, 3)

    def _found(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        known = batch["series"].index_select(2, self.get_buffer("targets")).float()  # (B, T, K)
        ahead, steps = batch["target"].shape[1], known.shape[1]
        season = min(self.season, steps)
        again = torch.arange(ahead, device=known.device) % season + steps - season
        return self(batch).float().cpu(), batch["target"].cpu(), known[:, -2 * ahead :].cpu(), known[:, again].cpu()

    def _own(self, value: Tensor) -> Tensor:
        """Standardised values (..., K) in the series' own units."""
        return value * self.scale + self.centre
