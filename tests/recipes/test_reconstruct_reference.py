"""A variational autoencoder of 20 numbers on black and white digits, against one written apart from everything here."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, distributions, nn

from penstock.recipes.job import Supplied
from penstock.recipes.reconstruct import Reconstruct
from penstock.run.execute import make_engine

STEPS, BATCH, HIDDEN, CODE, RATE = 800, 64, 128, 20, 3e-3


@pytest.fixture
def most_batches() -> int:
    return 2 * STEPS


class Reference(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(64, HIDDEN)
        self.mean, self.spread = nn.Linear(HIDDEN, CODE), nn.Linear(HIDDEN, CODE)
        self.outer = nn.Sequential(nn.Linear(CODE, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 64))

    def bound(self, x: Tensor) -> Tensor:
        """The evidence lower bound of each example, with one sample of its code."""
        hidden = self.inner(x).relu()
        posterior = distributions.Normal(self.mean(hidden), (self.spread(hidden) / 2).exp())
        code = posterior.rsample()
        said = distributions.Bernoulli(logits=self.outer(code)).log_prob(x).sum(1)
        prior = distributions.Normal(torch.zeros(CODE), torch.ones(CODE))
        return said - distributions.kl_divergence(posterior, prior).sum(1)


def reference(train: Tensor, test: Tensor) -> float:
    torch.manual_seed(1)
    model = Reference()
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (1 + math.cos(math.pi * step / STEPS)) / 2)
        optimizer.zero_grad()
        (-model.bound(train[torch.randint(len(train), (BATCH,))]).mean()).backward()
        optimizer.step()
    with torch.no_grad():
        return float(torch.stack([model.bound(test).mean() for _ in range(8)]).mean())


def test_the_bound_is_within_a_nat_of_the_reference() -> None:
    digits = torch.from_numpy(load_digits().data >= 8).float()
    settings = {
        "method": "variational",
        "model": "dense",
        "net": {"hidden": [HIDDEN], "code": CODE},
        "image": {"binary": True},
        "optim": {"name": "adam", "lr": RATE},
        "batch_size": BATCH,
        "steps": STEPS,
        "epochs": None,
        "precision": "float32",
        "threads": 1,
        "evaluate_every": 100,
        "keep": "last",
    }
    job = Reconstruct.parse(settings).build(Supplied())
    make_engine(job).run()
    train, test = job.source.indices, job.held_out["test"].indices  # type: ignore[attr-defined]
    (batch,) = job.held_out["test"]
    assert torch.equal(batch["image"].flatten(1), digits[test])
    metrics = job.judge(job.trained.evaluate(job.held_out["test"]), "test")["metrics"]
    expected = reference(digits[train], digits[test])
    print(f"elbo {metrics['elbo']:.2f}, of the reference {expected:.2f}, iwelbo {metrics['iwelbo']:.2f}")
    assert metrics["elbo"] == pytest.approx(expected, abs=1.0)
    assert metrics["iwelbo"] > metrics["elbo"]
    even = -64 * math.log(2)
    assert metrics["elbo"] > even + 15  # far above coins: both have learned
