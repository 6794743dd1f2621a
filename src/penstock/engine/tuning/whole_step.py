"""Several whole steps, forward, backward and updates, compiled into one call: for networks so small that calling the
operations takes longer than the operations themselves.

Dynamo follows the objective's own `step`, its yields and what comes after them, so that objectives need not know. The
switch that lets it see gradients (`trace_autograd_ops`) is private to torch; where the compilation fails, for this or
any other reason, `CannotCompile` is raised, nothing has changed, and the plain way goes on.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.objective import Objective
from penstock.core.random import random_state, restore_random_state
from penstock.engine.average import Average
from penstock.engine.device import precision_of
from penstock.engine.plan import Plan
from penstock.engine.role import Role

STEPS_A_CALL = 8
COMPILER: dict[str, Any] = {"backend": "inductor", "options": {"cpp_wrapper": True, "fallback_random": True}}
"""No Python between the kernels; the random stream of the plain way."""


class NotFinite(Exception):
    """A loss or a gradient was not; nothing has changed."""


class CannotCompile(Exception):
    """The objective, or this machine, does not allow it; the message is one line."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one update: its loss, a mean over `weight`, and the norm of its gradient."""

    role: str
    rate: float
    weight: float
    loss: float
    norm: float


class WholeStep:
    """`STEPS_A_CALL` steps of an objective as one compiled function: all of them, or none."""

    def __init__(
        self, objective: Objective, roles: Mapping[str, Role], plan: Plan, average: Average | None, device: torch.device
    ) -> None:
        self._objective, self._roles, self._plan = objective, roles, plan
        self._average, self._device = average, device
        trained = {id(p) for role in roles.values() for p in role.flat.parameters}
        self._others = [p for p in objective.parameters() if id(p) not in trained]
        """Parameters that only `stepped` changes, such as a target network's."""
        double = any(role.flat.parameter.dtype == torch.float64 for role in roles.values())
        self._numbers_in = torch.float64 if double else torch.float32
        self._times: dict[str, int] = {}
        """How often each role is updated in a step, as it was in those before the first call."""
        # Dynamo keeps what it compiles with the code: in code of its own, this engine's is neither found by the next
        # engine of the process, nor takes it for a recompilation.
        own = MethodType(FunctionType(WholeStep._advance.__code__.replace(), globals()), self)
        self._compiled = torch.compile(own, fullgraph=True, dynamic=False, **COMPILER)
        self._switches = _dynamo().config.patch(trace_autograd_ops=True, error_on_recompile=True)
        self._is_compiled = False

    def __call__(self, fields: Mapping[str, Tensor], progress: Sequence[float], step: int) -> list[list[Taken]]:
        """Train on stacked batches, each field (steps, B, ...), of one shape at every call; `step` numbers the first.

        Returns what was taken, for each batch. Raises NotFinite, and CannotCompile where it is impossible; nothing has
        changed then.
        """
        rates = [{name: role.rate_at(p) for name, role in self._roles.items()} for p in progress]
        restore = self._snapshot()
        numbers, said = (self._again if self._is_compiled else self._first)(fields, progress, step, rates)
        object.__setattr__(self._objective, "progress", progress[-1])
        found = numbers.tolist()
        if not all(map(math.isfinite, itertools.chain.from_iterable(found))):
            restore()
            raise NotFinite
        rows = iter(found)
        return [
            [Taken(role, rates[k][role], weight, *next(rows)) for role, weight in step_said]
            for k, step_said in enumerate(said)
        ]

    def _snapshot(self) -> Callable[[], None]:
        """Keeps what the compiled steps change; the function that it returns puts it back."""
        tensors = [tensor for role in self._roles.values() for tensor in (role.flat.parameter, *role.state.values())]
        tensors += [*self._others, *self._objective.buffers()]
        tensors += self._average.tensors().values() if self._average else []
        values = [tensor.detach().clone() for tensor in tensors]
        random, progress = torch.get_rng_state(), self._objective.progress

        def restore() -> None:
            with torch.no_grad():
                for tensor, value in zip(tensors, values, strict=True):
                    tensor.copy_(value)
            torch.set_rng_state(random)
            object.__setattr__(self._objective, "progress", progress)

        return restore

    def _first(self, *inputs: Any) -> Any:
        """The call that compiles, where anything may go wrong: in the objective, in dynamo, in the compiler."""
        restore, random = self._snapshot(), random_state()
        try:
            self._times = {name: round(int(role.updates) / (inputs[2] - 1)) for name, role in self._roles.items()}
            found = self._run(*inputs)
        except Exception as error:
            restore()
            restore_random_state(*random)
            raise CannotCompile(_line(error)) from error
        self._is_compiled = True
        return found

    def _again(self, *inputs: Any) -> Any:
        """A later call. What goes wrong in it would in the plain way too, but for what dynamo took for constant."""
        try:
            return self._run(*inputs)
        except _dynamo().exc.RecompileError as error:  # before the run
            raise CannotCompile("something other than tensors changes from step to step") from error

    def _run(
        self, fields: Mapping[str, Tensor], progress: Sequence[float], step: int, rates: Sequence[Mapping[str, float]]
    ) -> tuple[Tensor, list[list[tuple[str, float]]]]:
        averaging = [self._average.weight(step + k) if self._average else 0.0 for k in range(len(progress))]
        controls = self._tensor([progress, averaging])
        factors = {
            name: self._tensor([role.optimizer.factors(number, rates[k][name]) for k, number in self._numbers(role)])
            for name, role in self._roles.items()
        }
        with self._switches:
            found: tuple[Tensor, list[list[tuple[str, float]]]] = self._compiled(dict(fields), controls, factors)
        return found

    def _numbers(self, role: Role) -> Iterator[tuple[int, int]]:
        """Which step of the call each update of the role belongs to, and its number."""
        times = self._times[role.name]
        return ((k, int(role.updates) + k * times + n + 1) for k in range(STEPS_A_CALL) for n in range(times))

    def _tensor(self, values: Any) -> Tensor:
        return torch.tensor(values, dtype=self._numbers_in, device=self._device)

    def _advance(
        self, fields: dict[str, Tensor], controls: Tensor, factors: dict[str, Tensor]
    ) -> tuple[Tensor, list[list[tuple[str, float]]]]:
        """The function that is compiled: everything in it is a tensor operation or a constant."""
        made = dict.fromkeys(self._roles, 0)
        numbers: list[Tensor] = []
        said: list[list[tuple[str, float]]] = []
        for k in range(STEPS_A_CALL):
            object.__setattr__(self._objective, "progress", controls[0, k])
            turn = self._objective.step(Batch({name: values[k] for name, values in fields.items()}))
            step_said: list[tuple[str, float]] = []
            while True:
                with precision_of(self._plan.precision, self._device):
                    update = next(turn, None)
                if update is None:
                    break
                role, at = self._roles[update.role], made[update.role]
                norm = self._update(role, update.loss, factors[update.role][at])
                made[update.role] += 1
                numbers.append(torch.stack([update.loss.detach().to(self._numbers_in), norm.to(self._numbers_in)]))
                step_said.append((update.role, update.weight))
            said.append(step_said)
            self._objective.stepped()
            if self._average is not None:
                with torch.no_grad():
                    for mean, live in self._average.pairs():
                        mean.lerp_(live, controls[1, k].to(mean.dtype))
        if made != {name: times * STEPS_A_CALL for name, times in self._times.items()}:
            raise ValueError("the number of updates differs from step to step")
        return torch.stack(numbers), said

    def _update(self, role: Role, loss: Tensor, factors: Tensor) -> Tensor:
        """One optimizer step; returns the norm of the gradient."""
        parameters = role.flat.parameters
        found = torch.autograd.grad(loss, parameters, allow_unused=True)
        with torch.no_grad():
            gradients = [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]
            norm = torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt()
            limit = self._plan.clip_norm
            scale = None if limit is None else torch.where(norm > limit, limit / (norm + 1e-6), 1.0)
            for (parameter, state, decay), gradient in zip(role.members(), gradients, strict=True):
                if scale is not None:
                    gradient = gradient * scale
                if self._plan.clip_value is not None:
                    gradient = gradient.clamp(-self._plan.clip_value, self._plan.clip_value)
                role.optimizer.move(parameter, gradient, state, factors.unbind(), decay)
        return norm


def _line(error: Exception) -> str:
    """What it says first; dynamo puts what the compiler said into a second line, below "... raised:"."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[: 2 if lines[0].endswith(":") else 1]) if lines else type(error).__name__


def _dynamo() -> Any:
    import torch._dynamo  # a second of imports, for those who compile

    return torch._dynamo
