"""Objectives of two roles: a small adversarial pair against the same written by hand; what does not fit is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from penstock.core.batch import Batch
from penstock.core.errors import RecipeError
from penstock.core.objective import Objective, Update
from penstock.data.examples import InMemory
from penstock.data.sources import Shuffled
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.engine.stepper import Stepper
from penstock.optim.adam import Adam
from penstock.optim.optimizer import Optimizer
from penstock.optim.sgd import SGD

STEPS, COUNT = 30, 41
CPU = torch.device("cpu")


def points() -> Shuffled:
    """Points on a ring, with the noise that the generator is to turn into points."""
    generator = torch.Generator().manual_seed(0)
    angle = torch.rand(COUNT, generator=generator, dtype=torch.float64) * 6.2832
    noise = torch.randn(COUNT, 3, generator=generator, dtype=torch.float64)
    stored = InMemory({"point": torch.stack([angle.cos(), angle.sin()], 1), "noise": noise})
    return Shuffled(stored, torch.arange(COUNT), batch_size=8, seed=0)


def realness(scores: Tensor, label: float) -> Tensor:
    return functional.binary_cross_entropy_with_logits(scores, torch.full_like(scores, label))


class Adversarial(Objective):
    """A generator and a discriminator of points, in turns (Goodfellow et al. 2014, algorithm 1)."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.generator = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)).double()
        self.discriminator = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)).double()
        self.foreign: list[bool] = []
        self.stepped_calls = 0

    def roles(self) -> dict[str, nn.Module | list[nn.Parameter]]:
        return {"discriminator": self.discriminator, "generator": list(self.generator.parameters())}

    def step(self, batch: Batch) -> Iterator[Update]:
        real = batch["point"]
        fake = self.generator(batch["noise"]).detach()
        before = self.discriminator[0].weight.detach().clone()
        loss = realness(self.discriminator(real), 1) + realness(self.discriminator(fake), 0)
        yield Update(loss, role="discriminator", weight=len(real))
        self.foreign.append(torch.equal(before, self.discriminator[0].weight))  # new weights are seen
        kept = [p.grad.clone() for p in self.discriminator.parameters()]
        loss = realness(self.discriminator(self.generator(batch["noise"])), 1)
        yield Update(loss, role="generator", weight=len(real))
        same = (torch.equal(a, p.grad) for a, p in zip(kept, self.discriminator.parameters(), strict=True))
        self.foreign.append(not all(same))  # the generator's turn left the discriminator's gradients alone

    def stepped(self) -> None:
        self.stepped_calls += 1


OPTIMIZERS: dict[str, Optimizer] = {"generator": Adam(lr=0.02, beta1=0.5), "discriminator": Adam(lr=0.01)}


def train(objective: Objective, **plan: Any) -> Engine:
    settings = {"steps": STEPS, "device": "cpu", "log_every": 10} | plan
    engine = Engine(objective, points(), Plan(**settings), OPTIMIZERS)
    engine.run()
    return engine


def test_two_players_as_written_by_hand() -> None:
    objective, by_hand = Adversarial(), Adversarial()
    engine = train(objective)
    one = torch.optim.Adam(by_hand.discriminator.parameters(), lr=0.01)
    other = torch.optim.Adam(by_hand.generator.parameters(), lr=0.02, betas=(0.5, 0.999))
    source = points()
    for _ in range(STEPS):
        batch = next(source)
        fake = by_hand.generator(batch["noise"]).detach()
        one.zero_grad()
        (realness(by_hand.discriminator(batch["point"]), 1) + realness(by_hand.discriminator(fake), 0)).backward()
        one.step()
        other.zero_grad()
        realness(by_hand.discriminator(by_hand.generator(batch["noise"])), 1).backward()
        other.step()
    for name, value in by_hand.state_dict().items():
        torch.testing.assert_close(objective.state_dict()[name], value, rtol=1e-11, atol=1e-13, msg=name)
    assert not any(objective.foreign)
    assert len(objective.foreign) == 2 * STEPS
    assert objective.stepped_calls == engine.clock.step == STEPS


@pytest.mark.parametrize("parts", [2, 3, 5])
def test_two_players_on_parts_of_the_batch_as_on_the_whole(parts: int) -> None:
    whole, split = Adversarial(), Adversarial()
    train(whole)
    train(split, accumulate=parts)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(split.state_dict()[name], value, rtol=1e-9, atol=1e-11, msg=name)
    assert not torch.allclose(whole.generator[0].weight, Adversarial().generator[0].weight, atol=0.05)
    assert split.stepped_calls == STEPS


