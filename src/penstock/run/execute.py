"""From a recipe to a trained, tested and saved model in a folder; or on from where a run was interrupted."""

from __future__ import annotations

import csv
import io
import platform
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

import penstock
from penstock.core.errors import DataError, Interrupted, RecipeError
from penstock.core.files import folder_in_one_piece, read_json, write_json, write_text
from penstock.core.machine import cores
from penstock.core.objective import Evaluation
from penstock.core.random import derive, seed_all
from penstock.core.ranks import ALONE, Ranks
from penstock.data.download import show_progress
from penstock.data.named import NAMED, locate
from penstock.engine.checkpoint import Checkpoints
from penstock.engine.engine import Engine
from penstock.engine.parts import saved_by
from penstock.engine.plan import Plan
from penstock.engine.tuning.threads import set_threads
from penstock.recipes.job import Job, Supplied
from penstock.recipes.recipe import Recipe, recipe_from
from penstock.run.card import model_card
from penstock.run.folder import CHECKPOINTS, DATA, EVALUATION, METRICS, MODEL, RECIPE, SKIPPED, SUMMARY, new_folder
from penstock.run.progress import MetricsFile, ProgressBar, RecipeFile
from penstock.run.report.page import build_report
from penstock.run.show import make_console, show_facts, show_outcome
from penstock.run.signals import stopping

NOTHING = Supplied()


def train(recipe: Recipe, supplied: Supplied = NOTHING, console: Console | None = None, ranks: Ranks = ALONE) -> Path:
    """Train as the recipe says; returns the run's folder. Of several ranks, the first one writes and speaks.

    Nothing is written before recipe and data have been understood. Raises what `Recipe.build` and `Engine.run` raise.
    """
    console = _console_of(ranks, console)
    job = _build(recipe, supplied, ranks)
    show_facts(console, job.facts)
    engine = make_engine(job, ranks)
    with stopping(engine.stop) as asked:
        folder = Path(ranks.from_first(str(_begin(job)) if ranks.first else ""))
        return _execute(job, engine, folder, console, asked)


def _console_of(ranks: Ranks, console: Console | None) -> Console:
    return (console or make_console(stderr=True)) if ranks.first else Console(file=io.StringIO())


def _build(recipe: Recipe, supplied: Supplied, ranks: Ranks) -> Job:
    """The job; a named set that is not here yet is fetched by one process of each machine."""
    if ranks.size > 1 and supplied.data is None and recipe.data in NAMED and not Path(recipe.data).exists():
        ranks.attempt(lambda: locate(recipe.data, show_progress) if ranks.local_rank == 0 else None)
    set_threads(None, ranks.local_size)  # as many in `train` as in `resume`, so that sums come out the same
    return recipe.build(supplied, ranks)


def _begin(job: Job) -> Path:
    """The run's new folder, with what is known before training."""
    recipe = job.recipe
    model = job.trained.model or type(job.trained.objective.model).__name__
    folder = new_folder(Path(recipe.runs), recipe.task, recipe.name, f"{job.facts['name']}-{model}")
    write_json(folder / RECIPE, job.recipe.model_copy(update={"name": folder.name}).dump())
    write_json(folder / DATA, job.facts)
    if job.material.skipped:
        write_text(folder / SKIPPED, _csv(["file", "reason"], job.material.skipped))
    return folder


def resume(
    folder: Path,
    supplied: Supplied = NOTHING,
    console: Console | None = None,
    checkpoint: str | None = None,
    ranks: Ranks = ALONE,
) -> Path:
    """Go on from the newest checkpoint that verifies, or from the one named, as if there had been no interruption.

    Raises CheckpointError where there is none, DataError where the data have changed since.
    """
    console = _console_of(ranks, console)
    recipe = recipe_from(read_json(folder / RECIPE), str(folder / RECIPE))
    before = read_json(folder / DATA)
    for name in before.get("supplied", ()):
        if name not in supplied.names():
            again = f"give it again, in Python: penstock.resume({str(folder)!r}, {name}=...)"
            raise RecipeError(folder, f"its {name} was an object, which no file can name", again)
    job = _build(recipe, supplied, ranks)
    if before.get("fingerprint") != job.facts["fingerprint"]:
        raise DataError(
            job.facts["origin"], "the data have changed since this run began", "restore them, or train anew"
        )
    engine = make_engine(job, ranks)
    with stopping(engine.stop) as asked:
        _load(engine, Checkpoints(folder / CHECKPOINTS), checkpoint, console)
        return _execute(job, engine, folder, console, asked)


def make_engine(job: Job, ranks: Ranks = ALONE) -> Engine:
    """The engine of a job, not yet bound to a folder. Raises RecipeError where plan, model and data do not fit."""
    recipe = job.recipe
    seed_all(derive(recipe.seed, "training", *([] if ranks.first else [ranks.rank])))
    plan = Plan.model_validate({name: getattr(recipe, name) for name in Plan.model_fields})
    validation = job.held_out["validation"]
    return Engine(job.trained.objective, job.source, plan, job.optimizers, validation=validation, ranks=ranks)


