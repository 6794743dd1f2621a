"""`penstock encode RUN [INPUT...] --output CODES`"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from penstock.cli.output import place_for
from penstock.cli.verb import Verb
from penstock.core.errors import RecipeError


class Encode(Verb):
    """What to code."""

    usage = "penstock encode RUN [INPUT...] --output codes.csv|codes.npy"
    summary = (
        "Write the codes that a trained autoencoder gives to examples, one row of numbers each, and beside them "
        "a picture of all codes in a plane, coloured by class where the data have classes. Without INPUT, of the data "
        "that the run was trained and tested on."
    )
    examples = (
        "penstock encode runs/reconstruct/digits-conv --output codes.csv",
        "penstock encode runs/reconstruct/photos-conv new/ --output codes.npy",
    )
    positional = ("run", "inputs")

    run: Annotated[str, Field(description="folder or name of the run")]
    inputs: Annotated[
        list[str], Field(description="files, folders, or rows as JSON; the run's own data if not given")
    ] = Field(default_factory=list)
    output: Annotated[str, Field(description="a file named .csv or .npy; the picture lies beside it, named .png")]
    runs: Annotated[str, Field(description="the folder of all runs")] = "runs"


def run(words: Sequence[str]) -> int:
    """Write the codes and their map."""
    given = Encode.read(words)
    if given is None:
        return 0
    place = place_for(given.output)
    if place.suffix.lower() not in (".csv", ".npy"):
        raise RecipeError(
            "--output", f"{given.output!r} is neither .csv nor .npy", "name a file codes.csv or codes.npy"
        )
    from penstock.run.run import load

    codes = load(given.run, runs=given.runs).encode(given.inputs or None)
    codes.write(place)
    drawn = codes.draw(place.with_suffix(".png"))
    beside = (
        f", their map to {place.with_suffix('.png')} ({drawn})" if drawn else ", too few numbers or codes for a map"
    )
    print(f"wrote {len(codes.names):,} codes of {codes.array.shape[1]} numbers to {place}{beside}", file=sys.stderr)
    return 0
