"""`penstock evaluate RUN`"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from penstock.cli.verb import Verb


class Evaluate(Verb):
    """What to evaluate."""

    usage = "penstock evaluate RUN [--data PATH_OR_NAME] [--episodes N] [--format table|json]"
    summary = "Measure a trained model on the test split of its data, or on all rows of other labelled data."
    examples = (
        "penstock evaluate runs/classify/digits-cnn",
        "penstock evaluate runs/regress/houses-mlp --data newer-houses.csv",
        "penstock evaluate runs/control/cartpole-ppo-mlp --episodes 1000",
    )
    positional = ("run",)

    run: Annotated[str, Field(description="folder or name of the run")]
    data: Annotated[str | None, Field(description="other labelled data")] = None
    episodes: Annotated[
        int | None, Field(ge=1, le=10**6, description="how many to play (control, and selfplay against each opponent)")
    ] = None
    format: Annotated[Literal["table", "json"], Field(description="of what is printed")] = "table"
    trust_env: Annotated[bool, Field(description="run the code of an environment of your own")] = False
    runs: Annotated[str, Field(description="the folder of all runs")] = "runs"


def run(words: Sequence[str]) -> int:
    """Print the metrics."""
    given = Evaluate.read(words)
    if given is None:
        return 0
    from penstock.core.files import finite
    from penstock.run.run import load
    from penstock.run.show import make_console, show_metrics

    findings = load(given.run, runs=given.runs, trust_env=given.trust_env).findings(given.data, given.episodes)
    if given.format == "json":
        json.dump(finite(findings["metrics"]), sys.stdout, indent=1)
        print()
    else:
        show_metrics(make_console(), findings)
    return 0
