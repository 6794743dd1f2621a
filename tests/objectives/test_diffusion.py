"""Diffusion: the loss by hand, sampling against an oracle and against the published steps, overfitting, resuming."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from penstock.core.batch import Batch
from penstock.core.errors import DataError, RecipeError
from penstock.models.unet import UNet
from penstock.nn.noise_schedule import NoiseSchedule, cosine_schedule, linear_schedule
from penstock.objectives.diffusion import Diffusion

STEPS = 40


class Oracle(nn.Module):
    """Knows the example, and so the noise; keeps what it is asked."""

    def __init__(self, schedule: NoiseSchedule, truth: Tensor) -> None:
        super().__init__()
        self.schedule, self.truth, self.asked = schedule, truth, []

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        self.asked.append((t, label))
        signal = self.schedule.signal[t].view(-1, 1, 1, 1).to(x.dtype)
        return (x - signal.sqrt() * self.truth) / (1 - signal).sqrt()


class Plain(nn.Module):
    """Something of every value, the time and the label."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        more = 0 if label is None else 0.1 * label.view(-1, 1, 1, 1)
        return self.weight * x + 0.01 * t.view(-1, 1, 1, 1) + more


def truth(count: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, 1, 4, 5, generator=generator, dtype=torch.float64) * 2 - 1


def test_the_loss_by_hand() -> None:
    made, given = Diffusion(Plain(), linear_schedule(STEPS)), Batch(image=truth(50))
    x = given["image"]
    torch.manual_seed(4)
    update = made.loss(given)
    torch.manual_seed(4)
    t, noise = torch.randint(STEPS, (50,)), torch.randn_like(x)
    signal = made.schedule.signal[t].double().view(-1, 1, 1, 1)
    seen = signal.sqrt() * x + (1 - signal).sqrt() * noise
    expected = (0.7 * seen + 0.01 * t.view(-1, 1, 1, 1) - noise).square().mean()
    assert float(update.loss.detach()) == pytest.approx(float(expected), rel=1e-6)
    assert update.weight == 50
    assert len(t.unique()) > 20


@pytest.mark.parametrize("make", [linear_schedule, cosine_schedule])
@pytest.mark.parametrize(("steps", "eta"), [(STEPS, 0.0), (7, 0.0), (1, 0.0), (STEPS, 1.0), (7, 0.5)])
def test_who_knows_the_noise_finds_the_example(make: Any, steps: int, eta: float) -> None:
    schedule, x = make(STEPS), truth()
    oracle = Oracle(schedule, x)
    found = Diffusion(oracle, schedule).sample(torch.randn_like(x), steps=steps, eta=eta)
    torch.testing.assert_close(found, x, rtol=1e-5, atol=1e-5)
    asked = [int(t[0]) for t, _ in oracle.asked]
    assert len(asked) == steps
    assert asked[0] == STEPS - 1
    assert asked == sorted(set(asked), reverse=True)


def test_what_is_noised_with_known_noise_comes_back_by_its_own_path() -> None:
    """Without chance the path is that of one noise: after each step x_t is q(x_t | x_0) with the noise begun with."""
    schedule, x = cosine_schedule(STEPS), truth()
    noise = torch.randn_like(x)
    start = schedule.noised(x, noise, torch.full((3,), STEPS - 1))
    seen: list[tuple[int, Tensor]] = []
    oracle = Oracle(schedule, x)
    oracle.register_forward_hook(lambda _, given, out: seen.append((int(given[1][0]), given[0])))
    Diffusion(oracle, schedule).sample(start, steps=9)
    for t, value in seen:
        torch.testing.assert_close(value, schedule.noised(x, noise, torch.full((3,), t)), rtol=1e-5, atol=1e-4)