def _execute(job: Job, engine: Engine, folder: Path, console: Console, asked: Sequence[int]) -> Path:
    """Train, then test, save and report. `asked` fills with the signals that have come."""
    engine.checkpoints = Checkpoints(folder / CHECKPOINTS)
    engine.watchers = [
        RecipeFile(folder / RECIPE, job.recipe.model_copy(update={"name": folder.name})),
        MetricsFile(folder / METRICS),
        ProgressBar(console, engine.plan.monitor),
    ]
    remedy = f"go on with: {_launcher(engine.ranks)} resume {folder}"
    if engine.ranks.size > 1 and engine.stepper.coupling:
        said = f"look: {engine.stepper.coupling}; each of {engine.ranks.size} processes sees its part of it alone"
        console.print(said, style="yellow", markup=False, highlight=False)

    def leave(number: int) -> None:
        raise Interrupted(number, folder, "stopped by a signal", remedy)

    try:
        outcome = engine.run()
    except Interrupted as error:
        raise Interrupted(error.code - 128, error.where, error.problem, remedy) from None
    with stopping(leave):
        if asked:  # while the last checkpoint was written
            leave(asked[0])
        evaluation = engine.evaluate(job.held_out["test"])
        ranks = engine.ranks
        ranks.attempt(lambda: _finish(job, engine, folder, console, outcome, evaluation) if ranks.first else None)
        return folder


def _launcher(ranks: Ranks) -> str:
    """How the command line begins that starts as many processes again."""
    if ranks.size == 1:
        return "penstock"
    machines = f" --nnodes {ranks.size // ranks.local_size}" if ranks.size > ranks.local_size else ""
    return f"torchrun{machines} --nproc-per-node {ranks.local_size} -m penstock"


def _finish(job: Job, engine: Engine, folder: Path, console: Console, outcome: str, evaluation: Evaluation) -> None:
    recipe = job.recipe
    findings = job.judge(evaluation, "test")
    with folder_in_one_piece(folder / MODEL) as beside:
        job.trained.save(beside)
        write_text(beside / "README.md", model_card(job, findings))
    summary = _summary(job, engine, folder, outcome)
    write_json(folder / EVALUATION, {"task": recipe.task, **findings})
    write_json(folder / SUMMARY, summary)
    build_report(folder)
    show_outcome(console, folder, summary, findings)


def _load(engine: Engine, checkpoints: Checkpoints, checkpoint: str | None, console: Console) -> None:
    if checkpoint is None and not engine.ranks.from_first(bool(checkpoints.names())):
        console.print("nothing had been saved yet: starting from the beginning", highlight=False)
        return
    ranks = engine.ranks
    if checkpoint is not None:
        name, (tensors, state) = checkpoint, checkpoints.load(checkpoint)
    elif ranks.first:
        name, tensors, state, skipped = checkpoints.newest()
        for line in skipped:
            console.print(f"skipped a damaged checkpoint: {line}", style="yellow", markup=False)
        ranks.from_first(name)
    else:
        name = ranks.from_first("")
        tensors, state = checkpoints.load(name)
    engine.load_state(tensors, state)
    if saved_by(state) != ranks.size:
        said = (
            f"look: {saved_by(state)} processes wrote this checkpoint, {ranks.size} go on: not bit for bit the same run"
        )
        console.print(said, style="yellow", markup=False, highlight=False)
    console.print(f"resuming from {name}, epoch {engine.clock.epoch:.2f}", highlight=False)


def _summary(job: Job, engine: Engine, folder: Path, outcome: str) -> dict[str, Any]:
    """What happened, on what machine, and how to make it happen again."""
    import numpy
    import torch

    clock, best = engine.clock, engine.best
    examples = min(clock.epoch, 1e12) * len(job.splits["train"])
    module = job.trained.objective.model
    return {
        "task": job.recipe.task,
        "name": folder.name,
        "status": "finished",
        "stopped": outcome,
        "steps": clock.step,
        "epochs": clock.epoch,
        "seconds": round(engine.seconds, 3),
        "examples_per_second": round(examples / max(engine.seconds, 1e-9), 1),
        "best": {"metric": best.monitor, "value": best.value, "step": best.step, "epoch": best.epoch}
        if best.step
        else None,
        "kept": engine.plan.keep if best.step else "last",
        "model": job.trained.model or type(module).__name__,
        "parameters": sum(p.numel() for p in module.parameters()),
        "precision": engine.plan.precision,
        "parts": engine.stepper.memory.parts,
        "device": str(engine.device),
        "threads": engine.plan.threads,
        "compiled": engine.plan.compile == "on",
        "ranks": engine.ranks.size,
        "seed": job.recipe.seed,
        "command": command_for(job, folder, engine.ranks),
        "versions": {
            "penstock": penstock.__version__,
            "torch": torch.__version__,
            "numpy": numpy.__version__,
            "python": platform.python_version(),
        },
        "machine": f"{platform.system()} {platform.machine()}, {cores()} cores",
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def command_for(job: Job, folder: Path, ranks: Ranks = ALONE) -> str:
    """The command line that does the same again, or the call, where data or model were objects."""
    recipe = str(folder / RECIPE)
    if not job.facts["supplied"]:
        words = ["train", job.recipe.task, "--recipe", recipe, "--name", f"{folder.name}-again"]
        return f"{_launcher(ranks)} {shlex.join(words)}"
    objects = ", ".join(f"{name}={name}" for name in job.facts["supplied"])
    return f"penstock.train({job.recipe.task!r}, {objects}, ...) with the settings of {recipe}"


def _csv(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    return text.getvalue()
