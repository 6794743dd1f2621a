"""`penstock predict RUN INPUT...`"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from penstock.cli.output import place_for
from penstock.cli.verb import Verb
from penstock.core.csv_text import csv_text
from penstock.core.errors import DataError


class Predict(Verb):
    """What to predict."""

    usage = "penstock predict RUN INPUT... [--format csv|json] [--output FILE]"
    summary = (
        "Apply a trained model to raw inputs that were in no data set: table files or rows as JSON for a model of "
        "tables, picture files or folders for a model of pictures. The preprocessing is the model's own."
    )
    examples = (
        "penstock predict runs/classify/photos-cnn new/ portrait.jpg",
        "penstock predict runs/regress/houses-mlp tomorrow.csv --format csv --output prices.csv",
        """penstock predict runs/classify/wine-mlp '{"alcohol": 13.2, "hue": 1.04, ...}'""",
    )
    positional = ("run", "inputs")

    run: Annotated[str, Field(description="folder or name of the run")]
    inputs: Annotated[
        list[str],
        Field(
            min_length=1, description="files, folders, texts, or rows as JSON; - reads lines from the standard input"
        ),
    ]
    format: Annotated[Literal["csv", "json"], Field(description="of the predictions")] = "csv"
    output: Annotated[str | None, Field(description="write to this file")] = None
    runs: Annotated[str, Field(description="the folder of all runs")] = "runs"


def run(words: Sequence[str]) -> int:
    """Print or write the predictions."""
    given = Predict.read(words)
    if given is None:
        return 0
    from penstock.core.files import write_text
    from penstock.run.run import load

    if given.output is not None:
        place_for(given.output)
    inputs = [item for one in given.inputs for item in (_lines() if one == "-" else [one])]
    predictions = load(given.run, runs=given.runs).predict(inputs)
    if given.format == "json":
        text = json.dumps(predictions, indent=1, ensure_ascii=False) + "\n"
    else:
        text = as_csv(predictions)
    if given.output is None:
        print(text, end="")
    else:
        write_text(Path(given.output), text)
        print(f"wrote {len(predictions):,} predictions to {given.output}", file=sys.stderr)
    return 0


def _lines() -> list[str]:
    """The lines of the standard input that are not empty. Raises DataError where they are not UTF-8."""
    try:
        text = sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError("standard input", f"byte {error.start} is not UTF-8", "convert it, or give a file") from None
    return [line for line in text.splitlines() if line.strip()]


def as_csv(predictions: Sequence[Mapping[str, Any]]) -> str:
    """One line a prediction: input, time and column of a series, prediction, its worth, each probability or quantile.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    first = predictions[0] if predictions else {}
    plain = [
        name
        for name in ("input", "time", "column", "prediction", "value", "error", "threshold")
        if name in first or name in ("input", "prediction")
    ]
    groups = [(name, one, list(first[name])) for name, one in _GROUPS.items() if name in first]
    header = [*plain, *(f"{one} {key}" for _, one, keys in groups for key in keys)]
    shares = ([f"{row[name][key]:.6g}" for name, _, keys in groups for key in keys] for row in predictions)
    return csv_text(header, ([*(row[name] for name in plain), *more] for row, more in zip(predictions, shares)))


_GROUPS = {"probabilities": "probability", "quantiles": "quantile"}
