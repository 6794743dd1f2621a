"""Learning what each action is worth from what it has led to. N environments, B batch, A actions, N numbers about each
return."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from penstock.core.batch import Batch
from penstock.core.errors import RecipeError
from penstock.core.objective import Update
from penstock.nn.noisy import NoisyLinear
from penstock.objectives.acting import Acting
from penstock.objectives.exploration import EpsilonGreedy, Exploration, Greedy
from penstock.objectives.return_forms import Mean, ReturnForm
from penstock.objectives.target import Target


@final
class QLearning(Acting):
    """A `model` from observations to (B, A, N), learned by its own estimates of what comes after.

    What comes after is worth what the `onward` rule would do there: greedily, that is Q-learning (Watkins 1989), and
    with a network deep Q-learning (Mnih et al. 2015, "Human-level control"); as one explores, that is SARSA (Rummery
    and Niranjan 1994), with the next action drawn anew. `target` judges it, or the model itself, without one; with
    `doubled`, the model chooses and the target judges (van Hasselt et al. 2016, "Deep reinforcement learning with
    double Q-learning"). `form` says what the N numbers are: of C51 and QR-DQN, the return's whole distribution.

    A batch has "observation", "next_observation" (B, ...), "action" (B,) int64, "reward", "terminated" and "discount"
    (B,), of one step or of several; with "weight" (B,) it comes from prioritised replay (Schaul et al. 2016), which is
    told the "priority" (B,). With a `ValueTable`, no target, `Mean(bend=None)` and plain gradient descent, a batch of
    one example makes exactly the step of the tabular algorithms. Raises RecipeError where it is to be doubled without
    a target.
    """

    notes = ("value",)

    def __init__(
        self,
        model: nn.Module,
        *,
        form: ReturnForm = Mean(),  # noqa: B008 - it is frozen
        target: Target | None = None,
        doubled: bool = False,
        onward: Exploration = Greedy(),  # noqa: B008 - it is frozen
        explore: Exploration = EpsilonGreedy(),  # noqa: B008 - it is frozen
    ) -> None:
        super().__init__()
        if doubled and target is None:
            problem = "the choice of the model is to be judged by a target, and there is none"
            raise RecipeError("QLearning", problem, "give a target, or leave out doubled")
        self.model, self.form, self.target, self.doubled = model, form, target, doubled
        self.onward, self.explore = onward, explore
        self._noisy = [layer for layer in model.modules() if isinstance(layer, NoisyLinear)]

    def act(self, observation: Tensor) -> dict[str, Tensor]:
        """As `explore` would; noisy layers are noisy."""
        modes = [layer.training for layer in self._noisy]
        for layer in self._noisy:
            layer.training = True
        worth = self.form.mean(self.model(observation))  # (N, A)
        for layer, mode in zip(self._noisy, modes, strict=True):
            layer.training = mode
        return {"action": self.explore(worth, self.progress)}

    def noted(self) -> dict[str, float]:
        """Also the share of actions at random, where there is one."""
        chance = {"epsilon": self.explore.epsilon(self.progress)} if isinstance(self.explore, EpsilonGreedy) else {}
        return super().noted() | chance

    def best(self, observation: Tensor) -> dict[str, Tensor]:
        """The action held to be worth most, and what."""
        value, action = self.form.mean(self.model(observation)).max(1)
        return {"action": action, "value": value}

    def loss(self, batch: Batch) -> Update:
        """The mean over the examples, weighted where the batch has weights."""
        told = _of(self.model(batch["observation"]), batch["action"])
        discount = batch["discount"] * (1 - batch["terminated"])
        self.note(self.form.mean(told.detach()).mean())
        error, surprise = self.form.errors(told, self._onward(batch["next_observation"]), batch["reward"], discount)
        if "weight" in batch:
            batch.feedback(priority=surprise)
            error = error * batch["weight"]
        return Update(error.mean(), weight=batch.size)

    def stepped(self) -> None:
        """The target follows."""
        if self.target is not None:
            self.target.follow(self.model)

    @torch.no_grad()
    def _onward(self, observation: Tensor) -> Tensor:
        """What is told of what is done next: (B, ...) to (B, N)."""
        judge = self.model if self.target is None else self.target
        told = judge(observation)
        chooser = self.model(observation) if self.doubled else told
        return _of(told, self.onward(self.form.mean(chooser), self.progress))


def _of(told: Tensor, action: Tensor) -> Tensor:
    """(B, A, N) and (B,) to (B, N)."""
    return told[torch.arange(len(action), device=action.device), action]