def test_with_all_the_chance_it_is_ancestral_sampling() -> None:
    """Ho et al. 2020, algorithm 2, with the variance of equation (7), step by step."""
    betas = torch.linspace(0.001, 0.02, 6, dtype=torch.float64)
    schedule = NoiseSchedule(betas)
    made, x = Diffusion(Plain(), schedule), 0.1 * truth()
    found = made.sample(x, steps=6, eta=1.0, generator=torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(3)
    left = (1 - betas).cumprod(0)
    for t in range(5, -1, -1):
        noise = 0.7 * x + 0.01 * t
        mean = (x - betas[t] / (1 - left[t]).sqrt() * noise) / (1 - betas[t]).sqrt()
        clean = (x - (1 - left[t]).sqrt() * noise) / left[t].sqrt()
        assert float(clean.abs().max()) < 1  # nothing was clamped
        x = mean
        if t:
            spread = ((1 - left[t - 1]) / (1 - left[t]) * betas[t]).sqrt()
            x = x + spread * torch.randn(x.shape, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(found, x.detach(), rtol=1e-4, atol=1e-5)


def test_labels_are_left_out_at_times_and_guidance_moves_away_from_none() -> None:
    schedule = linear_schedule(STEPS)
    oracle = Oracle(schedule, torch.zeros(1, dtype=torch.float64))
    made = Diffusion(oracle, schedule, label="target", classes=5, unlabelled=0.25)
    given = Batch(image=truth(2000), target=torch.arange(2000) % 5)
    made.loss(given)
    ((_, label),) = oracle.asked
    dropped = label == 5
    assert torch.equal(label[~dropped], given["target"][~dropped])
    assert float(dropped.double().mean()) == pytest.approx(0.25, abs=5 * (0.1875 / 2000) ** 0.5)
    made.evaluate([given])
    assert torch.equal(oracle.asked[-1][1], given["target"])
    plain = Diffusion(Plain(), schedule, label="target", classes=5)
    x, t, labels = truth(), torch.full((3,), 8), torch.tensor([0, 1, 2])
    for guidance in (0.0, 2.0):
        with torch.no_grad():
            told, none = plain.model(x, t, labels), plain.model(x, t, torch.full((3,), 5))
            found = plain._noise_in(x, 8, labels, guidance)
        torch.testing.assert_close(found, (1 + guidance) * told - guidance * none)
    torch.testing.assert_close(plain._noise_in(x, 8, None, 2.0), plain.model(x, t, torch.full((3,), 5)))


def test_evaluation_spreads_the_steps_and_is_repeatable() -> None:
    schedule = linear_schedule(STEPS)
    oracle = Oracle(schedule, torch.zeros(1, dtype=torch.float64))
    made, given = Diffusion(oracle, schedule), Batch(image=truth(80))
    found = made.evaluate([given])
    t = oracle.asked[0][0]
    assert torch.equal(t.bincount(), torch.full((STEPS,), 2))
    again = made.evaluate([given])
    assert again.metrics == found.metrics
    signal = schedule.signal[t].double().view(-1, 1, 1, 1)
    off = signal.sqrt() * given["image"] / (1 - signal).sqrt()  # an oracle that takes every example for 0
    torch.testing.assert_close(found.records["error"], off.square().mean((1, 2, 3)), rtol=1e-5, atol=1e-7)
    assert found.metrics["loss"] == pytest.approx(float(off.square().mean()), rel=1e-5)


def test_nothing_to_evaluate_on_is_said() -> None:
    with pytest.raises(DataError, match=r"^evaluation: there are no examples; "):
        Diffusion(Plain(), linear_schedule(STEPS)).evaluate([])


def test_two_pictures_are_learnt_and_made_again() -> None:
    torch.manual_seed(0)
    pictures = torch.full((2, 1, 4, 4), -0.9)
    pictures[0, :, :, :2] = 0.9
    pictures[1, :, 2:] = 0.9
    model = UNet(channels=1, height=4, width=4, widths=(16,), classes=2)
    made = Diffusion(model, cosine_schedule(200), label="k", classes=2)
    given = Batch(image=pictures.repeat(16, 1, 1, 1), k=torch.arange(2).repeat(16))
    optimizer = torch.optim.Adam(made.parameters(), lr=5e-3)
    losses = []
    for step in range(400):
        optimizer.param_groups[0]["lr"] = 5e-3 * (1 - step / 400)
        optimizer.zero_grad()
        loss = made.loss(given).loss
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-20:]) / 20 < 0.05 < 0.5 < losses[0]
    new = made.sample(torch.randn(6, 1, 4, 4), steps=20, labels=torch.tensor([0, 1] * 3))
    for i in range(6):
        away = (new[i] - pictures).abs().mean((1, 2, 3))
        assert float(away[i % 2]) < 0.3 < 0.7 < float(away[1 - i % 2])


@pytest.mark.parametrize(
    ("options", "message"),
    [({"steps": 0}, "give 1 to 40"), ({"steps": 41}, "give 1 to 40"), ({"eta": 1.5}, "eta: it is 1.5")],
)
def test_samplings_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as error:
        Diffusion(Plain(), linear_schedule(STEPS)).sample(truth(), **options)
    assert message in str(error.value)
    with pytest.raises(RecipeError, match="unlabelled: it is 2"):
        Diffusion(Plain(), linear_schedule(STEPS), unlabelled=2)