def test_rows_are_named_by_role(recorder: Any) -> None:
    engine = Engine(Adversarial(), points(), Plan(steps=4, log_every=2, device="cpu"), OPTIMIZERS, watchers=[recorder])
    engine.run()
    names = {"split", "step", "epoch", "rate"}
    names |= {f"{role}_{what}" for role in ("generator", "discriminator") for what in ("loss", "norm")}
    assert [set(row) for row in recorder.rows] == [names, names]


def test_rows_are_named_by_role_also_where_only_one_had_its_turn(recorder: Any) -> None:
    class Seldom(Adversarial):
        def step(self, batch: Batch) -> Iterator[Update]:
            turns = super().step(batch)
            yield next(turns)
            if self.progress > 0.5:
                yield next(turns)

    engine = Engine(Seldom(), points(), Plan(steps=2, log_every=1, device="cpu"), OPTIMIZERS, watchers=[recorder])
    engine.run()
    first, second = ({name for name in row if "_" in name} for row in recorder.rows)
    assert first == {"discriminator_loss", "discriminator_norm"}
    assert second == first | {"generator_loss", "generator_norm"}


def make(roles: dict[str, Any], optimizers: dict[str, Optimizer]) -> Stepper:
    objective = Objective()
    objective.roles = lambda: roles
    return Stepper(objective, Plan(steps=1), optimizers, CPU)


def test_roles_and_optimizers_must_match() -> None:
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    with pytest.raises(RecipeError, match=r"^optimizers: role 'critic' has none; "):
        make({"actor": first, "critic": second}, {"actor": SGD()})
    with pytest.raises(RecipeError, match=r"^optimizers: there is no role 'actr'; did you mean 'actor'\?$"):
        make({"actor": first}, {"actor": SGD(), "actr": SGD()})


def test_roles_must_be_disjoint() -> None:
    trunk, head = nn.Linear(2, 2), nn.Linear(2, 2)
    with pytest.raises(RecipeError, match=r"^roles: 'actor' and 'critic' share a parameter; "):
        make(
            {"actor": nn.Sequential(trunk, head), "critic": list(trunk.parameters())},
            dict.fromkeys(["actor", "critic"], SGD()),
        )


class Odd(Objective):
    """Steps in a way that each test chooses."""

    def __init__(self, how: Callable[[Odd, Batch], Iterator[Update]]) -> None:
        super().__init__()
        self.model = nn.Linear(2, 1).double()
        self.how, self.count = how, 0

    def roles(self) -> dict[str, nn.Module | list[nn.Parameter]]:
        return {"model": self.model}

    def step(self, batch: Batch) -> Iterator[Update]:
        return self.how(self, batch)

    def squared(self, batch: Batch, role: str = "model") -> Update:
        return Update(self.model(batch["point"]).square().mean(), role=role, weight=batch.size)


def yields_without_gradients(self: Odd, batch: Batch) -> Iterator[Update]:
    with torch.no_grad():
        yield self.squared(batch)


def asks_for_a_stranger(self: Odd, batch: Batch) -> Iterator[Update]:
    yield self.squared(batch, role="modle")


def asks_only_for_large_parts(self: Odd, batch: Batch) -> Iterator[Update]:
    yield self.squared(batch)
    if batch.size > 2:
        yield self.squared(batch)


def asks_only_for_small_parts(self: Odd, batch: Batch) -> Iterator[Update]:
    yield self.squared(batch)
    if batch.size <= 2:
        yield self.squared(batch)


@pytest.mark.parametrize(
    ("how", "accumulate", "message"),
    [
        (yields_without_gradients, 1, r"^objective: it yields inside a no_grad block; "),
        (asks_for_a_stranger, 1, r"^objective: it asks to update 'modle'; did you mean 'model'\?$"),
        (asks_only_for_large_parts, 3, r"^objective: the parts of a batch ask for different updates; "),
        (asks_only_for_small_parts, 3, r"^objective: the parts of a batch ask for different updates; "),
    ],
)
def test_what_an_objective_must_not_do(how: Any, accumulate: int, message: str) -> None:
    objective = Odd(how)  # a batch of 8 in 3 parts is 3, 3 and 2
    engine = Engine(objective, points(), Plan(steps=2, accumulate=accumulate, device="cpu"), {"model": SGD()})
    with pytest.raises(RecipeError, match=message) as caught:
        engine.run()
    assert torch.is_grad_enabled()  # while the objective still hangs in its block
    assert caught.value.code == 2


def test_an_objective_without_a_loss_says_what_to_define() -> None:
    class Empty(Objective):
        def __init__(self) -> None:
            super().__init__()
            self.model = nn.Linear(2, 1)

    with pytest.raises(NotImplementedError, match=r"Empty must define loss\(batch\), or step"):
        Engine(Empty(), points(), Plan(steps=1, device="cpu"), {"model": SGD()}).run()
