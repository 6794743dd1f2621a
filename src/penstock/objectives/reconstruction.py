"""Learning to code examples and to tell them from the code: plain, denoising, sparse and contractive."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.objective import Update
from penstock.models.autoencoder import Autoencoder
from penstock.objectives.code_penalties import Penalty
from penstock.objectives.coding import Coding
from penstock.objectives.corruption import Corruption
from penstock.objectives.likelihood import Gaussian, Likelihood


class Reconstruction(Coding):
    """The error of reconstruction, by value.

    With a `corruption`, the encoder sees the examples spoilt and what it does not see is to be restored (Vincent et al.
    2008, "Extracting and composing robust features with denoising autoencoders"); a `penalty` is added in training.
    """

    def __init__(
        self,
        model: Autoencoder,
        inputs: Sequence[str],
        *,
        likelihood: Likelihood | None = None,
        told: Sequence[str] = (),
        corruption: Corruption | None = None,
        penalty: Penalty | None = None,
    ) -> None:
        super().__init__(model, inputs, likelihood=likelihood or Gaussian(), told=told)
        self.corruption, self.penalty = corruption, penalty
        self.separable = penalty is None or penalty.separable

    def loss(self, batch: Batch) -> Update:
        """The mean over the examples, with the penalty."""
        seen = self._seen(batch, None)
        if self.penalty is not None and self.penalty.of_inputs:
            seen[0] = seen[0].detach().requires_grad_()
        code = self.model.encode(*seen)
        loss = self.likelihood.error(self.decode(code, batch), *self.truth(batch)).mean()
        if self.penalty is not None:
            loss = loss + self.penalty(code, seen)
        return Update(loss, weight=batch.size)

    def encode(self, batch: Batch) -> Tensor:
        """(B, Z) or (B, places, Z)."""
        return self.model.encode(*self.truth(batch))

    def output(self, batch: Batch) -> Tensor:
        """Of examples as they are: what is spoilt in them is theirs."""
        return self.decode(self.encode(batch), batch)

    def measure(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """The error as in training, of spoilt examples where it is to restore them; no penalty."""
        code = self.model.encode(*self._seen(batch, generator))
        return {"loss": self.likelihood.error(self.decode(code, batch), *self.truth(batch))}

    def _seen(self, batch: Batch, generator: torch.Generator | None) -> list[Tensor]:
        return self.truth(batch) if self.corruption is None else self.corruption(self.truth(batch), generator)
