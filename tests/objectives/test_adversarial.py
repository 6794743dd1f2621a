"""Adversarial training through the engine against the same written by hand; in parts; stopped and resumed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from adversaries import CODE, COUNT, engine, held_out, players, points
from torch import Tensor
from torch.nn import functional

from penstock.core.draws import Draws
from penstock.core.errors import DataError
from penstock.data.examples import InMemory
from penstock.data.keyed import Keyed
from penstock.data.sources import Shuffled
from penstock.engine import engine as engine_file
from penstock.engine import pace
from penstock.engine.tuning import whole_step
from penstock.models.discriminator import AuxiliaryHead, DenseTrunk, Discriminator, Head, ProjectionHead
from penstock.models.generator import Generator
from penstock.models.mlp import MLP
from penstock.nn.spectral import spectral_
from penstock.objectives.adversarial import Adversarial
from penstock.objectives.adversarial_losses import Hinge, LeastSquares, Original, Wasserstein
from penstock.objectives.penalties import R1, ClipWeights, GradientPenalty

STEPS = 20


def normalised(**options: Any) -> Adversarial:
    objective = players(loss=Hinge(), **options)
    spectral_(objective.discriminator)
    return objective


VARIANTS: dict[str, Callable[..., Adversarial]] = {
    "non-saturating": players,
    "original": lambda **given: players(loss=Original(), **given),
    "least squares": lambda **given: players(loss=LeastSquares(), penalties=[R1(weight=2.0)], **given),
    "hinge, spectral norm": normalised,
    "wasserstein, clipped": lambda **given: players(
        loss=Wasserstein(), constraint=ClipWeights(bound=0.1), turns=2, **given
    ),
    "wasserstein, penalty": lambda **given: players(
        loss=Wasserstein(), penalties=[GradientPenalty(weight=3.0)], turns=3, **given
    ),
    "projection": lambda **given: players(head=ProjectionHead, classes=8, **given),
    "auxiliary classifier": lambda **given: players(head=AuxiliaryHead, classes=8, class_weight=0.5, **given),
}


class MeanHead(Head):
    """Without parameters."""

    def score(self, features: Tensor, label: Tensor | None) -> Tensor:
        return features.mean(1)


def wide_players() -> Adversarial:
    """Every parameter has a multiple of 16 numbers.

    Torch's fused kernel rounds the numbers beyond the last whole vector of a tensor otherwise than those within, and
    the engine's tensors are longer than a loop's.
    """
    torch.manual_seed(0)
    generator = Generator(code=16, body=lambda inputs: MLP(inputs=inputs, outputs=32, hidden=(48, 32)))
    return Adversarial(generator, Discriminator(DenseTrunk(inputs=32, hidden=(48, 16)), MeanHead()), field="point")


def wide_points() -> Shuffled:
    values = torch.randn(COUNT, 32, generator=torch.Generator().manual_seed(1))
    return Shuffled(InMemory({"point": values}), torch.arange(COUNT), batch_size=17, seed=3, transform=Keyed())


def test_bit_for_bit_as_written_by_hand() -> None:
    objective, by_hand = wide_players(), wide_players()
    engine(objective, wide_points()).run()
    generator, discriminator = by_hand.generator, by_hand.discriminator
    one = torch.optim.Adam(discriminator.parameters(), lr=4e-3, betas=(0.5, 0.999), fused=True)
    other = torch.optim.Adam(generator.parameters(), lr=2e-3, betas=(0.5, 0.999), fused=True)
    first, second = Draws("codes"), Draws("codes of the generator's turn")
    source = wide_points()
    for _ in range(STEPS):
        batch = next(source)
        generated = generator(first.normal(batch["key"], 16)).detach()
        one.zero_grad()
        truth, lie = discriminator(batch["point"]).score, discriminator(generated).score
        (functional.softplus(-truth).mean() + functional.softplus(lie).mean()).backward()
        one.step()
        other.zero_grad()
        functional.softplus(-discriminator(generator(second.normal(batch["key"], 16))).score).mean().backward()
        other.step()
    start = wide_players().state_dict()
    for name, value in by_hand.state_dict().items():
        assert torch.equal(objective.state_dict()[name], value), name
        assert name == "batches" or not torch.equal(start[name], value), name


@pytest.mark.parametrize("parts", [2, 5])
@pytest.mark.parametrize("variant", VARIANTS)
def test_parts_of_a_batch_are_the_whole(variant: str, parts: int) -> None:
    whole, split = VARIANTS[variant](dtype=torch.float64), VARIANTS[variant](dtype=torch.float64)
    engine(whole, points(dtype=torch.float64)).run()
    engine(split, points(dtype=torch.float64), accumulate=parts).run()
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(split.state_dict()[name], value, rtol=1e-8, atol=1e-10, msg=name)


@pytest.mark.parametrize("variant", VARIANTS)
def test_resumed_after_any_step_bit_for_bit(variant: str, tmp_path: Path) -> None:
    plan = {"ema": 0.9, "steps": 7}
    whole = engine(VARIANTS[variant](), points(), folder=tmp_path / "whole", **plan)
    whole.run()
    assert whole.checkpoints is not None
    expected, _ = whole.state()
    keys = torch.arange(5)
    label = keys if whole.objective.label else None
    for step, name in enumerate(whole.checkpoints.names()):
        made = engine(VARIANTS[variant](seed=step + 1), points(), **plan)
        made.load_state(*whole.checkpoints.load(name))
        assert made.clock.step == step
        made.run()
        found, _ = made.state()
        assert [key for key, value in expected.items() if not torch.equal(found[key], value)] == []
        assert torch.equal(made.objective.sample(keys, label), whole.objective.sample(keys, label))


def test_with_an_average_the_final_weights_are_the_average() -> None:
    plain, averaged = players(), players()
    engine(plain, points()).run()
    trained = engine(averaged, points(), ema=0.9)
    trained.run()
    assert trained.average is not None
    assert torch.equal(trained.average.tensors()["0"], trained.stepper.roles["generator"].flat.parameter)
    assert not torch.equal(plain.sample(torch.arange(4)), averaged.sample(torch.arange(4)))


@pytest.mark.parametrize("turns", [1, 2, 5])
def test_the_generator_has_its_turn_with_every_so_many_batches(turns: int) -> None:
    objective = players(turns=turns)
    made = engine(objective, points())
    made.run()
    assert made.stepper.roles["discriminator"].updates == STEPS
    assert made.stepper.roles["generator"].updates == STEPS // turns
    assert int(objective.batches) == (STEPS if turns > 1 else 0)


def test_weights_are_within_their_bound_after_each_step() -> None:
    objective = players(loss=Wasserstein(), constraint=ClipWeights(bound=0.03))
    engine(objective, points()).run()
    sizes = [float(p.detach().abs().max()) for p in objective.discriminator.parameters()]
    assert max(sizes) == pytest.approx(0.03)
    assert max(float(p.detach().abs().max()) for p in objective.generator.parameters()) > 0.1


def test_generated_examples_get_the_classes_of_the_real_ones() -> None:
    objective = players(head=ProjectionHead, classes=8)
    seen: list[tuple[int, ...]] = []
    objective.generator.register_forward_hook(lambda _, given, out: seen.append(tuple(given[1].tolist())))
    source = points()
    engine(objective, points(), steps=2).run()
    expected = [tuple(next(source)["mode"].tolist()) for _ in range(2)]
    assert seen == [expected[0], expected[0], expected[1], expected[1]]


def test_classes_are_named_of_real_examples_and_of_the_generators_in_its_turn() -> None:
    batch = next(points())
    losses = {}
    for weight in (0.0, 2.0):
        objective = players(head=AuxiliaryHead, classes=8, class_weight=weight)
        losses[weight] = [float(update.loss.detach()) for update in objective.step(batch)]
    made = objective.generator(Draws("codes of the generator's turn").normal(batch["key"], CODE), batch["mode"])
    named = [objective.discriminator(x).classes for x in (batch["point"], made)]
    real, generated = (float(functional.cross_entropy(logits, batch["mode"]).detach()) for logits in named)
    assert losses[2.0][0] - losses[0.0][0] == pytest.approx(2 * real, rel=1e-5)
    assert losses[2.0][1] - losses[0.0][1] == pytest.approx(2 * generated, rel=1e-5)


def test_an_evaluation_of_nothing_is_refused() -> None:
    with pytest.raises(DataError, match=r"^evaluation: there are no examples; "):
        players().evaluate([])


def test_evaluation_compares_as_many_generated_examples() -> None:
    objective = players()
    made = engine(objective, points(), steps=1)
    found = made.evaluate(held_out())
    assert set(found.metrics) == {"loss", "frechet", "precision", "recall", "density", "coverage"}
    assert found.records["generated_score"].shape == found.records["real_score"].shape == (20,)
    assert found.metrics == made.evaluate(held_out()).metrics
    real = torch.cat([batch["point"] for batch in held_out()])
    score = objective.discriminator(real).score
    torch.testing.assert_close(found.records["real_score"], score.detach())


def test_steps_compiled_together_are_the_steps_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two a call, without a compiler of machine code."""
    monkeypatch.setattr(whole_step, "COMPILER", {"backend": "eager"})
    for module in (whole_step, pace, engine_file):
        monkeypatch.setattr(module, "STEPS_A_CALL", 2)
    objectives = {how: players() for how in ("on", "off")}
    for how, objective in objectives.items():
        made = engine(objective, points(batch_size=23), compile=how, steps=6)
        made.run()
        assert made.plan.compile == how  # it was not given up
    for name, value in objectives["off"].state_dict().items():
        torch.testing.assert_close(objectives["on"].state_dict()[name], value, rtol=1e-4, atol=1e-5, msg=name)
