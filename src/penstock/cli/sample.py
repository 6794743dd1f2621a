"""`penstock sample RUN`"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from penstock.cli.output import place_for
from penstock.cli.verb import Verb
from penstock.core.errors import RecipeError

if TYPE_CHECKING:
    from penstock.run.run import Run


class Sample(Verb):
    """What to make."""

    usage = "penstock sample RUN [--count N] [--seed N] [--label CLASS] [--output FILE] [--prompt TEXT] ..."
    summary = (
        "Let a generative model make something new: pictures on a sheet, or into a folder, a file each; a model that "
        "has learned a language writes, token by token to the terminal. The same seed makes the same."
    )
    examples = (
        "penstock sample runs/generate/fashion-mnist-dcgan --count 100 --output sheet.png",
        "penstock sample runs/generate/fashion-mnist-dcgan --count 500 --label 'Ankle boot' --output boots/",
        "penstock sample runs/language/pydoc-lstm --prompt 'The yield statement'",
        "penstock sample runs/language/poems-lstm --temperature 0.7 --top-p 0.9 --count 3",
        "penstock sample runs/language/tang-quatrains-lstm --condition form=五言",
    )
    positional = ("run",)

    run: Annotated[str, Field(description="folder or name of the run")]
    count: Annotated[
        int | None, Field(ge=1, le=10**6, description="how many; 64 pictures, or one text, if not given")
    ] = None
    seed: Annotated[
        int, Field(ge=0, lt=1 << 62, description="of the first text (the next has the next), or of all")
    ] = 0
    label: Annotated[str | None, Field(description="of which class, of a model trained with --conditional")] = None
    truncation: Annotated[
        float | None, Field(gt=0, le=10, description="keep the numbers of codes within +- this: likelier, less varied")
    ] = None
    output: Annotated[
        str | None, Field(description="where pictures go; samples.png if not given. A folder gets a file each")
    ] = None
    prompt: Annotated[str, Field(description="how the text begins")] = ""
    length: Annotated[int, Field(ge=1, le=10**7, description="tokens to write, at most")] = 500
    temperature: Annotated[
        float, Field(ge=0, le=100, description="how bold: below 1 the likely becomes likelier; 0 takes the likeliest")
    ] = 0.8
    top_k: Annotated[int | None, Field(ge=1, description="draw from so many of the likeliest tokens alone")] = None
    top_p: Annotated[
        float | None, Field(gt=0, le=1, description="draw from the fewest tokens whose probabilities reach this share")
    ] = None
    condition: Annotated[
        list[str], Field(description="what kind of text, as name=value, of a model trained with --condition")
    ] = Field(default_factory=list)
    runs: Annotated[str, Field(description="the folder of all runs")] = "runs"


OF_TEXTS, OF_PICTURES = (
    ("prompt", "length", "temperature", "top_k", "top_p", "condition"),
    ("label", "truncation", "output"),
)


def run(words: Sequence[str]) -> int:
    """Make or write, as the model does."""
    given = Sample.read(words)
    if given is None:
        return 0
    known = dict(_pair(text) for text in given.condition)
    if given.output is not None:
        place_for(given.output, folder=True)
    from penstock.recipes.making import Maker
    from penstock.run.run import load

    trained = load(given.run, runs=given.runs)
    makes = isinstance(trained.trained, Maker)
    if makes:
        given.refuse(OF_TEXTS, "this model writes no texts")
        _make(trained, given)
    else:
        given.refuse(OF_PICTURES, "this model makes no pictures")
        _write(trained, given, known)
    return 0


def _make(trained: Run, given: Sample) -> None:
    """Into a file or a folder."""
    made = trained.sample(given.count or 64, seed=given.seed, label=given.label, truncation=given.truncation)
    target = Path(given.output or f"samples{made.ending}")
    made.write(target)
    print(f"wrote {len(made.array):,} samples to {target}", file=sys.stderr)


def _write(trained: Run, given: Sample, known: dict[str, str]) -> None:
    """To the terminal."""
    from penstock.engine.tuning.threads import set_threads

    set_threads(1)  # token by token there is little to share, and much to wait for
    prompt = given.prompt.encode("utf-8", "replace").decode()  # a terminal may hand over bytes that are no text
    for number in range(given.count or 1):
        pieces = trained.write(
            prompt,
            temperature=given.temperature,
            top_k=given.top_k,
            top_p=given.top_p,
            seed=given.seed + number,
            length=given.length,
            condition=known,
        )
        sys.stdout.write(_shown(prompt))
        for piece in pieces:
            sys.stdout.write(_shown(piece))
            sys.stdout.flush()
        sys.stdout.write("\n")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise RecipeError("--condition", f"{text!r} does not say what is what", "write name=value")
    return name, value


def _shown(text: str) -> str:
    """What was learned from a file must not steer the terminal: of control characters, lines and tabs remain."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "\ufffd" for letter in text)
