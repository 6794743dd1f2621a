"""When memory runs out: a batch in smaller parts where that was asked for and changes nothing, else what to do."""

from __future__ import annotations

from typing import Any

from torch import nn

from penstock.core.memory import OutOfMemory, ran_out
from penstock.core.random import random_state, restore_random_state
from penstock.engine.plan import Plan

FLAG = "--on-out-of-memory halve"


class Memory:
    """How many parts a batch is computed in: `parts` in training, `pieces` in evaluations.

    With `halves`, a batch that does not fit is computed in twice as many from then on. `coupling` says why parts of a
    training batch would not add up to the whole, if so; `apart` whether an evaluation's examples may be parted. Several
    processes (not `alone`) stop: one of them cannot make a step again that the others have made.
    """

    def __init__(self, plan: Plan, coupling: str | None, *, apart: bool, alone: bool) -> None:
        self.halves = plan.on_out_of_memory == "halve" and alone
        self.parts, self.pieces = plan.accumulate, 1
        self._coupling, self._apart = coupling, apart

    def split_step(self, step: int, size: int, *, midway: bool, cause: BaseException) -> str:
        """Split training batches further; returns the line that says so. `size` is that of the batch that did not fit.

        Raises OutOfMemory, with a batch size to try, where it was not asked for, cannot be done, or the step is
        `midway`: an update of it has begun, and must not be taken twice.
        """
        found = _found(size, self.parts)
        smaller = f"--batch-size {max(size // 2, 1)}"
        if midway:
            found += ", after the step's updates had begun, so that the step cannot be made again"
            raise OutOfMemory(f"step {step}", found, f"train with {smaller}") from cause
        if self.parts >= size:
            raise OutOfMemory(f"step {step}", found, "give a smaller model or smaller inputs") from cause
        if self._coupling is not None:
            found += f", which cannot be computed in parts ({self._coupling})"
            raise OutOfMemory(f"step {step}", found, f"train with {smaller}") from cause
        if not self.halves:
            raise OutOfMemory(f"step {step}", found, f"train with {smaller}, or with {FLAG}") from cause
        self.parts *= 2
        return f"step {step}: {found}; from here on a batch is computed in {self.parts} parts, with the same gradient"

    def split_evaluation(self, step: int, size: int, cause: BaseException) -> str:
        """Split evaluation batches further, as `split_step`; `size` is that of the part that did not fit."""
        where, found = f"evaluation after step {step}", _found(size, 1)
        if size <= 1:
            raise OutOfMemory(where, found, "give a smaller model or smaller inputs") from cause
        if not self._apart:
            found += ", whose examples the loss couples"
            raise OutOfMemory(where, found, f"evaluate in batches of {size // 2}") from cause
        if not self.halves:
            raise OutOfMemory(where, found, f"evaluate in batches of {size // 2}, or give {FLAG}") from cause
        self.pieces *= 2
        return f"{where}: {found}; from here on evaluation batches are computed in {self.pieces} parts"

    def state(self) -> dict[str, int]:
        """As JSON values."""
        return {"parts": self.parts, "pieces": self.pieces}

    def load_state(self, state: dict[str, int]) -> None:
        """Put back what `state` gave."""
        self.parts, self.pieces = state["parts"], state["pieces"]


def as_out_of_memory(error: BaseException, step: int) -> OutOfMemory | None:
    """An error of training as one that says that memory has run out, where it does; `step` is the one to come."""
    if isinstance(error, OutOfMemory):
        return error
    if not ran_out(error):
        return None
    found = "out of memory while a batch was fetched or weights were copied"
    return OutOfMemory(f"step {step}", found, "give a smaller --batch-size, or make room")


class Moment:
    """Random state and buffers as they were before a step, to make the step again."""

    def __init__(self, module: nn.Module) -> None:
        self._random: Any = random_state()
        self._buffers = [(buffer, buffer.clone()) for buffer in module.buffers()]

    def restore(self) -> None:
        """Back to this moment."""
        restore_random_state(*self._random)
        for buffer, kept in self._buffers:
            buffer.copy_(kept)


def _found(size: int, parts: int) -> str:
    if size == 0:
        return "out of memory before the first batch"
    examples = "1 example" if size == 1 else f"{size} examples"
    return f"out of memory on a batch of {examples}" + (f" in {parts} parts" if parts > 1 else "")
