"""Policy gradients against closed forms, and in small worlds against dynamic programming."""

from __future__ import annotations

import pytest
import torch
from small_mdp import World, uncertain
from torch import Tensor
from torch.nn import functional

from penstock.core.batch import Batch
from penstock.models.observing import StateTrunk, VectorTrunk
from penstock.models.policy import ActorCritic, NormalHead, OneOfHead
from penstock.objectives.policy_gradient import PolicyGradient
from penstock.objectives.surrogates import Clipped, Plain, Surrogate


def bandit(probability: Tensor) -> PolicyGradient:
    """One place; the actions have these probabilities."""
    model = ActorCritic(StateTrunk(1), OneOfHead(1, len(probability)))
    with torch.no_grad():
        model.head.logits.weight.zero_()
        model.head.logits.bias.copy_(probability.log())
    return PolicyGradient(model, normalise=False, value_weight=0.0)


@pytest.mark.parametrize("baseline", [0.0, 0.7])
@pytest.mark.parametrize("surrogate", [Plain(), Clipped()])
def test_the_gradient_on_a_bandit_is_that_of_the_mean_reward(surrogate: Surrogate, baseline: float) -> None:
    """Each action as often as it is likely: the gradient by logits is -p (r - mean r), whatever the baseline."""
    reward, probability = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.5, 0.25, 0.25])
    objective = bandit(probability)
    objective.surrogate = surrogate
    action = torch.tensor([0, 0, 1, 2])
    batch = Batch(
        {
            "observation": torch.zeros(4).long(),
            "action": action,
            "logprob": probability.log()[action],
            "advantage": reward[action] - baseline,
            "return": reward[action],
        }
    )
    objective.loss(batch).loss.backward()
    wanted = -probability * (reward - probability @ reward)
    torch.testing.assert_close(objective.model.head.logits.bias.grad, wanted)


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "slope"),
    [
        (1.0, 2.0, -2.0, -2.0),
        (1.1, 2.0, -2.2, -2.2),
        (1.3, 2.0, -2.4, 0.0),  # likelier by more than the clip: nothing more to gain
        (0.7, 2.0, -1.4, -1.4),  # the wrong way: to be undone
        (0.7, -2.0, 1.6, 0.0),
        (1.3, -2.0, 2.6, 2.6),
    ],
)
def test_cases_of_the_clip(ratio: float, advantage: float, loss: float, slope: float) -> None:
    before = torch.tensor([-1.2])
    logprob = (before + torch.tensor(ratio).log()).requires_grad_()
    found = Clipped(0.2)(logprob, before, torch.tensor([advantage]))
    found.sum().backward()
    assert found.item() == pytest.approx(loss)
    assert logprob.grad is not None
    assert logprob.grad.item() == pytest.approx(slope, abs=1e-6)


def test_the_loss_is_the_sum_of_its_parts() -> None:
    torch.manual_seed(0)
    model = ActorCritic(VectorTrunk(inputs=3), OneOfHead(64, 4), critic=VectorTrunk(inputs=3))
    objective = PolicyGradient(model, surrogate=Clipped(), value_weight=0.7, entropy_weight=0.1)
    batch = Batch(
        {
            "observation": torch.randn(8, 3),
            "action": torch.randint(4, (8,)),
            "logprob": -torch.rand(8),
            "advantage": torch.randn(8) + 3,
            "return": torch.randn(8),
        }
    )
    logits = model.head.logits(model.trunk(batch["observation"]))
    value = model.worth(model.critic(batch["observation"])).squeeze(1)
    chosen = torch.distributions.Categorical(logits=logits)
    ratio = (chosen.log_prob(batch["action"]) - batch["logprob"]).exp()
    advantage = (batch["advantage"] - batch["advantage"].mean()) / batch["advantage"].std(correction=0)
    policy = -torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean()
    wanted = policy + 0.7 * functional.mse_loss(value, batch["return"]) - 0.1 * chosen.entropy().mean()
    torch.testing.assert_close(objective.loss(batch).loss, wanted)
    assert not objective.separable
    assert PolicyGradient(model, normalise=False).separable


def test_without_normalising_parts_add_up() -> None:
    torch.manual_seed(0)
    objective = PolicyGradient(ActorCritic(StateTrunk(3), OneOfHead(3, 2)), normalise=False, entropy_weight=0.01)
    batch = on_policy(objective, uncertain(states=3, actions=2), 12)
    whole = objective.loss(batch).loss
    parts = [objective.loss(part) for part in batch.split(3)]
    torch.testing.assert_close(sum(part.loss * part.weight for part in parts) / 12, whole)


def on_policy(objective: PolicyGradient, world: World, count: int) -> Batch:
    """Actions of the present policy, as often in each state as it comes there, with their true advantages."""
    with torch.no_grad():
        choice, _ = objective.model(torch.arange(world.size[0]))
        policy = choice.logprobs.exp()
        worth = world.of(policy)
        stays = world.discount * torch.einsum("sa,sa,sat->st", policy, 1 - world.end, world.chance)
        often = torch.linalg.solve(torch.eye(len(stays)) - stays.T, torch.full((len(stays),), 1 / len(stays)))
        state = torch.multinomial(often, count, replacement=True)
        action, logprob = objective.model(state)[0].draw()
    chosen = worth[state, action]
    advantage = chosen - (policy * worth).sum(1)[state]
    return Batch({"observation": state, "action": action, "logprob": logprob, "advantage": advantage, "return": chosen})


@pytest.mark.parametrize(("surrogate", "epochs"), [(Plain(), 1), (Clipped(), 3)])
def test_a_policy_becomes_that_of_value_iteration(surrogate: Surrogate, epochs: int) -> None:
    torch.manual_seed(0)
    world = uncertain()
    objective = PolicyGradient(ActorCritic(StateTrunk(5), OneOfHead(5, 3)), surrogate=surrogate)
    optimizer = torch.optim.Adam(objective.parameters(), lr=0.05)
    for _ in range(300 // epochs):
        batch = on_policy(objective, world, 128)
        for _ in range(epochs):
            optimizer.zero_grad()
            objective.loss(batch).loss.backward()
            optimizer.step()
    best = objective.best(torch.arange(5))
    assert torch.equal(best["action"], world.best().argmax(1))
    torch.testing.assert_close(best["value"].detach(), world.best().amax(1), rtol=0, atol=0.25)
    assert bool((objective.model(torch.arange(5))[0].logprobs.exp().amax(1) > 0.9).all())


def test_it_acts_by_chance_and_says_how_likely_that_was() -> None:
    torch.manual_seed(0)
    objective = PolicyGradient(ActorCritic(VectorTrunk(inputs=3), NormalHead(64, 2, deviation=0.5)))
    x = torch.randn(5, 3)
    done = objective.act(x)
    choice, value = objective.model(x)
    torch.testing.assert_close(done["logprob"], choice.logprob(done["action"]))
    torch.testing.assert_close(done["value"], value)
    torch.testing.assert_close(objective.best(x)["action"], choice.mean)
    assert choice.log_deviation.exp().unique().tolist() == pytest.approx([0.5])
