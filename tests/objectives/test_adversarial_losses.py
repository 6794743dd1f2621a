"""Adversarial losses against probabilities written out; penalties against known slopes, and differentiable twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from penstock.core.draws import keys_of
from penstock.models.discriminator import DenseTrunk, Discriminator, PlainHead
from penstock.objectives.adversarial_losses import (
    AdversarialLoss,
    Hinge,
    LeastSquares,
    NonSaturating,
    Original,
    Wasserstein,
)
from penstock.objectives.penalties import R1, ClipWeights, GradientPenalty, Penalty, slopes

REAL = torch.tensor([2.0, -0.5, 0.3, 1.7], dtype=torch.float64)
GENERATED = torch.tensor([-1.5, 0.4, -0.2, 1.1], dtype=torch.float64)
KEYS = keys_of(0, torch.arange(4))


def bce(scores: Tensor, label: float) -> Tensor:
    return functional.binary_cross_entropy_with_logits(scores, torch.full_like(scores, label))


EXPECTED: dict[AdversarialLoss, tuple[Callable[[], Tensor], Callable[[], Tensor]]] = {
    Original(): (lambda: bce(REAL, 1) + bce(GENERATED, 0), lambda: (1 - GENERATED.sigmoid()).log().mean()),
    NonSaturating(): (lambda: bce(REAL, 1) + bce(GENERATED, 0), lambda: bce(GENERATED, 1)),
    LeastSquares(): (
        lambda: (functional.mse_loss(REAL, torch.ones_like(REAL)) + GENERATED.square().mean()) / 2,
        lambda: functional.mse_loss(GENERATED, torch.ones_like(REAL)) / 2,
    ),
    Hinge(): (
        lambda: torch.tensor([0 + 1.5 + 0.7 + 0, 0 + 1.4 + 0.8 + 2.1]).double().sum() / 4,
        lambda: -GENERATED.mean(),
    ),
    Wasserstein(): (lambda: GENERATED.mean() - REAL.mean(), lambda: -GENERATED.mean()),
}


@pytest.mark.parametrize("loss", EXPECTED, ids=lambda loss: type(loss).__name__)
def test_losses_written_out(loss: AdversarialLoss) -> None:
    discriminator, generator = EXPECTED[loss]
    torch.testing.assert_close(loss.discriminator(REAL, GENERATED), discriminator(), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(loss.generator(GENERATED), generator(), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("loss", EXPECTED, ids=lambda loss: type(loss).__name__)
def test_scores_of_any_size_give_finite_losses_and_slopes(loss: AdversarialLoss) -> None:
    scores = torch.tensor([-1e4, 0.0, 1e4], requires_grad=True)
    total = loss.discriminator(scores, -scores) + loss.generator(scores)
    (slope,) = torch.autograd.grad(total, scores)
    assert bool(total.isfinite())
    assert bool(slope.isfinite().all())


def test_the_saturating_generator_hardly_moves_where_the_other_does() -> None:
    score = torch.tensor([-20.0], requires_grad=True)
    slow, quick = (torch.autograd.grad(loss.generator(score), score)[0] for loss in (Original(), NonSaturating()))
    assert abs(slow) < 1e-8
    assert quick == pytest.approx(-1)


def test_penalties_of_a_plane_are_known() -> None:
    weight = torch.tensor([3.0, 4.0], dtype=torch.float64)
    judge = lambda x: x @ weight  # noqa: E731
    x = torch.randn(4, 2, dtype=torch.float64)
    assert GradientPenalty(weight=10)(judge, x, x + 1, KEYS).item() == pytest.approx(10 * (5 - 1) ** 2)
    assert R1(weight=6)(judge, x, x + 1, KEYS).item() == pytest.approx(6 / 2 * 25)


def test_the_gradient_penalty_is_taken_between_and_r1_at_the_real() -> None:
    seen: list[Tensor] = []

    def judge(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.square().flatten(1).sum(1)

    real, generated = torch.zeros(4, 1, 2, 2), torch.ones(4, 1, 2, 2)
    GradientPenalty()(judge, real, generated, KEYS)
    R1()(judge, real, generated, KEYS)
    between = seen[0].flatten(1)
    assert (between == between[:, :1]).all()  # one share for a whole example
    assert len(between[:, 0].unique()) == 4
    assert 0 <= between.min() <= between.max() < 1
    assert not seen[1].any()


def smooth() -> Discriminator:
    torch.manual_seed(0)
    trunk = DenseTrunk(inputs=2, hidden=(5, 3))
    for parent in (trunk, trunk.layers.body):  # leaky ReLU has a kink
        for name, part in parent.named_children():
            if isinstance(part, nn.LeakyReLU):
                setattr(parent, name, nn.Softplus())
    return Discriminator(trunk, PlainHead(3)).double()


@pytest.mark.parametrize("penalty", [GradientPenalty(weight=3.0), R1(weight=3.0)], ids=["between", "R1"])
def test_gradients_of_penalties(penalty: Penalty) -> None:
    """What is minimised is itself a gradient: its own, and their own, against differences."""
    judge = smooth()
    names = [name for name, _ in judge.named_parameters()]
    real, generated = torch.randn(2, 4, 2, dtype=torch.float64)

    def penalised(*parameters: Tensor) -> Tensor:
        given = dict(zip(names, parameters, strict=True))
        return penalty(lambda x: torch.func.functional_call(judge, given, (x,)).score, real, generated, KEYS)

    inputs = tuple(p.detach().clone().requires_grad_() for p in judge.parameters())
    assert torch.autograd.gradcheck(penalised, inputs, eps=1e-6, atol=1e-7, rtol=1e-5)
    assert torch.autograd.gradgradcheck(penalised, inputs, eps=1e-6, atol=1e-6, rtol=1e-4)


def test_slopes_by_differences() -> None:
    judge, x = smooth(), torch.randn(3, 2, dtype=torch.float64)
    score = lambda x: judge(x).score.detach()  # noqa: E731
    found = slopes(lambda x: judge(x).score, x).detach()
    for place in range(2):
        step = torch.zeros(2, dtype=torch.float64)
        step[place] = 1e-6
        torch.testing.assert_close(found[:, place], (score(x + step) - score(x - step)) / 2e-6, rtol=1e-6, atol=1e-8)


def test_clipping() -> None:
    layer = nn.Linear(2, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[-1.0, 0.005], [0.3, -0.002]]))
    ClipWeights(bound=0.01)(layer)
    torch.testing.assert_close(layer.weight.detach(), torch.tensor([[-0.01, 0.005], [0.01, -0.002]]))
