"""From a recipe to a trained, tested and saved model in a folder; or on from where a run was interrupted."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from penstock.core.errors import DataError, Interrupted, RecipeError, ResourceError
from penstock.core.files import read_json, sync_folder, write_json, write_text
from penstock.core.lock import locked
from penstock.core.random import derive, forked, seed_all
from penstock.core.ranks import ALONE, Ranks
from penstock.core.temporary import remove, remove_leftovers
from penstock.data.download import show_progress
from penstock.data.named import NAMED, locate
from penstock.engine.checkpoint import Checkpoints
from penstock.engine.engine import Engine
from penstock.engine.parts import saved_by
from penstock.engine.plan import Plan
from penstock.engine.tuning.threads import set_threads
from penstock.recipes.job import Job, Part, Supplied
from penstock.recipes.recipe import Recipe, recipe_from
from penstock.run.finish import finish, launcher
from penstock.run.folder import CHECKPOINTS, DATA, METRICS, MODEL, PARTS, RECIPE, SKIPPED, new_folder
from penstock.run.kept import keep, take_kept
from penstock.run.progress import MetricsFile, ProgressBar, RecipeFile
from penstock.run.show import make_console, show_facts
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
    with contextlib.closing(job), stopping(engine.stop) as asked, _new_run(job, ranks) as folder:
        _make_parts(job, folder, supplied, console, ranks, asked)
        return _execute(job, engine, folder, console, asked)


@contextlib.contextmanager
def _new_run(job: Job, ranks: Ranks) -> Iterator[Path]:
    """The run's new folder, which the first rank makes and locks."""
    if not ranks.first:
        yield Path(ranks.from_first(""))
        return
    recipe = job.recipe
    usual = f"{job.facts['name']}-{job.trained.architecture}"
    folder = new_folder(Path(recipe.runs), recipe.task, recipe.name, usual)
    try:
        with locked(folder):
            _begin(job, folder)
            ranks.from_first(str(folder))
            yield folder
    except ResourceError:
        with contextlib.suppress(OSError):
            folder.rmdir()  # where nothing could be written into it
        raise


def _begin(job: Job, folder: Path) -> None:
    """Write what is known before training, the recipe last: it makes the folder a run."""
    try:
        remove_leftovers(folder)
        write_json(folder / DATA, job.facts)
        if job.skipped:
            write_text(folder / SKIPPED, _csv(["file", "reason"], job.skipped))
        write_json(folder / RECIPE, job.recipe.model_copy(update={"name": folder.name}).dump())
        sync_folder(folder)
        sync_folder(folder.parent)
    except ResourceError:
        for name in (RECIPE, DATA, SKIPPED):
            remove(folder / name)
        raise


def resume(
    folder: Path,
    supplied: Supplied = NOTHING,
    console: Console | None = None,
    checkpoint: str | None = None,
    ranks: Ranks = ALONE,
) -> Path:
    """Go on from the newest checkpoint that verifies, or from the one named, as if there had been no interruption.

    Raises CheckpointError where there is none, DataError where the data have changed since, RecipeError where another
    process is at work on the run.
    """
    console = _console_of(ranks, console)
    if not ranks.first:
        return _resume(folder, supplied, console, checkpoint, ranks)
    with locked(folder):
        for place in (folder, folder / CHECKPOINTS):
            remove_leftovers(place)
        return _resume(folder, supplied, console, checkpoint, ranks)


def _resume(folder: Path, supplied: Supplied, console: Console, checkpoint: str | None, ranks: Ranks) -> Path:
    recipe = recipe_from(read_json(folder / RECIPE), str(folder / RECIPE))
    recipe = recipe.trusting() if supplied.trust_env else recipe
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
    with contextlib.closing(job), stopping(engine.stop) as asked:
        _make_parts(job, folder, supplied, console, ranks, asked)
        _load(engine, folder, checkpoint, console)
        return _execute(job, engine, folder, console, asked)


def _make_parts(
    job: Job, folder: Path, supplied: Supplied, console: Console, ranks: Ranks, asked: Sequence[int]
) -> None:
    """Train what the job needs first, or go on with it, or take what is there or was kept. `asked`: signals so far."""
    for part in job.parts:
        place = folder / PARTS / part.recipe.task / part.name
        if not ranks.from_first((place / MODEL).is_dir()):
            taken = ranks.from_first(ranks.first and take_kept(part, place))
            said = f"{part.words}; it was trained before" if taken else part.words
            console.print(f"{'first':<12}{said}", highlight=False)
            if not taken:
                with console.status(""):
                    _train_part(part, folder, place, supplied, ranks, asked)
        part.take(place)


