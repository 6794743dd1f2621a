"""The updates of one batch: what the objective asks for, done for each of its roles."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from penstock.core.batch import Batch
from penstock.core.errors import RecipeError, suggest
from penstock.core.memory import ran_out
from penstock.core.objective import Objective, Update
from penstock.engine.device import precision_of
from penstock.engine.health import Health, LatchedHealth, PromptHealth
from penstock.engine.memory import Memory, Moment
from penstock.engine.plan import Plan
from penstock.engine.reach import Reach, unreached
from penstock.engine.role import Role
from penstock.engine.scaler import ScaledHealth
from penstock.optim.optimizer import Optimizer


class Stepper:
    """Advances an objective's `step` over a batch, or over its parts in lockstep, and takes each update asked for.

    `notice` is called with lines that a user should read. Raises RecipeError where optimizers and roles do not match,
    roles overlap, or accumulation would change the result.
    """

    def __init__(
        self,
        objective: Objective,
        plan: Plan,
        optimizers: Mapping[str, Optimizer],
        device: torch.device,
        notice: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.objective, self.plan = objective, plan
        self.roles = _make_roles(objective, optimizers, plan.fused)
        alone = len(self.roles) == 1
        plain = PromptHealth(alone=alone) if device.type == "cpu" else LatchedHealth(device, alone=alone)
        self._scaler = ScaledHealth(device, alone=alone) if plan.precision == "fp16" else None
        self.health: Health = self._scaler or plain
        self._device, self._notice = device, notice
        self._only = self._only_role()
        coupling = self._coupling()
        if plan.accumulate > 1 and coupling is not None:
            raise RecipeError("accumulate", coupling, "use accumulate 1")
        self.memory = Memory(plan, coupling, apart=objective.separable)
        self.midway = False
        """Whether an update of the present step has begun, so that the weights are no longer those before it."""
        self._turns: list[Iterator[Update]] = []
        self._buffers = self._batch_statistics() if self._scaler else []
        self._unseen = {name: Reach(dict(zip(r.flat.names, r.flat.parameters))) for name, r in self.roles.items()}

    def step(self, batch: Batch, number: int, progress: float) -> None:
        """All updates of one batch. Raises NumericError before an update that is not finite.

        Raises OutOfMemory where memory does not suffice; then `midway` tells whether a weight may have moved. Batch
        statistics and the random state are put back only where the step is made again: to keep them costs time.
        """
        object.__setattr__(self.objective, "progress", progress)  # nn.Module's own __setattr__ costs microseconds
        before = Moment(self.objective) if self.memory.halves else None
        while True:
            try:
                self._attempt(batch, number, progress)
            except (MemoryError, RuntimeError) as error:
                if not ran_out(error):
                    raise
                cause = error.with_traceback(None)  # whose frames hold what filled the memory
            else:
                return
            self._clear_away()
            self._notice(self.memory.split_step(number, batch.size, midway=self.midway, cause=cause))
            assert before is not None  # without halving, memory.split_step has raised
            before.restore()

    def _attempt(self, batch: Batch, number: int, progress: float) -> None:
        kept = [buffer.clone() for buffer in self._buffers] if self._buffers else []
        parts = [batch] if self.memory.parts == 1 else list(batch.split(self.memory.parts))
        turns = self._turns = [self.objective.step(part) for part in parts]
        while updates := self._next(turns[0]):
            role = self._role(updates)
            role.set_rate(progress)
            role.flat.gradient.zero_()
            weight = self._backward(role, updates, number, len(parts))
            for turn in turns[1:]:
                weight += self._backward(role, self._same(self._next(turn), updates), number, len(parts))
            if len(parts) > 1:
                role.flat.gradient.div_(weight)
            if self._unseen and (reach := self._unseen.pop(role.name, None)) and (names := reach.leave()):
                self._notice(unreached(role.name, names, number))
            norm = torch.linalg.vector_norm(role.flat.gradient)
            self.midway = True
            self.health.take(role, norm, self.plan.clip_norm, self.plan.clip_value, number)
        for turn in turns[1:]:
            self._same(self._next(turn), None)
        self.midway = False
        if self._scaler:
            self._scaler.put_back(self._buffers, kept)

    def _clear_away(self) -> None:
        """What a failed attempt has left: generators that hold their tensors, losses noted, memory kept in reserve."""
        for turn in self._turns:
            if isinstance(turn, Generator):
                turn.close()
        self._turns = []
        self.health.forget()
        if torch.accelerator.is_available():
            torch.accelerator.empty_cache()

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
        counts = {name: {"updates": int(role.updates), "rate": role.rate} for name, role in self.roles.items()}
        return tensors, {"roles": counts, "health": self.health.state_dict(), "memory": self.memory.state()}

    def load_state(self, groups: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> None:
        """Put back what `state` gave."""
        for name, role in self.roles.items():
            role.load_tensors(groups.get(f"optimizer.{name}", {}))
            role.updates, role.rate = state["roles"][name]["updates"], state["roles"][name]["rate"]
            if role.updates and (seen := self._unseen.pop(name, None)):
                seen.leave()
        self.memory.load_state(state["memory"])
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
        loss = self.health.watch_loss(update, number)
        loss = loss if parts == 1 else loss * update.weight
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

    def _coupling(self) -> str | None:
        """Why the parts of a batch would not add up to the whole, if so."""
        if not self.objective.separable:
            return "this loss couples the examples of a batch"
        if any(isinstance(part, _BatchNorm) for module in self._modules() for part in module.modules()):
            return "batch normalisation couples the examples of a batch"
        return None

    def _batch_statistics(self) -> list[Tensor]:
        """The roles' buffers: what a forward pass in training changes besides the weights."""
        return list({id(b): b for module in self._modules() for b in module.buffers()}.values())

    def _modules(self) -> list[nn.Module]:
        return [role.module for role in self.roles.values() if role.module is not None]


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
