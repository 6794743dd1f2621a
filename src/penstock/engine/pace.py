"""Steps one by one, or several in a compiled call: what the engine's loop advances by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from penstock.core.memory import ran_out
from penstock.core.objective import Objective
from penstock.core.ranks import Ranks
from penstock.engine.ahead import Ahead
from penstock.engine.average import Average
from penstock.engine.clock import Clock
from penstock.engine.plan import Plan
from penstock.engine.stepper import Stepper
from penstock.engine.tuning.rules import is_settled, settle, settled_choices, with_choices
from penstock.engine.tuning.whole_step import STEPS_A_CALL, CannotCompile, NotFinite, Taken, WholeStep
from penstock.engine.tuning.work import Work, work_of


class Pace:
    """Trains on the batches of a source.

    With a `whole` step it makes several steps at once, wherever that many are left before the loop's next mark and
    their batches have the one shape that it is compiled for: that of the first such group. Others are made one by one.
    Which steps are made together is part of a checkpoint, so that a resumed run makes the same. `gave_up` is called
    with the reason where the compilation fails; training then goes on step by step.
    """

    def __init__(
        self,
        objective: Objective,
        stepper: Stepper,
        average: Average | None,
        source: Ahead,
        clock: Clock,
        *,
        gave_up: Callable[[str], None],
    ) -> None:
        self.objective, self.stepper, self.average = objective, stepper, average
        self.source, self.clock, self.gave_up = source, clock, gave_up
        self.whole: WholeStep | None = None
        self._shape: dict[str, Any] | None = None
        self._singly = 0  # steps still to be made one by one, of a group that does not fit

    def settle(self, plan: Plan, ranks: Ranks, device: torch.device) -> Plan:
        """The plan with its open choices made, by what the model has to compute for the first batch; compile if so."""
        if not is_settled(plan):
            (batch,) = self.source.peek(1)

            def choices() -> dict[str, Any]:
                """Of the first rank, for it has examples of every batch."""
                if not ranks.first:
                    return {}
                try:
                    work = work_of(self.objective, batch)
                    return settled_choices(settle(plan, work, self.clock.total, device, ranks))
                except (MemoryError, RuntimeError) as error:
                    if not ran_out(error):
                        raise
                return settled_choices(settle(plan, Work(), self.clock.total, device, ranks))  # the step will say so

            plan = with_choices(plan, ranks.from_first(ranks.attempt(choices)))
            self.source.put_back()
        if plan.compile == "on":
            if reason := self._must_go_singly(plan, ranks):
                self.gave_up(reason)
                return plan.model_copy(update={"compile": "off"})
            self.whole = self.whole or WholeStep(self.objective, self.stepper.roles, plan, self.average, device)
        return plan

    def _must_go_singly(self, plan: Plan, ranks: Ranks) -> str | None:
        if self.stepper.memory.parts > 1:
            return "a batch in several parts is trained on step by step"
        if self.source.listens:
            return "each batch depends on the step before it"
        if ranks.size > 1:
            return "several processes train step by step"
        return "the scaled losses of fp16 are trained on step by step" if plan.precision == "fp16" else None

    def advance(self, room: int) -> Iterator[None]:
        """Make at least one and at most `room` steps; yields after each, when the clock is to be moved."""
        together = room >= STEPS_A_CALL and not self._singly and self.clock.step > 0  # the first looks for odd things
        if self.whole is not None and together:
            fields = self.source.together(STEPS_A_CALL)
            if fields is not None and self._fit(fields):
                try:
                    made = self._at_once(self.whole, fields)
                except CannotCompile as error:
                    self.whole = None
                    self.gave_up(str(error))
                except NotFinite:  # the plain way says what it is
                    self._singly = STEPS_A_CALL
                else:
                    self.source.skip(STEPS_A_CALL)
                    yield from self._note(made)
                    return
            else:
                self._singly = STEPS_A_CALL
        yield from self._plainly()

    def state_dict(self) -> dict[str, Any]:
        """What decides which steps are made together, as JSON values."""
        return {"shape": self._shape, "singly": self._singly}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` gave."""
        self._shape, self._singly = state["shape"], state["singly"]

    def _fit(self, fields: Mapping[str, Tensor]) -> bool:
        """Whether stacked batches are of the one shape; the first ones decide on it."""
        shape = {name: [list(values.shape[1:]), str(values.dtype)] for name, values in fields.items()}
        self._shape = self._shape or shape
        return shape == self._shape

    def _plainly(self) -> Iterator[None]:
        number = self.clock.step + 1
        (batch,) = self.source.peek(1)
        self.stepper.step(batch, number, self.clock.progress)
        next(self.source)  # only now: where memory ran out, the batch is still to come
        self.objective.stepped()
        if self.average is not None:
            self.average.update(number)
        self._singly = max(self._singly - 1, 0)
        yield

    def _at_once(self, whole: WholeStep, fields: Mapping[str, Tensor]) -> list[list[Taken]]:
        first = self.clock.step + 1
        return whole(fields, [self.clock.progress_of(first + k) for k in range(STEPS_A_CALL)], first)

    def _note(self, made: list[list[Taken]]) -> Iterator[None]:
        for updates in made:
            for taken in updates:
                self.stepper.note(taken)
            yield
