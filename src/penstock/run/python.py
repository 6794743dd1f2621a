"""The command line's verbs as functions."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from rich.console import Console
from torch import nn

from penstock.core.errors import RecipeError
from penstock.core.together import together
from penstock.recipes.job import Supplied
from penstock.recipes.recipe import TRUST, nested, recipe_type
from penstock.run.execute import resume as execute_resume
from penstock.run.execute import train as execute_train
from penstock.run.folder import find_run
from penstock.run.run import Run
from penstock.run.show import make_console


def train(
    task: str, *, data: object = None, model: nn.Module | str | None = None, quiet: bool = False, **settings: Any
) -> Run:
    """Train, as `penstock train TASK` does; returns the finished run.

    `data` is a path, the name of a set, a DataFrame, or a pair (inputs, targets) of arrays; `model` the name of a model
    or any `nn.Module`. `settings` are named as the flags: `epochs=10, optim={"lr": 3e-3}`, or `**{"optim.lr": 3e-3}`.
    Raises PenstockError, a line each, for what cannot be done.
    """
    if not isinstance(model, nn.Module | str | None):
        said = model.__name__ if isinstance(model, type) else type(model).__name__
        raise RecipeError("model", f"{said} is not a module", "give an instance of nn.Module, or the name of a model")
    given = nested(settings)
    named = isinstance(data, str | Path)
    if data is not None:
        given["data"] = str(data) if named else type(data).__name__
    if isinstance(model, str):
        given["model"] = model
    supplied = Supplied(None if named else data, model if isinstance(model, nn.Module) else None)
    recipe = recipe_type(task).parse(given)
    with together() as ranks:
        folder = execute_train(recipe, supplied, _console(quiet), ranks)
    return Run(folder, supplied.model, supplied.data, trust_env=bool(given.get(TRUST)))


def resume(
    path: str | Path,
    *,
    data: object = None,
    model: nn.Module | None = None,
    runs: str | Path = "runs",
    quiet: bool = False,
    trust_env: bool = False,
) -> Run:
    """Go on with an interrupted run, bit for bit. Give `data`, `model` and `trust_env` again where they were given."""
    folder = find_run(path, Path(runs))
    with together() as ranks:
        execute_resume(folder, Supplied(data, model, trust_env), _console(quiet), ranks=ranks)
    return Run(folder, model, data, trust_env=trust_env)


def _console(quiet: bool) -> Console:
    return Console(file=io.StringIO()) if quiet else make_console(stderr=True)
