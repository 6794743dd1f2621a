"""The vector-quantised autoencoder. B batch, K entries, D their width."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from penstock.core.batch import Batch
from penstock.core.errors import RecipeError
from penstock.core.objective import Evaluation, Update
from penstock.models.autoencoder import QuantisedAutoencoder
from penstock.objectives.coding import Coding
from penstock.objectives.likelihood import Gaussian, Likelihood, full


class Quantised(Coding):
    """The error of reconstruction, and `commitment` times that of the rounding of the code.

    van den Oord et al. 2017, "Neural discrete representation learning", equation (3), with the codebook's term replaced
    by moving averages (see `Quantiser`).
    """

    model: QuantisedAutoencoder

    def __init__(
        self,
        model: QuantisedAutoencoder,
        inputs: Sequence[str],
        *,
        likelihood: Likelihood | None = None,
        told: Sequence[str] = (),
        commitment: float = 0.25,
    ) -> None:
        super().__init__(model, inputs, likelihood=likelihood or Gaussian(), told=told)
        if not 0 <= commitment < float("inf"):
            raise RecipeError("commitment", f"it is {commitment}", "give a number from 0, such as 0.25")
        self.commitment = commitment

    def loss(self, batch: Batch) -> Update:
        """The mean over the examples."""
        code = self.model.encode(*self.truth(batch))
        rounded, _ = self.model.quantiser(code)
        error = self.likelihood.error(self.decode(rounded, batch), *self.truth(batch)).mean()
        return Update(error + self.commitment * _strayed(code, rounded).mean(), weight=batch.size)

    def stepped(self) -> None:
        """The codebook follows."""
        self.model.quantiser.stepped()

    def encode(self, batch: Batch) -> Tensor:
        """The numbers of the entries, (B, places) or (B, H, W) int64."""
        return self.model.quantiser.nearest(self.model.encode(*self.truth(batch)))

    def restored(self, found: Tensor, batch: Batch) -> Tensor:
        """What examples look like that are coded by these numbers of entries, as `encode` gives them."""
        return self.likelihood.mean(self.decode(self.model.quantiser.entries(found), batch))

    def output(self, batch: Batch) -> Tensor:
        """Of the rounded codes."""
        return self.decode(self.model.quantiser.entries(self.encode(batch)), batch)

    def measure(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """The loss as in training."""
        code = self.model.encode(*self.truth(batch))
        rounded = self.model.quantiser.entries(self.model.quantiser.nearest(code))
        error = self.likelihood.error(self.decode(rounded, batch), *self.truth(batch))
        return {"loss": error + self.commitment * _strayed(code, rounded)}

    def summary(self, batch: Batch) -> Tensor:
        """How often each entry stands in an example's code, as shares (B, K)."""
        found = self.encode(batch).flatten(1)  # (B, places), -1 for padding
        counts = F.one_hot(found + 1, self.model.quantiser.codes + 1).sum(1)[:, 1:].float()
        return counts / counts.sum(1, keepdim=True).clamp(min=1)

    def evaluate(self, source: Iterable[Batch]) -> Evaluation:
        """As every autoencoder, and codes_used, the share of the codebook that some example needs."""
        found = super().evaluate(source)
        used = float((found.records["code"] > 0).any(0).double().mean())
        return Evaluation(found.metrics | {"codes_used": used}, found.records)


def _strayed(code: Tensor, rounded: Tensor) -> Tensor:
    """How far each example's code is from the entries, squared, by value: (B,)."""
    return (full(code) - full(rounded).detach()).square().flatten(1).mean(1)
