"""The updates of one batch: what the objective asks for, done for each of its roles."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.errors import RecipeError, suggest
from penstock.core.memory import ran_out
from penstock.core.objective import Objective, Update
from penstock.engine.agreement import Agreement
from penstock.engine.device import precision_of
from penstock.engine.exchange import SLOTS, Exchange, Together, norms_of, statistics_of
from penstock.engine.health import Health, LatchedHealth, PromptHealth
from penstock.engine.memory import Memory, Moment
from penstock.engine.plan import Plan
from penstock.engine.reach import Reach, unreached
from penstock.engine.role import Role
from penstock.engine.scaler import ScaledHealth
from penstock.engine.tuning.kernels import backward
from penstock.engine.tuning.whole_step import Taken
from penstock.optim.optimizer import Optimizer


class Stepper:
    """Advances an objective's `step` over a batch, or over its parts in lockstep, and takes each update asked for.

    With `agreement`, gradients are averaged over its ranks. `notice` is called with lines that a user should read.
    Raises RecipeError where optimizers and roles do not match, roles overlap, or accumulation would change the result.
    """

    def __init__(
        self,
        objective: Objective,
        plan: Plan,
        optimizers: Mapping[str, Optimizer],
        device: torch.device,
        agreement: Agreement | None = None,
        notice: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.objective, self.plan = objective, plan
        divided = agreement is not None and agreement.ranks.size > 1
        norms = norms_of(objective.roles().values())
        beside = SLOTS + sum(value.numel() for norm in norms for value in statistics_of(norm)) if divided else 0
        self.roles = _make_roles(objective, optimizers, plan.fused, beside)
        alone = len(self.roles) == 1
        plain = PromptHealth(alone=alone) if device.type == "cpu" else LatchedHealth(device, alone=alone)
        self._scaler = ScaledHealth(device, alone=alone) if plan.precision == "fp16" else None
        self.health: Health = self._scaler or plain
        self._exchange = Exchange(self.roles)
        if divided:
            assert agreement is not None
            self._exchange = Together(self.roles, objective, agreement, norms)
        self._device, self._notice = device, notice
        self._only = self._only_role()
        self.coupling = _coupling(objective, bool(norms))
        """Why a batch is more than its examples, where it is: parts of it then do not add up to the whole."""
        if plan.accumulate > 1 and self.coupling:
            raise RecipeError("accumulate", self.coupling, "use accumulate 1")
        self.memory = Memory(plan, self.coupling, apart=objective.separable, alone=not divided)
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
        try:
            while (cause := self._attempt(batch, number, progress)) is not None:
                self._clear_away()
                self._notice(self.memory.split_step(number, batch.size, midway=self.midway, cause=cause))
                assert before is not None  # without halving, memory.split_step has raised
                before.restore()
        except Exception as error:
            self._exchange.fail(error)
            raise

    def _attempt(self, batch: Batch, number: int, progress: float) -> BaseException | None:
        """Make the step; returns why not, where memory ran out."""
        kept = [buffer.clone() for buffer in self._buffers] if self._buffers else []
        try:
            self._step(self._parts(batch), number, progress)
        except (MemoryError, RuntimeError) as error:
            if not ran_out(error):
                raise
            return error.with_traceback(None)  # whose frames hold what filled the memory
        self.midway = False
        if self._scaler:
            self._scaler.put_back(self._buffers, kept)
        return None

    def _parts(self, batch: Batch) -> list[Batch]:
        """The batch in as many parts as memory needs; none where it is another rank's alone."""
        if self._exchange.weighs and not batch.size:
            return []
        return [batch] if self.memory.parts == 1 else list(batch.split(self.memory.parts))

    def _step(self, parts: Sequence[Batch], number: int, progress: float) -> None:
        turns = self._turns = [self.objective.step(part) for part in parts]
        weighs = len(parts) > 1 or self._exchange.weighs
        for count in itertools.count():
            self._exchange.begin(count)
            updates = self._next(turns[0]) if turns else None
            if updates is None:
                for turn in turns[1:]:
                    self._same(self._next(turn), None)
            role = self._exchange.role(updates, idle=not turns)
            if role is None:
                break
            role.rate = role.rate_at(progress)
            role.flat.gradient.zero_()
            weight = self._backward(role, updates, number, weighs) if updates else 0.0
            for turn in turns[1:]:
                weight += self._backward(role, self._same(self._next(turn), updates), number, weighs)
            if self._unseen and updates and (reach := self._unseen.pop(role.name, None)) and (names := reach.leave()):
                self._notice(unreached(role.name, names, number))
            if weighs:
                self._exchange.average(self.health, role, weight, number)
            norm = torch.linalg.vector_norm(role.flat.gradient)
            self.midway = True
            self.health.take(role, norm, self.plan.clip_norm, self.plan.clip_value, number)

    def _clear_away(self) -> None:
        """What a failed attempt has left: generators that hold their tensors, losses noted, memory kept in reserve."""
        for turn in self._turns:
            if isinstance(turn, Generator):
                turn.close()
        self._turns = []
        self.health.forget()
        if torch.accelerator.is_available():
            torch.accelerator.empty_cache()

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

    def _backward(self, role: Role, update: Update, number: int, weighs: bool) -> float:
        """Add this update's gradient to the role's, scaled by its weight where there are several parts."""
        self._exchange.watch(self.health, update, number)
        loss = self.health.start(update)
        loss = loss * update.weight if weighs else loss
        # With one role, the backward pass finds the same leaves; with more, nobody else's gradients are to be computed.
        backward(loss, None if self._only is role else role.flat.parameters, direct=self.plan.fused)
        return update.weight

    def _same(self, update: Update | None, first: Update | None) -> Update:
        """This part's update, which must be for the role that the first part asked for."""
        if (update and update.role) != (first and first.role):
            raise RecipeError("objective", "the parts of a batch ask for different updates", "set separable = False")
        return update  # type: ignore[return-value]

    def _only_role(self) -> Role | None:
        """The role, where there is one and nothing else in the objective is trainable."""
        if len(self.roles) > 1:
            return None
        (role,) = self.roles.values()
        trainable = sum(p.requires_grad for p in self.objective.parameters())
        return role if trainable == len(role.flat.parameters) else None

    def _batch_statistics(self) -> list[Tensor]:
        """The roles' buffers: what a forward pass in training changes besides the weights."""
        modules = [role.module for role in self.roles.values() if role.module is not None]
        return list({id(b): b for module in modules for b in module.buffers()}.values())


def _coupling(objective: Objective, normalises: bool) -> str | None:
    if not objective.separable:
        return "this loss couples the examples of a batch"
    return "batch normalisation couples the examples of a batch" if normalises else None


def _make_roles(objective: Objective, optimizers: Mapping[str, Optimizer], fused: bool, beside: int) -> dict[str, Role]:
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
    return {name: Role(name, part, optimizers[name], fused=fused, tail=beside) for name, part in members.items()}
