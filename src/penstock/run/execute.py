"""From a recipe to a trained, tested and saved model in a folder; or on from where a run was interrupted."""

from __future__ import annotations

import contextlib
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
from penstock.core.random import derive, seed_all
from penstock.engine.checkpoint import Checkpoints
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.engine.tuning import set_threads
from penstock.recipes.job import Job, Supplied
from penstock.recipes.recipe import Recipe, recipe_from
from penstock.run.card import model_card
from penstock.run.folder import CHECKPOINTS, DATA, EVALUATION, METRICS, MODEL, RECIPE, SKIPPED, SUMMARY, new_folder
from penstock.run.progress import MetricsFile, ProgressBar
from penstock.run.report.page import build_report
from penstock.run.show import make_console, show_facts, show_outcome
from penstock.run.signals import stopping

NOTHING = Supplied()


def train(recipe: Recipe, supplied: Supplied = NOTHING, console: Console | None = None) -> Path:
    """Train as the recipe says; returns the run's folder.

    Nothing is written before recipe and data have been understood. Raises what `Recipe.build` and `Engine.run` raise.
    """
    console = console or make_console(stderr=True)
    set_threads(None)  # building takes all cores, here as in `resume`, so that sums come out the same
    job = recipe.build(supplied)
    threads = set_threads(job.recipe.threads)
    show_facts(console, job.facts)
    engine = make_engine(job)
    with contextlib.closing(job), stopping(engine.stop) as asked:
        folder = _begin(job, threads)
        return _execute(job, engine, folder, console, asked)


def _begin(job: Job, threads: int) -> Path:
    """The run's new folder, with what is known before training."""
    recipe = job.recipe
    model = job.trained.model or type(job.trained.objective.model).__name__
    folder = new_folder(Path(recipe.runs), recipe.task, recipe.name, f"{job.facts['name']}-{model}")
    resolved = job.recipe.model_copy(update={"name": folder.name, "threads": threads})
    write_json(folder / RECIPE, resolved.dump())
    write_json(folder / DATA, job.facts)
    if job.material.skipped:
        write_text(folder / SKIPPED, _csv(["file", "reason"], job.material.skipped))
    return folder


def resume(
    folder: Path, supplied: Supplied = NOTHING, console: Console | None = None, checkpoint: str | None = None
) -> Path:
    """Go on from the newest checkpoint that verifies, or from the one named, as if there had been no interruption.

    Raises CheckpointError where there is none, DataError where the data have changed since.
    """
    console = console or make_console(stderr=True)
    recipe = recipe_from(read_json(folder / RECIPE), str(folder / RECIPE))
    set_threads(None)
    before = read_json(folder / DATA)
    for name in before.get("supplied", ()):
        if name not in supplied.names():
            again = f"give it again, in Python: penstock.resume({str(folder)!r}, {name}=...)"
            raise RecipeError(folder, f"its {name} was an object, which no file can name", again)
    job = recipe.build(supplied)
    set_threads(job.recipe.threads)
    if before.get("fingerprint") != job.facts["fingerprint"]:
        raise DataError(
            job.facts["origin"], "the data have changed since this run began", "restore them, or train anew"
        )
    engine = make_engine(job)
    with contextlib.closing(job), stopping(engine.stop) as asked:
        _load(engine, Checkpoints(folder / CHECKPOINTS), checkpoint, console)
        return _execute(job, engine, folder, console, asked)


def make_engine(job: Job) -> Engine:
    """The engine of a job, not yet bound to a folder. Raises RecipeError where plan, model and data do not fit."""
    recipe = job.recipe
    seed_all(derive(recipe.seed, "training"))
    plan = Plan.model_validate({name: getattr(recipe, name) for name in Plan.model_fields})
    return Engine(job.trained.objective, job.source, plan, job.optimizers, validation=job.held_out["validation"])


def _execute(job: Job, engine: Engine, folder: Path, console: Console, asked: Sequence[int]) -> Path:
    """Train, then test, save and report. `asked` fills with the signals that have come."""
    engine.checkpoints = Checkpoints(folder / CHECKPOINTS)
    engine.watchers = [MetricsFile(folder / METRICS), ProgressBar(console, engine.plan.monitor)]

    def leave(number: int) -> None:
        raise Interrupted(number, folder, "stopped by a signal", f"go on with: penstock resume {folder}")

    try:
        outcome = engine.run()
    except Interrupted as error:
        remedy = f"go on with: penstock resume {folder}"
        raise Interrupted(error.code - 128, error.where, error.problem, remedy) from None
    with stopping(leave):
        if asked:  # while the last checkpoint was written
            leave(asked[0])
        return _finish(job, engine, folder, console, outcome)


def _finish(job: Job, engine: Engine, folder: Path, console: Console, outcome: str) -> Path:
    recipe = job.recipe
    findings = job.judge(engine.evaluate(job.held_out["test"]), "test")
    with folder_in_one_piece(folder / MODEL) as beside:
        job.trained.save(beside)
        write_text(beside / "README.md", model_card(job, findings))
    summary = _summary(job, engine, folder, outcome)
    write_json(folder / EVALUATION, {"task": recipe.task, **findings})
    write_json(folder / SUMMARY, summary)
    build_report(folder)
    show_outcome(console, folder, summary, findings)
    return folder


def _load(engine: Engine, checkpoints: Checkpoints, checkpoint: str | None, console: Console) -> None:
    if checkpoint is None and not checkpoints.names():
        console.print("nothing had been saved yet: starting from the beginning", highlight=False)
        return
    if checkpoint is not None:
        name, (tensors, state) = checkpoint, checkpoints.load(checkpoint)
    else:
        name, tensors, state, skipped = checkpoints.newest()
        for line in skipped:
            console.print(f"skipped a damaged checkpoint: {line}", style="yellow", markup=False)
    engine.load_state(tensors, state)
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
        "device": str(engine.device),
        "threads": torch.get_num_threads(),
        "seed": job.recipe.seed,
        "command": command_for(job, folder),
        "versions": {
            "penstock": penstock.__version__,
            "torch": torch.__version__,
            "numpy": numpy.__version__,
            "python": platform.python_version(),
        },
        "machine": f"{platform.system()} {platform.machine()}, {cores()} cores",
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def command_for(job: Job, folder: Path) -> str:
    """The command line that does the same again, or the call, where data or model were objects."""
    recipe = str(folder / RECIPE)
    if not job.facts["supplied"]:
        return shlex.join(["penstock", "train", job.recipe.task, "--recipe", recipe, "--name", f"{folder.name}-again"])
    objects = ", ".join(f"{name}={name}" for name in job.facts["supplied"])
    return f"penstock.train({job.recipe.task!r}, {objects}, ...) with the settings of {recipe}"


def _csv(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    return text.getvalue()
