"""A short training on eight points of a ring finds them all; a bad one is seen to find few."""

from __future__ import annotations

import math

import pytest
import torch
from adversaries import engine, ring
from torch import Tensor

from penstock.core.draws import keys_of
from penstock.data.keyed import Keyed
from penstock.data.sources import Shuffled
from penstock.metrics.modes import Modes, modes_found
from penstock.models.discriminator import DenseTrunk, Discriminator, PlainHead
from penstock.models.generator import Generator
from penstock.models.mlp import MLP
from penstock.objectives.adversarial import Adversarial
from penstock.objectives.penalties import R1
from penstock.optim.adam import Adam

ANGLE = torch.arange(8) * (2 * math.pi / 8)
CENTRES = torch.stack([ANGLE.cos(), ANGLE.sin()], 1)
POINTS = 1000


@pytest.fixture
def most_batches() -> int:
    return 301


def trained(rate: float, **options: object) -> tuple[Modes, dict[str, float]]:
    """What 300 steps lead to, the discriminator's of this rate; a point counts within 0.3 of its centre."""
    torch.manual_seed(0)
    generator = Generator(code=8, body=lambda inputs: MLP(inputs=inputs, outputs=2, hidden=(64, 64)))
    discriminator = Discriminator(DenseTrunk(inputs=2, hidden=(64, 64)), PlainHead(64))
    objective = Adversarial(generator, discriminator, field="point", **options)
    source = Shuffled(ring(POINTS), torch.arange(POINTS), batch_size=128, seed=3, transform=Keyed())
    players = {"generator": Adam(lr=1e-2, beta1=0.0, beta2=0.99), "discriminator": Adam(lr=rate, beta1=0.0, beta2=0.99)}
    engine(objective, source, optimizers=players, steps=300, ema=0.97).run()
    with torch.no_grad():
        made = objective.sample(keys_of(7, torch.arange(POINTS)))
    real = ring(POINTS).columns["point"]
    assert isinstance(real, Tensor)
    return modes_found(made, CENTRES, 0.1), objective.compared(real, made)


def test_all_modes_are_found() -> None:
    modes, measures = trained(1e-2, penalties=[R1(weight=0.1)])
    assert modes.found == 8
    assert modes.near > 0.5
    assert measures["coverage"] > 0.35


def test_a_collapsed_generator_is_seen_by_the_measures() -> None:
    modes, measures = trained(3e-4)  # a discriminator that is left behind
    assert modes.found < 4
    assert measures["coverage"] < 0.2
    assert measures["recall"] < 0.5
