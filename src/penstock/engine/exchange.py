"""What stands between a backward pass and an update where the work is divided: by parts, and among ranks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from penstock.core.errors import RecipeError, suggest
from penstock.core.objective import Objective, Update
from penstock.engine.agreement import Agreement
from penstock.engine.health import Health
from penstock.engine.role import Role


class Exchange:
    """One process: an update is taken as it is asked for."""

    weighs = False
    """Whether losses are scaled by their weights even where a batch is in one part."""

    def __init__(self, roles: Mapping[str, Role]) -> None:
        self._roles = roles

    def begin(self, turn: int) -> None:
        """The next of a batch's updates is about to be computed; `turn` counts them from 0."""

    def role(self, update: Update | None, *, idle: bool) -> Role | None:
        """The role to be updated, or None where the batch is done; `idle`: this process has no examples.

        Raises RecipeError where there is no such role.
        """
        if update is None:
            return None
        role = self._roles.get(update.role)
        if role is None:
            raise RecipeError("objective", f"it asks to update {update.role!r}", suggest(update.role, self._roles))
        return role

    def watch(self, health: Health, update: Update, step: int) -> None:
        """Take note of a loss, before its backward pass."""
        health.watch_loss(update, step)

    def average(self, health: Health, role: Role, weight: float, step: int) -> None:
        """Turn the weighted sum of gradients into their mean."""
        role.flat.gradient.div_(weight)

    def fail(self, error: Exception) -> None:
        """This process cannot go on with the step."""


SLOTS = 5
"""Numbers beside the gradient: weight, loss, failures, signals, seconds."""


@final
class Together(Exchange):
    """Several ranks: gradients are summed, and with them, in the same collective, all that must be known by everyone.

    An objective that has one role and writes `loss` alone makes one update a batch, for which one collective is enough.
    For any other the ranks tell one another first whose turn it is: one of them may have no examples, or may find that
    the batch is done.
    """

    weighs = True

    def __init__(
        self,
        roles: Mapping[str, Role],
        objective: Objective,
        agreement: Agreement,
        norms: Sequence[_BatchNorm],
    ) -> None:
        super().__init__(roles)
        self._ranks, self._agreement, self._norms = agreement.ranks, agreement, norms
        self._only = next(iter(roles.values())) if len(roles) == 1 and _writes_loss_alone(objective) else None
        self._turn = 0
        self._awaited: Role | str | None = None
        self._failure: Exception | None = None
        self._loss: Tensor | float = 0.0

    def begin(self, turn: int) -> None:
        """From here on the others wait for this rank: whatever happens, it is to take part in what comes next."""
        self._turn = turn
        if self._only is None:
            self._awaited = "turn"
        elif turn == 0:
            self._awaited = self._only

    def role(self, update: Update | None, *, idle: bool) -> Role | None:
        """The role that the ranks with examples ask for. Raises RecipeError where these differ."""
        own = super().role(update, idle=idle)
        if self._only is not None:
            return self._only if self._turn == 0 else None
        return self._asked_by_all(own, done=update is None and not idle)

    def watch(self, health: Health, update: Update, step: int) -> None:
        """Only the sum over all ranks is looked at."""
        self._loss = self._loss + update.loss.detach() * update.weight

    def average(self, health: Health, role: Role, weight: float, step: int) -> None:
        """The mean over all ranks. Raises what the health says to the mean loss, or the error that a rank had."""
        loss, total = self._sum(role, weight)
        health.watch_loss(Update(loss, role.name, total), step)

    def fail(self, error: Exception) -> None:
        """Tell the others, where they wait; all raise this error then."""
        self._failure = error
        if isinstance(self._awaited, Role):
            self._awaited.flat.gradient.zero_()
            self._sum(self._awaited, 0.0)
        elif self._awaited is not None:
            self._asked_by_all(None, done=False)

    def _sum(self, role: Role, weight: float) -> tuple[Tensor, float]:
        """Sum gradient, weight, loss and the rest over all ranks in one collective; mean loss and whole weight."""
        self._awaited = None
        own = role.flat.gradient_and_tail
        wide = own if own.dtype.itemsize >= 4 else own.float()  # in half precision neither sums nor weights are exact
        gradient, tail = wide[: len(role.flat.gradient)], wide[len(role.flat.gradient) :]
        numbers = [weight, 0.0, float(self._failure is not None), *self._agreement.said()]
        tail[:SLOTS] = torch.tensor(numbers, dtype=wide.dtype, device=wide.device)
        tail[1] += self._loss
        self._loss = 0.0
        statistics = [(value, norm.training) for norm in self._norms for value in statistics_of(norm)]
        if statistics:
            tail[SLOTS:] = torch.cat([value.flatten() for value, _ in statistics]) * weight
        self._ranks.sum(wide)
        total, _, failures, asked, seconds = tail[:SLOTS].tolist()
        if failures:
            self._ranks.agree(self._failure)
        self._agreement.heard(asked, seconds)
        wide.div_(total)
        if wide is not own:
            role.flat.gradient.copy_(gradient)
        means = torch.split(tail[SLOTS:], [value.numel() for value, _ in statistics])
        for (value, moving), mean in zip(statistics, means, strict=True):
            if moving:
                value.copy_(mean)
        return tail[1].clone(), total

    def _asked_by_all(self, own: Role | None, *, done: bool) -> Role | None:
        """A mask of who asks for what: one number a role, one for being done, failures, signals and seconds."""
        self._awaited = None
        asking = [float(role is own) for role in self._roles.values()]
        numbers = [*asking, float(done), float(self._failure is not None), *self._agreement.said()]
        sums = torch.tensor(numbers, dtype=torch.float64)
        self._ranks.sum(sums)
        *counts, finished, failures, asked, seconds = sums.tolist()
        if failures:
            self._ranks.agree(self._failure)
        self._agreement.heard(asked, seconds)
        wanted = [role for role, count in zip(self._roles.values(), counts, strict=True) if count]
        if len(wanted) + (finished > 0) > 1:
            raise RecipeError("objective", "the parts of a batch ask for different updates", "train it in one process")
        return wanted[0] if wanted else None


def norms_of(members: Iterable[nn.Module | list[nn.Parameter]]) -> list[_BatchNorm]:
    """The batch normalisation layers of some roles."""
    modules = (part for member in members if isinstance(member, nn.Module) for part in member.modules())
    return [part for part in modules if isinstance(part, _BatchNorm)]


def statistics_of(norm: _BatchNorm) -> list[Tensor]:
    """What a layer has learned of the data; its mean over the ranks keeps them alike."""
    return [value for value in (norm.running_mean, norm.running_var) if value is not None]


def _writes_loss_alone(objective: Objective) -> bool:
    step: Any = type(objective).step
    return step is Objective.step and "step" not in vars(objective)
