"""The one loop."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.errors import CheckpointError, DataError, Interrupted, WorkerError
from penstock.core.memory import OutOfMemory, ran_out
from penstock.core.objective import Evaluation, Objective, Source
from penstock.core.random import forked
from penstock.core.ranks import ALONE, Ranks
from penstock.core.tensors import check_all_fit, copy_all_checked, grouped, joined
from penstock.engine.agreement import Agreement
from penstock.engine.ahead import Ahead
from penstock.engine.average import Average
from penstock.engine.best import Best
from penstock.engine.checkpoint import Checkpoints
from penstock.engine.clock import Clock
from penstock.engine.device import pick_device, precision_of
from penstock.engine.memory import as_out_of_memory
from penstock.engine.pace import Pace
from penstock.engine.parts import evaluated, parts_of_all, take_part
from penstock.engine.plan import Plan
from penstock.engine.stepper import Stepper
from penstock.engine.tuning.layout import lay_out
from penstock.engine.tuning.rules import settled_choices, with_choices
from penstock.engine.tuning.surroundings import as_planned
from penstock.engine.tuning.whole_step import STEPS_A_CALL
from penstock.engine.watcher import Row, Watcher
from penstock.optim.optimizer import Optimizer


class Engine:
    """Trains an objective on a source, as planned.

    `optimizers` has one optimizer a role. `validation` is iterated from its beginning at each evaluation. With
    `checkpoints`, what was reached is saved and can be resumed bit for bit. With several `ranks` the
    source gives each its part of every batch, and the first one writes checkpoints and tells the watchers.
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
        ranks: Ranks = ALONE,
    ) -> None:
        self.ranks = ranks
        self.device = pick_device(plan.device, ranks=ranks)
        self.objective = objective.to(self.device).eval()
        lay_out(objective, self.device)
        self.source, self.plan, self.validation = Ahead(source, self.device), plan, validation
        self.checkpoints, self.watchers = checkpoints, watchers
        self.clock = Clock(plan, source.epoch_steps, told=ranks.size > 1)
        self._agreement = Agreement(ranks, self.clock)
        self.stepper = Stepper(objective, plan, optimizers, self.device, self._agreement, self._notice)
        self._start_alike()
        self.average = Average(list(self.stepper.roles.values()), plan.ema) if plan.ema else None
        self.best = Best(plan.monitor)
        self.pace = Pace(
            objective, self.stepper, self.average, self.source, self.clock, gave_up=self._give_up_compiling
        )
        self.rows, self.seconds = 0, 0.0
        self._evaluate_steps = max(round(plan.evaluate_every * self.clock.epoch_steps), 1)
        self._logged_at, self._evaluated_at, self._saved_at, self._saved_seconds = 0, 0, -1, 0.0
        self._final, self._evaluating = False, 0

    def run(self) -> str:
        """Train to the end of the plan and give the objective its final weights; returns why training ended.

        Raises NumericError, before the update, where a loss or gradient is not finite; Interrupted after `stop`;
        OutOfMemory; and whatever the source raises. In the last three cases a checkpoint is saved first, unless memory
        ran out between two updates of one step.
        """
        self.clock.start(self.clock.step, self._saved_seconds)
        self._tell(lambda watcher: watcher.started(self))
        stack = contextlib.ExitStack()
        try:
            if (settled := self.pace.settle(self.plan, self.ranks, self.device)) != self.plan:
                self._adopt(settled)
            stack.enter_context(as_planned(self.plan, self.objective, self.device))
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
            if self._agreement.signal:
                raise self._agreement.interrupted()
        except (DataError, WorkerError, Interrupted) as error:
            if isinstance(error, Interrupted) or self.ranks.agreed(error):
                self.save()
            if isinstance(error, WorkerError) and self._agreement.asked:  # whoever sent the signal sent it to all
                raise self._agreement.interrupted() from None
            raise
        except (MemoryError, RuntimeError, OutOfMemory) as error:
            found = as_out_of_memory(error, self.clock.step + 1)
            if found is not None and not self.stepper.midway and self.ranks.agreed(error):
                self.save()
            if found is None or found is error:
                raise
            raise found from error
        finally:
            self.seconds = self.clock.seconds
            stack.close()
            self.objective.eval()
            self._tell(lambda watcher: watcher.finished(self))
        self._take_final_weights()
        return outcome

    def stop(self, signal: int) -> None:
        """Ask the loop to save and leave at the next step. Safe in a signal handler."""
        self._agreement.ask(signal)

    def evaluate(self, batches: Iterable[Batch]) -> Evaluation:
        """Evaluate with the averaged weights, in the plan's precision, on random numbers of its own.

        Raises OutOfMemory where memory does not suffice.
        """
        while True:
            try:
                return self._evaluate(batches)
            except (MemoryError, RuntimeError) as error:
                if not ran_out(error):
                    raise
                cause = error.with_traceback(None)  # whose frames hold what filled the memory
            self._notice(self.stepper.memory.split_evaluation(self.clock.step, self._evaluating, cause))

    def _evaluate(self, batches: Iterable[Batch]) -> Evaluation:
        self._evaluating = 0
        self.objective.eval()
        with contextlib.ExitStack() as stack:
            stack.enter_context(forked())
            stack.enter_context(torch.no_grad())
            if self.average and not self._final:
                stack.enter_context(self.average.in_place())
            stack.enter_context(precision_of(self.plan.precision, self.device))
            return evaluated(self.objective, batches, self._interruptible, self.ranks, self.clock)

    def save(self) -> None:
        """Write a checkpoint, unless there is one of this step."""
        self._saved_seconds = self.clock.seconds
        if self.checkpoints is None or self._saved_at == self.clock.step:
            return
        self._tell(lambda watcher: watcher.saving())
        state = self.state()
        self._saved_at = self.clock.step
        if self.ranks.first:
            path = self.checkpoints.save(self.clock.step, *state)
            self._tell(lambda watcher: watcher.saved(path))

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that decides how training goes on: named tensors and JSON values."""
        part_groups, part_values = parts_of_all(self.ranks, self.source)
        best_tensors, best_values = self.best.state()
        groups, stepper_values = self.stepper.state()
        groups |= {"objective": self.objective.state_dict(), **part_groups, "best": best_tensors}
        groups |= {"average": self.average.tensors()} if self.average else {}
        return joined(groups), {
            "step": self.clock.step,
            "seconds": self.clock.seconds,
            "logged_at": self._logged_at,
            "evaluated_at": self._evaluated_at,
            "settled": settled_choices(self.plan),
            "progress": self.objective.progress,
            "rows": self.rows,
            "stepper": stepper_values,
            "best": best_values,
            "pace": self.pace.state_dict(),
            **part_values,
        }

    def load_state(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave. Raises CheckpointError where it does not fit this engine."""
        groups = grouped(tensors)
        try:
            own, best = self.objective.state_dict(), groups.get("best", {})
            copy_all_checked(own, groups.get("objective", {}), "checkpoint")
            check_all_fit(own if best else {}, best, "best weights")
            self._adopt(with_choices(self.plan, state["settled"]))
            self.stepper.load_state(groups, state["stepper"])
            if self.average:
                self.average.load_tensors(groups.get("average", {}))
            self.best.load_state(best, state["best"])
            self.pace.load_state_dict(state["pace"])
            self._logged_at, self._evaluated_at = state["logged_at"], state["evaluated_at"]
            self.objective.progress, self.rows = state["progress"], state["rows"]
            self._saved_at, self._saved_seconds = state["step"], state["seconds"]
            self.clock.start(state["step"], state["seconds"])
            take_part(self.ranks, self.source, groups, state, self.plan.seed)
        except KeyError as error:
            raise CheckpointError(
                "checkpoint", f"{error} is missing", "resume with the recipe that wrote it"
            ) from error
        except (TypeError, ValueError, AttributeError, IndexError, RuntimeError) as error:
            problem = f"its values do not fit ({type(error).__name__}: {error})"
            raise CheckpointError("checkpoint", problem, "resume with the recipe that wrote it") from error

    def _adopt(self, plan: Plan) -> None:
        self.plan = self.stepper.plan = plan
        self._tell(lambda watcher: watcher.settled(self))

    def _give_up_compiling(self, reason: str) -> None:
        self._adopt(self.plan.model_copy(update={"compile": "off"}))
        self._notice(f"not compiled: {reason}")

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
            numbers = self.stepper.health.summary() | {"rate": self.stepper.rate} | self.objective.noted()
            self._measured("train", numbers)

    def _validate(self) -> dict[str, float]:
        """Measure on the validation split, and keep the weights if they are the best so far."""
        assert self.validation is not None
        evaluation = self.evaluate(self.validation)
        metrics = evaluation.metrics
        with self.average.in_place() if self.average else contextlib.nullcontext():
            self.best.observe(metrics, self.objective, self.clock.step, self.clock.epoch)
        self._evaluated_at = self.clock.step
        self._tell(lambda watcher: watcher.evaluated(self, evaluation))
        self.stepper.train()
        return metrics

    def _evaluation_is_due(self, ended: str | None) -> bool:
        step = self.clock.step
        if self.validation is None or step == self._evaluated_at:
            return False
        return step % self._evaluate_steps == 0 or ended is not None

    def _over(self, ended: str | None) -> str | None:
        """Why the loop is to be left, if it is."""
        if self._agreement.signal:
            raise self._agreement.interrupted()
        return self.best.enough(self.plan.patience, self.plan.until) or ended

    def _take_final_weights(self) -> None:
        self._final = True
        if self.average:
            self.average.take()
        if self.plan.keep == "best":
            self.best.restore(self.objective)

    def _start_alike(self) -> None:
        """Give every rank the first one's weights: a module of the user's own may have been made from other seeds."""
        flats = [role.flat.parameter for role in self.stepper.roles.values()]
        frozen = [parameter for parameter in self.objective.parameters() if not parameter.requires_grad]
        self.ranks.copy_from_first([*flats, *frozen, *self.objective.buffers()])

    def _interruptible(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        for batch in batches:
            if self._agreement.asked and not self._final:
                raise self._agreement.interrupted()
            for part in batch.split(pieces) if (pieces := self.stepper.memory.pieces) > 1 else (batch,):
                self._evaluating = part.size
                yield part.to(self.device)

    def _measured(self, split: str, numbers: Mapping[str, float]) -> None:
        row: Row = {"split": split, "step": self.clock.step, "epoch": round(self.clock.epoch, 6), **numbers}
        self.rows += 1
        self._tell(lambda watcher: watcher.measured(row))

    def _notice(self, line: str) -> None:
        self._tell(lambda watcher: watcher.noticed(line))

    def _tell(self, event: Callable[[Watcher], None]) -> None:
        for watcher in self.watchers if self.ranks.first else ():
            event(watcher)
