"""Generators with an encoder, with learned codes, and a discriminator that generates: by hand, in parts, resumed."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from adversaries import CODE, COUNT, engine, held_out, points, ring
from torch import Tensor, nn

from penstock.core.draws import Draws, keys_of
from penstock.models.discriminator import DenseTrunk, Discriminator, GaussianEncoder, PlainHead
from penstock.models.generator import Generator
from penstock.models.mlp import MLP
from penstock.nn.spectral import spectral_
from penstock.objectives.energy import EnergyBased
from penstock.objectives.generating import Generating
from penstock.objectives.langevin import Langevin, from_data, from_noise
from penstock.objectives.latent import LatentOptimisation, pyramid, within_ball
from penstock.objectives.vae_gan import VAEGAN
from penstock.optim.adam import Adam
from penstock.optim.sgd import SGD

ADAM = Adam(lr=3e-3, beta1=0.5)
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "vae-gan": {"generator": ADAM, "encoder": ADAM, "discriminator": ADAM},
    "codes": {"generator": ADAM, "codes": SGD(lr=4.0, momentum=0.0)},
    "energy": {"discriminator": ADAM},
}


def maker(code: int = CODE) -> Generator:
    return Generator(code=code, body=lambda inputs: MLP(inputs=inputs, outputs=2, hidden=(16,), activation=nn.Tanh))


def judge() -> Discriminator:
    return Discriminator(DenseTrunk(inputs=2, hidden=(16, 8)), PlainHead(8))


def vae_gan() -> Generating:
    encoder = GaussianEncoder(DenseTrunk(inputs=2, hidden=(16, 8)), code=CODE)
    return VAEGAN(encoder, maker(), spectral_(judge()), field="point", likeness=2.0, divergence=0.5)


def codes() -> Generating:
    return LatentOptimisation(maker(), COUNT, field="point")


def energy() -> Generating:
    return EnergyBased(judge(), (2,), field="point", langevin=Langevin(steps=5, rate=0.5, bound=2.0))


MAKERS: dict[str, Callable[[], Generating]] = {"vae-gan": vae_gan, "codes": codes, "energy": energy}


def made(name: str, seed: int = 0, dtype: torch.dtype = torch.float32) -> Generating:
    torch.manual_seed(seed)
    return MAKERS[name]().to(dtype)


@pytest.mark.parametrize("parts", [2, 5])
@pytest.mark.parametrize("name", MAKERS)
def test_parts_of_a_batch_are_the_whole(name: str, parts: int) -> None:
    whole, split = made(name, dtype=torch.float64), made(name, dtype=torch.float64)
    engine(whole, points(dtype=torch.float64), optimizers=OPTIMIZERS[name]).run()
    engine(split, points(dtype=torch.float64), optimizers=OPTIMIZERS[name], accumulate=parts).run()
    for key, value in whole.state_dict().items():
        torch.testing.assert_close(split.state_dict()[key], value, rtol=1e-8, atol=1e-10, msg=key)
    start = made(name, dtype=torch.float64)
    still = [key for key, value in start.named_parameters() if torch.equal(value, whole.state_dict()[key])]
    assert still == []


@pytest.mark.parametrize("name", MAKERS)
def test_resumed_after_any_step_bit_for_bit(name: str, tmp_path: Path) -> None:
    plan = {"ema": 0.9, "steps": 5, "optimizers": OPTIMIZERS[name]}
    whole = engine(made(name), points(), folder=tmp_path, **plan)
    whole.run()
    assert whole.checkpoints is not None
    expected, _ = whole.state()
    for step, checkpoint in enumerate(whole.checkpoints.names()):
        again = engine(made(name, seed=step + 1), points(), **plan)
        again.load_state(*whole.checkpoints.load(checkpoint))
        again.run()
        found, _ = again.state()
        assert [key for key, value in expected.items() if not torch.equal(found[key], value)] == []


@pytest.mark.parametrize("name", MAKERS)
def test_evaluations_and_samples(name: str) -> None:
    trained = engine(made(name), points(), optimizers=OPTIMIZERS[name], steps=2)
    trained.run()
    found = trained.evaluate(held_out())
    assert set(found.metrics) == {"loss", "frechet", "precision", "recall", "density", "coverage"}
    assert all(math.isfinite(value) for value in found.metrics.values())
    assert all(len(record) == 20 for record in found.records.values())
    assert found.metrics == trained.evaluate(held_out()).metrics
    keys = keys_of(0, torch.arange(6))
    objective = trained.objective
    assert isinstance(objective, Generating)
    torch.testing.assert_close(torch.cat([objective.sample(k) for k in keys.split(2)]), objective.sample(keys))


def test_vae_gan_losses_written_out() -> None:
    objective = made("vae-gan")
    assert isinstance(objective, VAEGAN)
    batch = next(points())
    real, keys = batch["point"], batch["key"]
    found = [update.loss.detach() for update in objective.step(batch)]  # nothing is updated between the turns
    mean, log_variance = objective.encoder(real)
    deviation = log_variance.exp().sqrt()
    code = mean + deviation * Draws("noise of the encoder").normal(keys, CODE)
    normal = torch.distributions.Normal(0.0, 1.0)
    divergence = torch.distributions.kl_divergence(torch.distributions.Normal(mean, deviation), normal).sum(1).mean()
    decoded, drawn = objective.generator(code), objective.generator(Draws("codes").normal(keys, CODE))
    looks = [objective.discriminator(x) for x in (real, decoded, drawn)]
    score = [look.score.sigmoid() for look in looks]
    unlike = (looks[1].features - looks[0].features).square().mean() / 2
    lies = torch.cat(score[1:])
    expected = [
        -score[0].log().mean() - (1 - lies).log().mean(),
        0.5 * divergence + unlike,
        2.0 * unlike - lies.log().mean(),
    ]
    torch.testing.assert_close(torch.stack(found), torch.stack(expected).detach(), rtol=1e-5, atol=1e-6)


def test_codes_within_the_ball_and_only_those_of_the_batch_move() -> None:
    objective = made("codes")
    assert isinstance(objective, LatentOptimisation)
    before = objective.codes.detach().clone()
    index = next(points())["index"]
    engine(objective, points(), optimizers=OPTIMIZERS["codes"], steps=1).run()
    moved = (objective.codes != before).any(1).nonzero().flatten()
    assert moved.tolist() == index.sort().values.tolist()
    engine(objective, points(), optimizers={"generator": ADAM, "codes": SGD(lr=1e4)}, steps=6).run()
    lengths = objective.codes.detach().norm(dim=1)
    assert lengths.max() <= 1 + 1e-6
    assert (lengths > 0.999).any()


def test_learned_codes_make_their_examples_and_unseen_ones_are_found() -> None:
    torch.manual_seed(0)
    objective = LatentOptimisation(maker(4), COUNT, field="point", search_steps=100)
    optimizers = {"generator": Adam(lr=1e-2), "codes": SGD(lr=17.0, momentum=0.0)}
    engine(objective, points(), optimizers=optimizers, steps=250).run()
    real, unseen = (ring(COUNT).columns["point"], ring(2 * COUNT).columns["point"][COUNT:])
    assert isinstance(real, Tensor)
    assert isinstance(unseen, Tensor)
    with torch.no_grad():
        error = objective.unlike(objective.generator(objective.codes), real).mean()
        found = objective.unlike(objective.reconstruct(unseen), unseen).mean()
        unsearched = objective.unlike(objective.generator(objective.codes.mean(0, keepdim=True)), unseen).mean()
    assert error < 0.02
    assert found < 0.02
    assert unsearched > 0.3


def test_new_codes_are_like_those_learned() -> None:
    torch.manual_seed(0)
    objective = LatentOptimisation(Generator(code=2, body=lambda inputs: nn.Identity()), 4000, field="point")
    with torch.no_grad():
        mixed = torch.randn(4000, 2) * torch.tensor([0.1, 0.02]) @ torch.tensor([[1.0, 0.5], [0.0, 1.0]])
        objective.codes.copy_(mixed + torch.tensor([0.3, -0.2]))
    drawn = objective.sample(keys_of(0, torch.arange(4000)))
    torch.testing.assert_close(drawn.mean(0), torch.tensor([0.3, -0.2]), rtol=0, atol=0.01)
    torch.testing.assert_close(drawn.T.cov(), objective.codes.detach().T.cov(), rtol=0.1, atol=3e-4)


def test_a_ball_and_a_pyramid() -> None:
    code = within_ball(torch.tensor([[3.0, 4.0], [0.3, 0.4]]))
    torch.testing.assert_close(code, torch.tensor([[0.6, 0.8], [0.3, 0.4]]))
    real = torch.zeros(1, 1, 2, 2)
    made = torch.tensor([[[[4.0, 0.0], [0.0, 0.0]]]])
    # squares 16 / 4; details 3, 1, 1, 1 over 4; the mean of all, 1
    assert pyramid(made, real).tolist() == [4 + 1.5 + 1]
    assert pyramid(torch.randn(3, 2, 7, 5), torch.randn(3, 2, 7, 5)).shape == (3,)


def test_chains_reach_the_distribution_of_their_scores() -> None:
    """With noise of the root of twice the rate, that is exp(score): here normal, of mean 0.3 and deviation 0.5."""

    def score(x: Tensor) -> Tensor:
        return -(x - 0.3).square().sum(1) / (2 * 0.5**2)

    rate = 0.02
    chains = Langevin(steps=400, rate=rate, noise=math.sqrt(2 * rate), bound=10.0, longest=1e9)
    keys = keys_of(0, torch.arange(4000))
    found = chains(score, from_noise(torch.empty(4000, 2), keys), keys)
    assert (found.mean(0) - 0.3).abs().max() < 5 * 0.5 / math.sqrt(4000)
    expected = 0.5**2 / (1 - rate / (2 * 0.5**2))  # what steps of this length make of it
    assert (found.T.cov() - expected * torch.eye(2)).abs().max() < 5 * expected * math.sqrt(2 / 4000)


def test_one_step_of_a_chain_and_where_chains_begin() -> None:
    keys, x = keys_of(0, torch.arange(3)), torch.tensor([[0.5, -0.2], [0.0, 0.0], [0.9, 0.99]])
    chain = Langevin(steps=1, rate=2.0, noise=0.0, longest=0.04)
    found = chain(lambda x: x[:, 0] * 0.03 + x[:, 1], x, keys)
    torch.testing.assert_close(found, (x + 2 * torch.tensor([0.03, 0.04])).clamp(max=1))
    assert from_data(x, keys) is x
    start = from_noise(x, keys)
    assert start.shape == x.shape
    assert -1 <= start.min() <= start.max() < 1


def test_energy_losses_written_out() -> None:
    objective = made("energy")
    assert isinstance(objective, EnergyBased)
    batch = next(points())
    real, keys = batch["point"], batch["key"]
    score = lambda x: objective.discriminator(x).score  # noqa: E731
    negative = objective.langevin(score, from_noise(real, keys), keys)
    blurred = score(real + 0.03 * Draws("blur of real examples").normal(keys, 2))
    lower = score(negative)
    expected = lower.mean() - blurred.mean() + 0.1 * (blurred.square() + lower.square()).mean()
    update = objective.loss(batch)
    torch.testing.assert_close(update.loss, expected)
    assert (update.role, update.weight) == ("discriminator", 17)


def test_a_discriminator_alone_makes_a_ring() -> None:
    torch.manual_seed(0)
    objective = EnergyBased(
        Discriminator(DenseTrunk(inputs=2, hidden=(64, 64)), PlainHead(64)),
        (2,),
        field="point",
        langevin=Langevin(steps=30, rate=0.05, noise=0.03, bound=1.5, longest=5.0),
    )
    keys = keys_of(7, torch.arange(200))
    radius = objective.sample(keys).norm(dim=1)
    before = float((radius - 1).abs().mean())
    engine(objective, points(batch_size=46), optimizers={"discriminator": Adam(lr=5e-3)}, steps=250).run()
    radius = objective.sample(keys).norm(dim=1)
    assert float((radius - 1).abs().mean()) < 0.12 < before
