"""The variational autoencoder against hand-written bounds, Monte Carlo and a model whose likelihood is known."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, distributions, nn

from penstock.core.batch import Batch
from penstock.core.errors import RecipeError
from penstock.models.autoencoder import Autoencoder, DenseDecoder
from penstock.models.mlp import MLP
from penstock.objectives import coding
from penstock.objectives.coding import EVALUATION_SEED
from penstock.objectives.likelihood import Bernoulli, Gaussian
from penstock.objectives.variational import Variational, divergence

COUNT, CODE = 24, 3


def batch() -> Batch:
    generator = torch.Generator().manual_seed(1)
    return Batch(x=(torch.rand(COUNT, 2, 3, generator=generator, dtype=torch.float64) > 0.5).double())


def objective(**options: Any) -> Variational:
    torch.manual_seed(0)
    model = Autoencoder(
        MLP(inputs=6, outputs=2 * CODE, hidden=(8,), activation=nn.Tanh),
        DenseDecoder(inputs=CODE, shape=(2, 3), hidden=(8,)),
    )
    return Variational(model.double(), ["x"], **{"likelihood": Bernoulli()} | options)


def by_hand(made: Variational, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """-log p(x | z) at mean + deviation noise, (B,), and the divergence, (B, Z), by torch.distributions."""
    found = made.model.encoder(x)
    posterior = distributions.Normal(found[:, :CODE], found[:, CODE:].exp().sqrt())
    logits = made.model.decoder(posterior.loc + posterior.scale * noise)
    nats = -distributions.Bernoulli(logits=logits).log_prob(x).sum((1, 2))
    prior = distributions.Normal(torch.zeros_like(noise), torch.ones_like(noise))
    return nats, distributions.kl_divergence(posterior, prior)


@pytest.mark.parametrize(("beta", "free_bits"), [(1.0, 0.0), (4.0, 0.0), (0.0, 0.0), (1.0, 0.15)])
def test_the_loss_is_a_hand_written_bound(beta: float, free_bits: float) -> None:
    made, given = objective(beta=beta, free_bits=free_bits), batch()
    torch.manual_seed(5)
    update = made.loss(given)
    torch.manual_seed(5)
    nats, cost = by_hand(made, given["x"], torch.randn(COUNT, CODE, dtype=torch.float64))
    each = cost.mean(0)
    assert free_bits == 0 or 0 < int((each < free_bits).sum()) < CODE  # the floor is felt, by some
    expected = nats.mean() + beta * each.clamp(min=free_bits).sum()
    assert float(update.loss.detach()) == pytest.approx(float(expected.detach()), abs=1e-6, rel=0)
    parameters = list(made.model.parameters())
    torch.testing.assert_close(
        torch.autograd.grad(update.loss, parameters), torch.autograd.grad(expected, parameters), rtol=1e-9, atol=1e-12
    )
    assert update.weight == COUNT
    assert made.separable == (free_bits == 0)


def test_the_divergence_is_what_chance_finds() -> None:
    generator = torch.Generator().manual_seed(0)
    mean, log_variance = torch.tensor([0.0, 1.5, -0.3]).double(), torch.tensor([0.0, -2.0, 1.0]).double()
    posterior = distributions.Normal(mean, (0.5 * log_variance).exp())
    z = mean + posterior.scale * torch.randn(400_000, 3, generator=generator, dtype=torch.float64)
    ratios = posterior.log_prob(z) - distributions.Normal(0.0, 1.0).log_prob(z)
    error = 5 * ratios.std(0) / math.sqrt(len(z))
    found = divergence(mean, log_variance)
    assert ((found - ratios.mean(0)).abs() <= error + 1e-12).all()
    assert float(found[0]) == 0


def test_beta_grows_over_the_warmup() -> None:
    made, given = objective(beta=2.0, warmup=0.5), batch()
    losses = {}
    for progress in (0.0, 0.25, 0.5, 1.0):
        made.progress = progress
        torch.manual_seed(5)
        losses[progress] = float(made.loss(given).loss.detach())
    torch.manual_seed(5)
    nats, cost = by_hand(made, given["x"], torch.randn(COUNT, CODE, dtype=torch.float64))
    for progress, weight in ((0.0, 0.0), (0.25, 1.0), (0.5, 2.0), (1.0, 2.0)):
        expected = nats.mean() + weight * cost.sum(1).mean()
        assert losses[progress] == pytest.approx(float(expected.detach()), rel=1e-6)


def test_evaluation() -> None:
    made, given = objective(beta=3.0, free_bits=0.5, importance=7), batch()
    with torch.no_grad():
        found = made.evaluate([given])
        torch.manual_seed(9)
        again = made.evaluate([given])
        generator = torch.Generator().manual_seed(EVALUATION_SEED)
        noise = torch.randn(COUNT, CODE, generator=generator, dtype=torch.float64)
        nats, cost = (value.double() for value in by_hand(made, given["x"], noise))
        bound = made.importance_bound(given, 7, generator)
        plain = objective().evaluate([given]).metrics
        middle = made.model.decoder(made.model.encoder(given["x"])[:, :CODE]).sigmoid()
    expected = {
        "loss": float((nats + 3 * cost.sum(1)).mean()),
        "elbo": -float((nats + cost.sum(1)).mean()),
        "divergence": float(cost.sum(1).mean()),
        "iwelbo": float(bound.mean()),
        "rmse": float((middle - given["x"]).square().mean().sqrt()),
    }
    assert found.metrics == pytest.approx(expected, rel=1e-9)
    assert again.metrics == found.metrics
    assert plain.keys() == expected.keys() - {"iwelbo"}
    torch.testing.assert_close(made.reconstruct(given).detach(), middle)
    torch.testing.assert_close(found.records["code"], made.encode(given).detach().float())


def test_who_looked_at_no_batch_evaluates_what_the_others_found(monkeypatch: pytest.MonkeyPatch) -> None:
    made, given = objective(importance=2), batch()
    with torch.no_grad():
        expected = made.evaluate(given.split(3))
        kept: list[Any] = []
        monkeypatch.setattr(coding, "rows", lambda source, look: kept.extend(map(look, source)) or kept)
        made.evaluate(given.split(3))
        monkeypatch.setattr(coding, "rows", lambda source, look: kept)  # as of a rank without a part of its own
        found = objective(importance=2).evaluate([])
    assert found.metrics == expected.metrics


class LinearGaussian:
    """x = W z + b + noise: p(x) is normal with variance W W' + s^2, and the posterior of z is normal too."""

    def __init__(self, deviation: float = 0.6) -> None:
        torch.manual_seed(3)
        self.w, self.b = torch.randn(5, 2, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
        # columns at right angles: the true posterior then has no correlation, as the encoder's
        self.w[:, 1] -= self.w[:, 0] * (self.w[:, 0] @ self.w[:, 1]) / self.w[:, 0].square().sum()
        self.deviation = deviation
        covariance = self.w @ self.w.T + deviation**2 * torch.eye(5, dtype=torch.float64)
        self.law = distributions.MultivariateNormal(self.b, covariance)

    def objective(self, *, exact: bool) -> Variational:
        precision = 1 + self.w.square().sum(0) / self.deviation**2
        encoder, decoder = nn.Linear(5, 4).double(), nn.Linear(2, 5).double()
        with torch.no_grad():
            decoder.weight.copy_(self.w)
            decoder.bias.copy_(self.b)
            gain = self.w.T / self.deviation**2 / precision[:, None]
            encoder.weight.copy_(torch.cat([gain, torch.zeros_like(gain)]))
            encoder.bias.copy_(torch.cat([-gain @ self.b, -precision.log()]))
            if not exact:
                encoder.bias += torch.tensor([0.3, -0.2, 0.8, 0.5])
        return Variational(Autoencoder(encoder, decoder), ["x"], likelihood=Gaussian(deviation=self.deviation))


def test_the_importance_bound_rises_from_the_elbo_to_the_known_likelihood() -> None:
    known = LinearGaussian()
    x = known.law.sample((60,))
    made, given = known.objective(exact=False), Batch(x=x)
    truth = float(known.law.log_prob(x).mean())
    with torch.no_grad():
        many = Batch(x=x.repeat(200, 1))
        elbo = float(made.measure(many, torch.Generator().manual_seed(0))["elbo"].mean())
        bounds = [
            float(made.importance_bound(many, samples, torch.Generator().manual_seed(1)).mean())
            for samples in (1, 5, 50)
        ]
        best = float(made.importance_bound(given, 5000, torch.Generator().manual_seed(2)).mean())
    assert bounds[0] == pytest.approx(elbo, abs=0.05)
    assert elbo + 0.1 < bounds[1] < bounds[2] < truth + 0.01
    assert best == pytest.approx(truth, abs=0.01)


def test_with_the_true_posterior_every_sample_gives_the_likelihood() -> None:
    known = LinearGaussian()
    x = known.law.sample((10,))
    made = known.objective(exact=True)
    truth = known.law.log_prob(x)
    for samples in (1, 3):
        found = made.importance_bound(Batch(x=x), samples).detach()
        torch.testing.assert_close(found, truth, rtol=1e-9, atol=1e-9)


def test_new_examples_and_a_few_learnt() -> None:
    made, given = objective(beta=0.1), batch()
    optimizer = torch.optim.Adam(made.parameters(), lr=0.02)
    torch.manual_seed(0)
    losses = []
    for _ in range(300):
        optimizer.zero_grad()
        loss = made.loss(given).loss
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-20:]) / 20 < 0.5 * losses[0]
    new = made.sample(torch.randn(7, CODE, dtype=torch.float64), Batch())
    assert new.shape == (7, 2, 3)
    assert 0 < float(new.detach().min()) < float(new.detach().max()) < 1


@pytest.mark.parametrize("option", [{"beta": -1.0}, {"warmup": 1.5}, {"free_bits": float("nan")}])
def test_settings_that_make_no_sense_are_refused(option: dict[str, float]) -> None:
    with pytest.raises(RecipeError, match=f"^{next(iter(option))}: it is "):
        objective(**option)
