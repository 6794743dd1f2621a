"""The updates of one batch: what the objective asks for, done for each of its roles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from penstock.core.batch import Batch
from penstock.core.errors import RecipeError, suggest
from penstock.core.objective import Objective, Update
from penstock.engine.device import precision_of
from penstock.engine.health import Health, LatchedHealth, PromptHealth
from penstock.engine.plan import Plan
from penstock.engine.role import Role
from penstock.engine.tuning.whole_step import Taken
from penstock.optim.optimizer import Optimizer


class Stepper:
    """Advances an objective's `step` over a batch, or over its parts in lockstep, and takes each update asked for.

    Raises RecipeError where optimizers and roles do not match, roles overlap, or accumulation would change the result.
    """

    def __init__(
        self, objective: Objective, plan: Plan, optimizers: Mapping[str, Optimizer], device: torch.device
    ) -> None:
        self.objective, self.plan = objective, plan
        self.roles = _make_roles(objective, optimizers, plan.fused)
        alone = len(self.roles) == 1
        self.health: Health = PromptHealth(alone=alone) if device.type == "cpu" else LatchedHealth(device, alone=alone)
        self._device = device
        self._only = self._only_role()
        if plan.accumulate > 1:
            self._refuse_coupled_examples()

    def step(self, batch: Batch, number: int, progress: float) -> None:
        """All updates of one batch. Raises NumericError before an update that is not finite."""
        object.__setattr__(self.objective, "progress", progress)  # nn.Module's own __setattr__ costs microseconds
        parts = [batch] if self.plan.accumulate == 1 else list(batch.split(self.plan.accumulate))
        turns = [self.objective.step(part) for part in parts]
        while updates := self._next(turns[0]):
            role = self._role(updates)
            role.rate = role.rate_at(progress)
            role.flat.gradient.zero_()
            weight = self._backward(role, updates, number, len(parts))
            for turn in turns[1:]:
                weight += self._backward(role, self._same(self._next(turn), updates), number, len(parts))
            if len(parts) > 1:
                role.flat.gradient.div_(weight)
            norm = torch.linalg.vector_norm(role.flat.gradient)
            self.health.take(role, norm, self.plan.clip_norm, self.plan.clip_value, number)
        for turn in turns[1:]:
            self._same(self._next(turn), None)

    def note(self, taken: Taken) -> None:
        """Take note of an update that was taken elsewhere."""
        role = self.roles[taken.role]
        role.updates, role.rate = role.updates + 1, taken.rate
        self.health.note(taken.role, taken.loss, taken.weight, taken.norm)

    def train(self) -> None:
        """Put the roles' modules in training mode; teachers, targets and frozen parts stay in evaluation mode."""
        for role in self.roles.values():
            if role.module is None:
                continue
            role.module.train()
            for part in role.module.modules():
                parameters = list(part.parameters())
                if parameters and not any(p.requires_grad for p in parameters):
                    part.eval()

    @property
    def rate(self) -> float:
        """The learning rate of the first role."""
        return next(iter(self.roles.values())).rate

    def state(self) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
        """Tensors in groups, and JSON values."""
        tensors = {f"optimizer.{name}": role.tensors() for name, role in self.roles.items()}
        counts = {name: {"updates": role.updates, "rate": role.rate} for name, role in self.roles.items()}
        return tensors, {"roles": counts, "health": self.health.state_dict()}

    def load_state(self, groups: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> None:
        """Put back what `state` gave."""
        for name, role in self.roles.items():
            role.load_tensors(groups.get(f"optimizer.{name}", {}))
            role.updates, role.rate = state["roles"][name]["updates"], state["roles"][name]["rate"]
        self.health.load_state_dict(state["health"])

    def _next(self, turn: Iterator[Update]) -> Update | None:
        """The next update that the objective asks for, computed in the plan's precision."""
        with precision_of(self.plan.precision, self._device):
            update = next(turn, None)
        if not torch.is_grad_enabled():
            torch.set_grad_enabled(True)
            raise RecipeError("objective", "it yields inside a no_grad block", "leave the block before yielding")
        return update

    def _backward(self, role: Role, update: Update, number: int, parts: int) -> float:
        """Add this update's gradient to the role's, scaled by its weight where there are several parts."""
        self.health.watch_loss(update, number)
        loss = update.loss if parts == 1 else update.loss * update.weight
        # With one role, backward() finds the same leaves; with more, nobody else's gradients are to be computed.
        loss.backward(inputs=None if self._only is role else role.flat.parameters)  # type: ignore[no-untyped-call]
        return update.weight

    def _same(self, update: Update | None, first: Update | None) -> Update:
        """This part's update, which must be for the role that the first part asked for."""
        if (update and update.role) != (first and first.role):
            raise RecipeError("objective", "the parts of a batch ask for different updates", "set separable = False")
        return update  # type: ignore[return-value]

    def _role(self, update: Update) -> Role:
        role = self.roles.get(update.role)
        if role is None:
            raise RecipeError("objective", f"it asks to update {update.role!r}", suggest(update.role, self.roles))
        return role

    def _only_role(self) -> Role | None:
        """The role, where there is one and nothing else in the objective is trainable."""
        if len(self.roles) > 1:
            return None
        (role,) = self.roles.values()
        trainable = sum(p.requires_grad for p in self.objective.parameters())
        return role if trainable == len(role.flat.parameters) else None

    def _refuse_coupled_examples(self) -> None:
        if not self.objective.separable:
            raise RecipeError("accumulate", "this loss couples the examples of a batch", "use accumulate 1")
        modules = (
            module for role in self.roles.values() if role.module is not None for module in role.module.modules()
        )
        if any(isinstance(module, _BatchNorm) for module in modules):
            raise RecipeError("accumulate", "batch normalisation couples the examples of a batch", "use accumulate 1")


def _make_roles(objective: Objective, optimizers: Mapping[str, Optimizer], fused: bool) -> dict[str, Role]:
    members = objective.roles()
    for name in members:
        if name not in optimizers:
            raise RecipeError("optimizers", f"role {name!r} has none", "give one optimizer a role")
    for name in optimizers:
        if name not in members:
            raise RecipeError("optimizers", f"there is no role {name!r}", suggest(name, members))
    owners: dict[int, str] = {}
    for name, part in members.items():
        for parameter in part if isinstance(part, list) else part.parameters():
            if (owner := owners.setdefault(id(parameter), name)) != name:
                raise RecipeError("roles", f"{owner!r} and {name!r} share a parameter", "make the roles disjoint")
    return {name: Role(name, part, optimizers[name], fused=fused) for name, part in members.items()}
