"""`penstock runs`"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from penstock.cli.verb import Verb
from penstock.core.errors import harmless


class Runs(Verb):
    """Which runs."""

    usage = "penstock runs [RUN RUN ...]"
    summary = "List all runs with their results, or compare some: their results, and the settings in which they differ."
    examples = ("penstock runs", "penstock runs digits-cnn digits-mlp")
    positional = ("compare",)

    compare: Annotated[list[str], Field(description="runs to compare")] = Field(default_factory=list)
    runs: Annotated[str, Field(description="the folder of all runs")] = "runs"


def run(words: Sequence[str]) -> int:
    """Print the table."""
    given = Runs.read(words)
    if given is None:
        return 0
    from penstock.run.folder import all_runs, find_run
    from penstock.run.show import make_console

    root = Path(given.runs)
    console = make_console()
    if given.compare:
        _compare(console, [find_run(name, root) for name in given.compare])
        return 0
    folders = all_runs(root)
    if not folders:
        console.print(f"no runs in {root}; begin with: penstock train classify", highlight=False, markup=False)
        return 0
    _table(console, ["run", "status", "model", "epochs", "seconds", "test"], [_line(folder) for folder in folders])
    return 0


def _line(folder: Path) -> list[str]:
    from penstock.core.errors import CheckpointError

    name = f"{folder.parent.name}/{folder.name}"
    try:
        summary, evaluation = _read(folder)
        if summary is None:
            return [name, "unfinished", "", "", "", ""]
        numbers = [f"{summary['epochs']:.4g}", f"{summary['seconds']:.1f}"]
        return [name, summary["status"], summary["model"], *numbers, _headline(evaluation)]
    except (CheckpointError, KeyError, TypeError, ValueError):  # one damaged run does not hide the others
        return [name, "damaged", "", "", "", ""]


def _compare(console: Any, folders: list[Path]) -> None:
    """One column a run: results first, then the settings that are not the same in all."""
    from penstock.core.files import read_json
    from penstock.run.folder import RECIPE
    from penstock.run.show import number

    recipes = [_flat(read_json(folder / RECIPE)) for folder in folders]
    found = [_read(folder) for folder in folders]
    rows = []
    metrics = [evaluation["metrics"] if evaluation else {} for _, evaluation in found]
    rows += [
        [f"test {name}", *(number(m.get(name)) for m in metrics)]
        for name in dict.fromkeys(k for m in metrics for k in m)
    ]
    for name in ("model", "parameters", "epochs", "seconds"):
        rows.append([name, *(f"{summary[name]}" if summary else "" for summary, _ in found)])
    for name in dict.fromkeys(key for recipe in recipes for key in recipe):
        values = [str(recipe.get(name, "")) for recipe in recipes]
        if len(set(values)) > 1 and name != "name":
            rows.append([f"--{name.replace('_', '-')}", *values])
    _table(console, ["", *(folder.name for folder in folders)], rows)


def _read(folder: Path) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    from penstock.core.files import read_json
    from penstock.run.folder import EVALUATION, SUMMARY

    if not (folder / SUMMARY).is_file():
        return None, None
    return read_json(folder / SUMMARY), read_json(folder / EVALUATION)


def _headline(evaluation: dict[str, Any] | None) -> str:
    from penstock.run.show import number

    metrics = evaluation["metrics"] if evaluation else {}
    return next((f"{name} {number(metrics[name])}" for name in ("accuracy", "rmse", "loss") if name in metrics), "")


def _flat(settings: dict[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= _flat(value, f"{above}{name}.") if isinstance(value, dict) else {above + name: value}
    return found


def _table(console: Any, header: list[str], rows: list[list[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in header:
        table.add_column(Text(harmless(name)), overflow="fold")
    for row in rows:
        table.add_row(*(Text(harmless(cell)) for cell in row))
    console.print(table)
