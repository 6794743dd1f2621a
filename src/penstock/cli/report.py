"""`penstock report RUN`"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from penstock.cli.verb import Verb


class Report(Verb):
    """Which report."""

    usage = "penstock report RUN"
    summary = "Write the report page of a run again, from the files in its folder, and print where it is."
    examples = ("penstock report runs/classify/digits-cnn",)
    positional = ("run",)

    run: Annotated[str, Field(description="folder or name of the run")]
    runs: Annotated[str, Field(description="the folder of all runs")] = "runs"


def run(words: Sequence[str]) -> int:
    """Print the page's path."""
    given = Report.read(words)
    if given is None:
        return 0
    from penstock.run.folder import find_run
    from penstock.run.report.page import build_report

    print(build_report(find_run(given.run, Path(given.runs))))
    return 0
