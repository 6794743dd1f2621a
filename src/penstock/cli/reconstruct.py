"""`penstock reconstruct RUN FILE --output OUT`"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from penstock.cli.output import place_for
from penstock.cli.verb import Verb


class Reconstruct(Verb):
    """What to make again."""

    usage = "penstock reconstruct RUN FILE... --output OUT [--told COLUMN=VALUE]"
    summary = (
        "Code examples with a trained autoencoder, and write what it makes of the codes: a png of a picture, or a "
        "sheet of several; a csv of rows; a wav of a sound. What was unlike the training data comes out more like it."
    )
    examples = (
        "penstock reconstruct runs/reconstruct/photos-conv portrait.jpg --output again.png",
        "penstock reconstruct runs/reconstruct/wavs-conv other.wav --output again.wav",
        "penstock reconstruct runs/reconstruct/wine-dense rows.csv --output again.csv",
    )
    positional = ("run", "inputs")

    run: Annotated[str, Field(description="folder or name of the run")]
    inputs: Annotated[list[str], Field(min_length=1, description="files, folders, or rows as JSON")]
    output: Annotated[str, Field(description="a file named .png, .csv or .wav, or a folder for a file each")]
    told: Annotated[
        str | None, Field(description="as whose, COLUMN=VALUE, where the model was trained with --told COLUMN")
    ] = None
    runs: Annotated[str, Field(description="the folder of all runs")] = "runs"


def run(words: Sequence[str]) -> int:
    """Write what the examples look or sound like after they were coded."""
    given = Reconstruct.read(words)
    if given is None:
        return 0
    place = place_for(given.output, folder=True)
    from penstock.run.run import load

    made = load(given.run, runs=given.runs).reconstruct(given.inputs, told=given.told)
    made.write(place)
    print(f"wrote {len(made.array):,} to {place}", file=sys.stderr)
    return 0
