"""Making likelier what went better than expected. N environments, B batch."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from penstock.core.batch import Batch
from penstock.core.objective import Update
from penstock.objectives.acting import Acting
from penstock.objectives.surrogates import Plain, Surrogate

TINY = 1e-8


@final
class PolicyGradient(Acting):
    """A policy that follows `surrogate`, and values that learn the returns: one role, and one loss summed of both.

    `model` gives both as `ActorCritic` does. With the plain surrogate it is REINFORCE with a baseline, where
    advantages are whole returns less the values (Williams 1992), and A2C, where they are estimated from a few steps
    (Mnih et al. 2016, "Asynchronous methods for deep reinforcement learning", synchronously); with the clipped one PPO
    (Schulman et al. 2017). The value's squared error weighs `value_weight`; the entropy, which keeps the policy from
    being sure too soon, `entropy_weight`.

    A batch has "observation" (B, ...), "action" (B,) or (B, A), "logprob", "advantage" and "return" (B,). `normalise`
    brings the advantages of each batch to mean 0 and deviation 1, which couples its examples. Noted are the divergence
    from the policy that acted (Schulman 2020, "Approximating KL divergence", the third estimate) and the share of the
    returns' variance that the values explain.
    """

    notes = ("policy_loss", "value_loss", "entropy", "kl", "explained")

    def __init__(
        self,
        model: nn.Module,
        *,
        surrogate: Surrogate = Plain(),  # noqa: B008 - it is frozen
        value_weight: float = 0.5,
        entropy_weight: float = 0.0,
        normalise: bool = True,
    ) -> None:
        super().__init__()
        self.model, self.surrogate = model, surrogate
        self.value_weight, self.entropy_weight, self.normalise = value_weight, entropy_weight, normalise
        self.separable = not normalise

    def act(self, observation: Tensor) -> dict[str, Tensor]:
        """By chance, as the policy has it."""
        choice, value = self.model(observation)
        action, logprob = choice.draw()
        return {"action": action, "logprob": logprob, "value": value}

    def best(self, observation: Tensor) -> dict[str, Tensor]:
        """The policy's best."""
        choice, value = self.model(observation)
        return {"action": choice.best(), "value": value}

    def loss(self, batch: Batch) -> Update:
        """The surrogate, the values' error and the entropy, means over the examples."""
        choice, value = self.model(batch["observation"])
        advantage = batch["advantage"]
        if self.normalise:
            advantage = (advantage - advantage.mean()) / (advantage.std(correction=0) + TINY)
        logprob, entropy = choice.logprob(batch["action"]), choice.entropy().mean()
        policy_loss = self.surrogate(logprob, batch["logprob"], advantage).mean()
        value_loss = (value - batch["return"]).square().mean()
        with torch.no_grad():
            change = logprob - batch["logprob"]
            unexplained = (batch["return"] - value).var(correction=0) / batch["return"].var(correction=0)
            self.note(policy_loss, value_loss, entropy, (change.expm1() - change).mean(), 1 - unexplained)
        loss = policy_loss + self.value_weight * value_loss - self.entropy_weight * entropy
        return Update(loss, weight=batch.size)
