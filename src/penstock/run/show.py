"""What is printed: the data as they were understood, and how a training ended."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from penstock.core.errors import harmless
from penstock.recipes.recipe import recipe_type
from penstock.run.folder import REPORT

MOST_LINES = 30


def make_console(*, stderr: bool = False) -> Console:
    """A console as wide as the terminal; what is piped into a file is not broken into short lines."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=160)


def show_facts(console: Console, facts: Mapping[str, Any]) -> None:
    """The table of what was understood."""
    splits = ", ".join(f"{count:,} {part}" for part, count in facts["splits"].items())
    console.print(
        _text(f"{facts['name']}: {facts['examples']:,} {facts.get('noun', 'examples')} ({splits})"), highlight=False
    )
    if target := facts.get("target"):
        console.print(_text(f"to predict: {target['name']} ({target['kind']}: {target['detail']})"), highlight=False)
    if image := facts.get("image"):
        size = f"{image['height']} x {image['width']}, {'grey' if image['channels'] == 1 else 'colour'}"
        console.print(_text(f"pictures: {size}; {image['detail']}"), highlight=False)
    if text := facts.get("text"):
        said = f"text: {text['detail']}; {text['vocabulary']:,} different tokens ({text['tokens']})"
        console.print(_text(said), highlight=False)
    for name, detail in facts.get("notes", {}).items():
        console.print(_text(f"{name}: {detail}"), highlight=False)
    if columns := facts.get("columns"):
        _table(console, ("column", "kind", "missing", "distinct", "what it holds"), [list(c.values()) for c in columns])
    if classes := facts.get("classes"):
        parts = list(facts["splits"])
        _table(console, ("class", *parts), [[c["name"], *(c[part] for part in parts)] for c in classes])
    for finding in facts["suspicions"]:
        console.print(_text(f"look: {finding}", style="yellow"))


def show_outcome(console: Console, folder: Path, summary: Mapping[str, Any], findings: Mapping[str, Any]) -> None:
    """The number, a trivial baseline beside it, where things are and what to do next."""
    head = f"trained {summary['model']} ({summary['parameters']:,} parameters) for {summary['epochs']:.4g} epochs"
    console.print(_text(f"{head} in {summary['seconds']:.1f} s: {summary['stopped']}"), highlight=False)
    if (best := summary["best"]) and summary["kept"] == "best":
        found = f"best validation {best['metric']} {best['value']:.4g} at epoch {best['epoch']:.4g}"
        console.print(_text(f"kept the weights of the {found}"), highlight=False)
    show_metrics(console, findings)
    console.print(_text(f"report: {folder / REPORT}"), highlight=False)
    console.print(_text(f"model:  {folder / 'model'}"), highlight=False)
    console.print(_text(f"next:   {recipe_type(summary['task']).use.format(run=folder)}"), highlight=False)


def show_metrics(console: Console, findings: Mapping[str, Any]) -> None:
    """Metrics of a split beside those of the trivial baseline."""
    beside = [findings["baseline"], *([findings["reference"]] if "reference" in findings else [])]
    rows = [
        [name, number(value), *(number(other["metrics"].get(name)) for other in beside)]
        for name, value in findings["metrics"].items()
    ]
    head = (f"{findings['split']} ({findings['examples']:,})", "model", *(other["name"] for other in beside))
    _table(console, head, rows)


def number(value: float | None) -> str:
    """A metric as text."""
    return (
        "" if value is None or not math.isfinite(value) else f"{value:,.4f}" if abs(value) < 1000 else f"{value:,.1f}"
    )


def _table(console: Console, header: tuple[str, ...], rows: list[list[Any]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, name in enumerate(header):
        table.add_column(_text(name), justify="left" if i == 0 or name in ("kind", "what it holds") else "right")
    for row in rows[:MOST_LINES]:
        table.add_row(*(_text(f"{cell:,}" if isinstance(cell, int) else str(cell)) for cell in row))
    console.print(table)
    if len(rows) > MOST_LINES:
        console.print(f"... and {len(rows) - MOST_LINES} more", highlight=False)


def _text(words: str, style: str = "") -> Text:
    """Words of any origin: neither markup nor control characters have an effect."""
    return Text(harmless(words), style=style)
