"""What a finished training leaves in its folder: model, measurements, summary and report."""

from __future__ import annotations

import platform
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

import penstock
from penstock.core.files import folder_in_one_piece, write_json, write_text
from penstock.core.machine import cores
from penstock.core.objective import Evaluation
from penstock.core.ranks import ALONE, Ranks
from penstock.engine.engine import Engine
from penstock.recipes.job import Job
from penstock.run.card import model_card
from penstock.run.folder import EVALUATION, MODEL, RECIPE, SUMMARY
from penstock.run.report.page import build_report
from penstock.run.show import show_outcome


def finish(job: Job, engine: Engine, folder: Path, console: Console, outcome: str, evaluation: Evaluation) -> None:
    """Write all of it, and say how the training went; `evaluation` is that on the test split."""
    findings = job.judge(evaluation, "test")
    job.keep(folder, evaluation)
    with folder_in_one_piece(folder / MODEL, job.trained.size) as beside:
        job.trained.save(beside)
        write_text(beside / "README.md", model_card(job, findings))
    summary = _summary(job, engine, folder, outcome)
    write_json(folder / EVALUATION, {"task": job.recipe.task, **findings})
    write_json(folder / SUMMARY, summary)
    build_report(folder)
    show_outcome(console, folder, summary, findings)


def launcher(ranks: Ranks) -> str:
    """How the command line begins that starts as many processes again."""
    if ranks.size == 1:
        return "penstock"
    machines = f" --nnodes {ranks.size // ranks.local_size}" if ranks.size > ranks.local_size else ""
    return f"torchrun{machines} --nproc-per-node {ranks.local_size} -m penstock"


def _summary(job: Job, engine: Engine, folder: Path, outcome: str) -> dict[str, Any]:
    """What happened, on what machine, and how to make it happen again."""
    import numpy
    import torch

    clock, best = engine.clock, engine.best
    examples = min(clock.epoch, 1e12) * job.facts["splits"]["train"]
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
        "model": job.trained.architecture,
        "parameters": job.trained.parameters,
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
        words += ["--trust-env"] if job.recipe.trusts else []
        return f"{launcher(ranks)} {shlex.join(words)}"
    objects = ", ".join(f"{name}={name}" for name in job.facts["supplied"])
    return f"penstock.train({job.recipe.task!r}, {objects}, ...) with the settings of {recipe}"
