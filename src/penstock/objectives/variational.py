"""The variational autoencoder. B batch, Z code, S samples of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.errors import RecipeError
from penstock.core.objective import Update
from penstock.models.autoencoder import Autoencoder
from penstock.objectives.coding import Coding
from penstock.objectives.likelihood import Likelihood, full


class Variational(Coding):
    """The evidence lower bound (Kingma and Welling 2014, "Auto-encoding variational Bayes"), in nats an example.

    The encoder gives (B, 2 Z): means and log variances of a normal code, whose prior is the unit normal. `beta` weighs
    the divergence from the prior (Higgins et al. 2017, "beta-VAE"), which grows to that weight over the share `warmup`
    of the training. With `free_bits`, of nats a number of the code, no less divergence than that is worth anything
    (Kingma et al. 2016, "Improved variational inference with inverse autoregressive flow", appendix C.8: of the mean
    over the batch, which therefore cannot be accumulated). Evaluations draw `importance` samples a code for the tighter
    bound; none, and it is not given.
    """

    def __init__(
        self,
        model: Autoencoder,
        inputs: Sequence[str],
        *,
        likelihood: Likelihood,
        told: Sequence[str] = (),
        beta: float = 1.0,
        warmup: float = 0.0,
        free_bits: float = 0.0,
        importance: int = 0,
    ) -> None:
        super().__init__(model, inputs, likelihood=likelihood, told=told)
        for name, value, most in (("beta", beta, math.inf), ("warmup", warmup, 1.0), ("free_bits", free_bits, 1e6)):
            if not (0 <= value <= most and math.isfinite(value)):
                raise RecipeError(name, f"it is {value}", f"give a number from 0 to {most:g}")
        self.beta, self.warmup, self.free_bits, self.importance = beta, warmup, free_bits, importance
        self.separable = free_bits == 0
        self.measured = ("loss", "elbo", "divergence", *(["iwelbo"] if importance else []))

    def loss(self, batch: Batch) -> Update:
        """The negative bound, with the divergence weighed as it is at this moment of the training."""
        mean, log_variance = self.posterior(batch)
        output = self.decode(_drawn(mean, log_variance), batch)
        nats = self.likelihood.nats(output, *self.truth(batch)).mean()
        each = divergence(mean, log_variance).flatten(1).mean(0)  # (Z,)
        cost = (each.clamp(min=self.free_bits) if self.free_bits else each).sum()
        weight: float | Tensor = self.beta
        if self.warmup:  # progress is a tensor within compiled steps
            weight = self.beta * torch.as_tensor(self.progress / self.warmup, device=cost.device).clamp(max=1)
        return Update(nats + weight * cost, weight=batch.size)

    def posterior(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Means and log variances of the codes, (B, Z) each or (B, places, Z)."""
        mean, log_variance = full(self.model.encode(*self.truth(batch))).chunk(2, dim=-1)
        return mean, log_variance

    def encode(self, batch: Batch) -> Tensor:
        """The means."""
        return self.posterior(batch)[0]

    def output(self, batch: Batch) -> Tensor:
        """At the means of the codes."""
        return self.decode(self.encode(batch), batch)

    def sample(self, code: Tensor, batch: Batch) -> Tensor:
        """What examples with these codes look like; drawn from the unit normal, (B, Z), they are new ones."""
        return self.likelihood.mean(self.decode(code, batch))

    def measure(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """The negative bound with the full `beta`; elbo, the bound itself; with importance samples, iwelbo."""
        mean, log_variance = self.posterior(batch)
        output = self.decode(_drawn(mean, log_variance, generator), batch)
        nats = self.likelihood.nats(output, *self.truth(batch))
        cost = divergence(mean, log_variance).flatten(1).sum(1)
        found = {"loss": nats + self.beta * cost, "elbo": -nats - cost, "divergence": cost}
        if self.importance:
            found["iwelbo"] = self.importance_bound(batch, self.importance, generator)
        return found

    def importance_bound(self, batch: Batch, samples: int, generator: torch.Generator | None = None) -> Tensor:
        """log of the mean of p(x, z) / q(z | x) over S codes drawn for each example, (B,).

        Its expectation grows from the evidence lower bound, S = 1, to log p(x) (Burda et al. 2016, "Importance weighted
        autoencoders", theorem 1).
        """
        mean, log_variance = self.posterior(batch)
        ratios = []
        for _ in range(samples):
            code = _drawn(mean, log_variance, generator)
            away = (code - mean).square() * (-log_variance).exp()
            apart = 0.5 * (away + log_variance - code.square()).flatten(1).sum(1)  # log p(z) - log q(z | x)
            ratios.append(apart - self.likelihood.nats(self.decode(code, batch), *self.truth(batch)))
        return torch.stack(ratios).logsumexp(0) - math.log(samples)


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence of normals from the unit normal, number by number, in nats.

    Kingma and Welling 2014, appendix B.
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


def _drawn(mean: Tensor, log_variance: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """A code of each example, through which the gradient reaches mean and variance."""
    noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
    return mean + noise * (0.5 * log_variance).exp()