def _train_part(part: Part, folder: Path, place: Path, supplied: Supplied, ranks: Ranks, asked: Sequence[int]) -> None:
    recipe = part.recipe.model_copy(update={"runs": str(folder / PARTS), "name": part.name})
    again = f"go on with: {launcher(ranks)} resume {folder}"
    if number := ranks.from_first(asked[0] if asked else 0):
        raise Interrupted(number, folder, "stopped by a signal", again)
    try:
        with forked():
            if ranks.from_first((place / RECIPE).is_file()):
                resume(place, supplied, Console(file=io.StringIO()), ranks=ranks)
            else:
                train(recipe, supplied, Console(file=io.StringIO()), ranks)
    except Interrupted as error:
        raise Interrupted(error.code - 128, folder, error.problem, again) from None
    if ranks.first:
        keep(part, place)


def _console_of(ranks: Ranks, console: Console | None) -> Console:
    return (console or make_console(stderr=True)) if ranks.first else Console(file=io.StringIO())


def _build(recipe: Recipe, supplied: Supplied, ranks: Ranks) -> Job:
    """The job; a named set that is not here yet is fetched by one process of each machine."""
    if ranks.size > 1 and supplied.data is None and recipe.data in NAMED and not Path(recipe.data).exists():
        ranks.attempt(lambda: locate(recipe.data, show_progress) if ranks.local_rank == 0 else None)
    set_threads(None, ranks.local_size)  # as many in `train` as in `resume`, so that sums come out the same
    return recipe.build(supplied, ranks)


def make_engine(job: Job, ranks: Ranks = ALONE) -> Engine:
    """The engine of a job, not yet bound to a folder. Raises RecipeError where plan, model and data do not fit."""
    recipe = job.recipe
    seed_all(derive(recipe.seed, "training", *([] if ranks.first else [ranks.rank])))
    plan = Plan.model_validate({name: getattr(recipe, name) for name in Plan.model_fields})
    validation = job.held_out["validation"]
    return Engine(job.trained.objective, job.source, plan, job.optimizers, validation=validation, ranks=ranks)


def _execute(job: Job, engine: Engine, folder: Path, console: Console, asked: Sequence[int]) -> Path:
    """Train, then test, save and report. `asked` fills with the signals that have come."""
    ranks = engine.ranks
    engine.checkpoints = Checkpoints(folder / CHECKPOINTS)
    engine.watchers = [
        RecipeFile(folder / RECIPE, job.recipe.model_copy(update={"name": folder.name})),
        MetricsFile(folder / METRICS),
        ProgressBar(console, engine.plan.monitor),
        *job.watchers(folder),
    ]
    again = f"{launcher(ranks)} resume {folder}{' --trust-env' if job.recipe.trusts else ''}"
    if ranks.size > 1 and engine.stepper.coupling:
        said = f"look: {engine.stepper.coupling}; each of {ranks.size} processes sees its part of it alone"
        console.print(said, style="yellow", markup=False, highlight=False)

    def leave(number: int) -> None:
        raise Interrupted(number, folder, "stopped by a signal", f"go on with: {again}")

    try:
        outcome = engine.run()
        with stopping(leave):
            if asked:  # while the last checkpoint was written
                leave(asked[0])
            evaluation = engine.evaluate(job.held_out["test"])
            ranks.attempt(lambda: finish(job, engine, folder, console, outcome, evaluation) if ranks.first else None)
            return folder
    except Interrupted as error:
        raise Interrupted(error.code - 128, error.where, error.problem, f"go on with: {again}") from None
    except ResourceError as error:
        if not isinstance(error.__cause__, OSError):  # memory, not the disk
            raise
        raise ResourceError(error.where, error.problem, f"make room, then: {again}") from error


def _load(engine: Engine, folder: Path, checkpoint: str | None, console: Console) -> None:
    ranks, checkpoints, metrics = engine.ranks, Checkpoints(folder / CHECKPOINTS), MetricsFile(folder / METRICS)
    if checkpoint is None and not ranks.from_first(bool(checkpoints.names())):
        console.print("nothing had been saved yet: starting from the beginning", highlight=False)
        return
    if checkpoint is not None:
        name, (tensors, state) = checkpoint, checkpoints.load(checkpoint)
    elif ranks.first:
        name, tensors, state, skipped = checkpoints.newest(lambda found: metrics.check(found.get("rows")))
        for line in skipped:
            console.print(f"skipped a damaged checkpoint: {line}", style="yellow", markup=False)
        ranks.from_first(name)
    else:
        name = ranks.from_first("")
        tensors, state = checkpoints.load(name)
    engine.load_state(tensors, state)
    if saved_by(state) != ranks.size:
        said = f"{saved_by(state)} processes wrote this checkpoint, {ranks.size} go on: not bit for bit the same run"
        console.print(f"look: {said}", style="yellow", markup=False, highlight=False)
    console.print(f"resuming from {name}, epoch {engine.clock.epoch:.2f}", highlight=False)


def _csv(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    return text.getvalue()
