"""`penstock interpolate RUN A B --output OUT`"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from penstock.cli.output import place_for
from penstock.cli.verb import Verb


class Interpolate(Verb):
    """From where to where."""

    usage = "penstock interpolate RUN A B [--steps N] --output OUT"
    summary = (
        "Walk from one code to another and write what lies on the way. For an autoencoder A and B are two examples, "
        "for a generator two seeds. Pictures come on a strip, rows as csv, sounds one after the other."
    )
    examples = (
        "penstock interpolate runs/reconstruct/photos-conv one.jpg other.jpg --steps 8 --output strip.png",
        "penstock interpolate runs/generate/photos-dcgan 1 2 --output strip.png",
    )
    positional = ("run", "first", "second")

    run: Annotated[str, Field(description="folder or name of the run")]
    first: Annotated[str, Field(description="a file, a row as JSON, or a seed")]
    second: Annotated[str, Field(description="another")]
    steps: Annotated[int, Field(ge=2, le=1000, description="how many, both ends among them")] = 8
    output: Annotated[str, Field(description="a file named .png, .csv or .wav, or a folder for a file each")]
    runs: Annotated[str, Field(description="the folder of all runs")] = "runs"


def run(words: Sequence[str]) -> int:
    """Write the steps of the way."""
    given = Interpolate.read(words)
    if given is None:
        return 0
    place = place_for(given.output, folder=True)
    from penstock.run.run import load

    load(given.run, runs=given.runs).between(given.first, given.second, given.steps).write(place)
    print(f"wrote {given.steps:,} steps to {place}", file=sys.stderr)
    return 0
