"""The one loop."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.errors import CheckpointError, DataError, Interrupted, WorkerError
from penstock.core.objective import Evaluation, Objective, Source
from penstock.core.random import forked, random_state, restore_random_state
from penstock.core.tensors import copy_checked
from penstock.engine.ahead import Ahead
from penstock.engine.average import Average
from penstock.engine.best import Best
from penstock.engine.checkpoint import Checkpoints
from penstock.engine.clock import Clock
from penstock.engine.device import pick_device, precision_of
from penstock.engine.pace import Pace
from penstock.engine.plan import Plan
from penstock.engine.stepper import Stepper
from penstock.engine.tuning.kernels import lay_out
from penstock.engine.tuning.onednn import linear_through_onednn
from penstock.engine.tuning.rules import is_settled, settle, settled_choices, with_choices
from penstock.engine.tuning.threads import using_threads
from penstock.engine.tuning.whole_step import STEPS_A_CALL, WholeStep
from penstock.engine.tuning.work import work_of
from penstock.engine.watcher import Row, Watcher
from penstock.optim.optimizer import Optimizer


class Engine:
    """Trains an objective on a source, as planned.

    `optimizers` has one optimizer a role. `validation` is iterated from its beginning at each evaluation. With
    `checkpoints`, what was reached is saved and can be resumed bit for bit.
    """

    def __init__(
        self,
        objective: Objective,
        source: Source,
        plan: Plan,
        optimizers: Mapping[str, Optimizer],
        *,
        validation: Iterable[Batch] | None = None,
        checkpoints: Checkpoints | None = None,
        watchers: Sequence[Watcher] = (),
    ) -> None:
        self.device = pick_device(plan.device)
        self.objective = objective.to(self.device).eval()
        lay_out(objective)
        self.source, self.plan, self.validation = Ahead(source, self.device), plan, validation
        self.checkpoints, self.watchers = checkpoints, watchers
        self.clock = Clock(plan, source.epoch_steps)
        self.stepper = Stepper(objective, plan, optimizers, self.device)
        self.average = Average(list(self.stepper.roles.values()), plan.ema) if plan.ema else None
        self.best = Best(plan.monitor)
        self.pace = Pace(
            objective, self.stepper, self.average, self.source, self.clock, gave_up=self._give_up_compiling
        )
        self.rows, self.seconds = 0, 0.0
        self._evaluate_steps = max(round(plan.evaluate_every * self.clock.epoch_steps), 1)
        self._logged_at, self._evaluated_at, self._saved_at, self._saved_seconds = 0, 0, -1, 0.0
        self._signal, self._final = 0, False

    def run(self) -> str:
        """Train to the end of the plan and give the objective its final weights; returns why training ended.

        Raises NumericError, before the update, where a loss or gradient is not finite; Interrupted after `stop`; and
        whatever the source raises. In the last two cases a checkpoint is saved first.
        """
        self.clock.start(self.clock.step, self._saved_seconds)
        self._tell(lambda watcher: watcher.started(self))
        stack = contextlib.ExitStack()
        try:
            self._settle()
            stack.enter_context(using_threads(self.plan.threads))
            stack.enter_context(linear_through_onednn(self.objective, enabled=self.plan.onednn == "on"))
            self.stepper.train()
            while True:
                ended = self.clock.over()  # asked once: time that runs out just now must not end it unevaluated
                if self._evaluation_is_due(ended):
                    self._measured("validation", self._validate())
                    ended = self.clock.over()
                if self.clock.seconds - self._saved_seconds >= self.plan.checkpoint_every:
                    self.save()
                if outcome := self._over(ended):
                    break
                for _ in self.pace.advance(self._room()):
                    self.clock.step += 1
                    if self.clock.step % self.plan.log_every == 0:
                        self._log()
            self._log()
            self.save()
            if self._signal:
                raise _Stop
        except _Stop:
            self.save()
            raise Interrupted(
                self._signal, f"step {self.clock.step}", "stopped by a signal", "go on with: penstock resume"
            ) from None
        except (DataError, WorkerError):
            self.save()
            raise
        finally:
            self.seconds = self.clock.seconds
            stack.close()
            self.objective.eval()
            self._tell(lambda watcher: watcher.finished(self))
        self._take_final_weights()
        return outcome

    def stop(self, signal: int) -> None:
        """Ask the loop to save and leave at the next step. Safe in a signal handler."""
        self._signal = signal

    def evaluate(self, batches: Iterable[Batch]) -> Evaluation:
        """Evaluate with the averaged weights, in the plan's precision, on random numbers of its own."""
        self.objective.eval()
        with contextlib.ExitStack() as stack:
            stack.enter_context(forked())
            stack.enter_context(torch.no_grad())
            if self.average and not self._final:
                stack.enter_context(self.average.in_place())
            stack.enter_context(precision_of(self.plan.precision, self.device))
            return self.objective.evaluate(self._interruptible(batches))

    def save(self) -> None:
        """Write a checkpoint, unless there is one of this step."""
        self._saved_seconds = self.clock.seconds
        if self.checkpoints is None or self._saved_at == self.clock.step:
            return
        path = self.checkpoints.save(self.clock.step, *self.state())
        self._saved_at = self.clock.step
        self._tell(lambda watcher: watcher.saved(path))

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that decides how training goes on: named tensors and JSON values."""
        random_tensors, random_values = random_state()
        best_tensors, best_values = self.best.state()
        groups, stepper_values = self.stepper.state()
        groups |= {"objective": self.objective.state_dict(), "random": random_tensors, "best": best_tensors}
        groups |= {"average": self.average.tensors()} if self.average else {}
        return {f"{group}/{key}": tensor for group, tensors in groups.items() for key, tensor in tensors.items()}, {
            "step": self.clock.step,
            "seconds": self.clock.seconds,
            "logged_at": self._logged_at,
            "evaluated_at": self._evaluated_at,
            "settled": settled_choices(self.plan),
            "progress": self.objective.progress,
            "rows": self.rows,
            "stepper": stepper_values,
            "best": best_values,
            "random": random_values,
            "source": self.source.state_dict(),
            "pace": self.pace.state_dict(),
        }

    def load_state(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave. Raises CheckpointError where it does not fit this engine."""
        groups: dict[str, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            group, _, name = key.partition("/")
            groups.setdefault(group, {})[name] = tensor
        try:
            own, saved = self.objective.state_dict(), groups.get("objective", {})
            for name, tensor in own.items():
                copy_checked(tensor, saved, name, "checkpoint")
            if foreign := sorted(saved.keys() - own.keys()):
                raise CheckpointError(
                    "checkpoint", f"{foreign[0]!r} is not in the model", "resume with the recipe that wrote it"
                )
            self._adopt(with_choices(self.plan, state["settled"]))
            self.stepper.load_state(groups, state["stepper"])
            if self.average:
                self.average.load_tensors(groups.get("average", {}))
            self.best.load_state(groups.get("best", {}), state["best"])
            self.source.load_state_dict(state["source"])
            self.pace.load_state_dict(state["pace"])
            self._logged_at, self._evaluated_at = state["logged_at"], state["evaluated_at"]
            self.objective.progress, self.rows = state["progress"], state["rows"]
            self._saved_at, self._saved_seconds = state["step"], state["seconds"]
            self.clock.start(state["step"], state["seconds"])
            restore_random_state(groups.get("random", {}), state["random"])
        except KeyError as error:
            raise CheckpointError(
                "checkpoint", f"{error} is missing", "resume with the recipe that wrote it"
            ) from error

    def _settle(self) -> None:
        """Make the choices that the plan leaves open, by what the model has to compute for the first batch."""
        if not is_settled(self.plan):
            work = work_of(self.objective, self.source.peek(1)[0])
            self._adopt(settle(self.plan, work, self.clock.total, self.device))
        if self.plan.compile == "on" and self.plan.accumulate > 1:
            self._give_up_compiling("a batch in several parts is trained step by step")
        if self.plan.compile == "on":
            self.pace.whole = WholeStep(self.objective, self.stepper.roles, self.plan, self.average, self.device)

    def _adopt(self, plan: Plan) -> None:
        self.plan = self.stepper.plan = plan
        self._tell(lambda watcher: watcher.settled(self))

    def _give_up_compiling(self, reason: str) -> None:
        self._adopt(self.plan.model_copy(update={"compile": "off"}))
        self._tell(lambda watcher: watcher.noticed(f"not compiled: {reason}"))

    def _room(self) -> int:
        """How many steps may be made before the loop has something else to do."""
        step = self.clock.step
        marks = [self._evaluate_steps - step % self._evaluate_steps] if self.validation is not None else []
        marks += [self.clock.total - step] if self.clock.total is not None else []
        return min(marks, default=STEPS_A_CALL)

    def _log(self) -> None:
        """Mean loss since the last row, once a step. Raises NumericError where a step was bad."""
        if self._logged_at != self.clock.step:
            self._logged_at = self.clock.step
            self._measured("train", self.stepper.health.summary() | {"rate": self.stepper.rate})

    def _validate(self) -> dict[str, float]:
        """Measure on the validation split, and keep the weights if they are the best so far."""
        assert self.validation is not None
        metrics = self.evaluate(self.validation).metrics
        with self.average.in_place() if self.average else contextlib.nullcontext():
            self.best.observe(metrics, self.objective, self.clock.step, self.clock.epoch)
        self._evaluated_at = self.clock.step
        self.stepper.train()
        return metrics

    def _evaluation_is_due(self, ended: str | None) -> bool:
        step = self.clock.step
        if self.validation is None or step == self._evaluated_at:
            return False
        return step % self._evaluate_steps == 0 or ended is not None

    def _over(self, ended: str | None) -> str | None:
        """Why the loop is to be left, if it is."""
        if self._signal:
            raise _Stop
        if self.plan.patience is not None and self.best.waited >= self.plan.patience:
            return f"{self.plan.monitor} had not become better for {self.plan.patience} evaluations"
        return ended

    def _take_final_weights(self) -> None:
        self._final = True
        if self.average:
            self.average.take()
        if self.plan.keep == "best":
            self.best.restore(self.objective)

    def _interruptible(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        for batch in batches:
            if self._signal and not self._final:
                raise _Stop
            yield batch.to(self.device)

    def _measured(self, split: str, numbers: Mapping[str, float]) -> None:
        row: Row = {"split": split, "step": self.clock.step, "epoch": round(self.clock.epoch, 6), **numbers}
        self.rows += 1
        self._tell(lambda watcher: watcher.measured(row))

    def _tell(self, event: Callable[[Watcher], None]) -> None:
        for watcher in self.watchers:
            event(watcher)


class _Stop(Exception):
    """The loop's way out when a signal has asked for it."""
