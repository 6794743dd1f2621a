"""How far a training has come."""

from __future__ import annotations

import math
import time

from penstock.core.errors import RecipeError
from penstock.engine.plan import Plan


class Clock:
    """Counts steps against the plan. One batch is one step.

    With several ranks the first one's time counts for all (`told`), lest they decide differently.
    Raises RecipeError for a plan without an end, or without a single step.
    """

    def __init__(self, plan: Plan, epoch_steps: int, *, told: bool = False) -> None:
        self.step = 0
        self.epoch_steps = epoch_steps
        self.budget = plan.minutes * 60 if plan.minutes else math.inf
        limits = [plan.steps] if plan.steps else []
        limits += [round(plan.epochs * epoch_steps)] if plan.epochs else []
        self.total = min(limits) if limits else None
        if self.total is None and plan.minutes is None:
            raise RecipeError("plan", "nothing says when to stop", "give epochs, steps or minutes")
        if self.total == 0 or epoch_steps == 0:
            raise RecipeError(
                "plan",
                f"{plan.epochs} epochs of {epoch_steps} batches are 0 steps",
                "give more epochs or a smaller batch",
            )
        self._before = 0.0
        self._since = time.perf_counter()
        self._told = 0.0 if told else None

    @property
    def epoch(self) -> float:
        """Epochs passed."""
        return self.step / self.epoch_steps

    @property
    def seconds(self) -> float:
        """Time spent in the loop, in this process and those that it resumed, as far as all ranks know."""
        return self._before + time.perf_counter() - self._since if self._told is None else self._told

    @property
    def elapsed(self) -> float:
        """The same by this process's own watch."""
        return self._before + time.perf_counter() - self._since

    @property
    def progress(self) -> float:
        """Of the step to come; see `progress_of`."""
        return self.progress_of(self.step + 1)

    def progress_of(self, step: int) -> float:
        """In the middle of a step, between 0 and 1: by steps, or by time where that runs out first."""
        by_steps = (step - 0.5) / self.total if self.total else 0.0
        return by_steps if self.budget == math.inf else min(max(by_steps, self.seconds / self.budget), 1.0)

    def over(self) -> str | None:
        """Why training is over by the plan, if it is."""
        if self.total is not None and self.step >= self.total:
            return f"all {self.total} steps were made"
        if self.seconds >= self.budget:
            return f"the time budget of {self.budget / 60:g} minutes was used"
        return None

    def start(self, step: int = 0, seconds: float = 0.0) -> None:
        """Go on from `step`, after `seconds` of earlier work."""
        self.step, self._before, self._since = step, seconds, time.perf_counter()
        self._told = None if self._told is None else seconds

    def tell(self, seconds: float) -> None:
        """The time by which all ranks go until they are told another."""
        self._told = seconds
