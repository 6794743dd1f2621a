"""`penstock sample RUN`"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from penstock.cli.verb import Verb
from penstock.core.errors import RecipeError


class Sample(Verb):
    """What to write."""

    usage = "penstock sample RUN [--prompt TEXT] [--temperature NUMBER] [--top-k N] [--top-p SHARE] [--seed N]"
    summary = (
        "Let a model that has learned a language write, token by token to the terminal. The same seed writes the same."
    )
    examples = (
        "penstock sample runs/language/pydoc-lstm --prompt 'The yield statement'",
        "penstock sample runs/language/poems-lstm --temperature 0.7 --top-p 0.9 --count 3",
        "penstock sample runs/language/tang-quatrains-lstm --condition form=五言",
    )
    positional = ("run",)

    run: Annotated[str, Field(description="folder or name of the run")]
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
    count: Annotated[int, Field(ge=1, le=10**6, description="how many texts")] = 1
    seed: Annotated[int, Field(ge=0, lt=1 << 62, description="of the first text; the next has the next number")] = 0
    runs: Annotated[str, Field(description="the folder of all runs")] = "runs"


def run(words: Sequence[str]) -> int:
    """Write."""
    given = Sample.read(words)
    if given is None:
        return 0
    known = dict(_pair(text) for text in given.condition)
    prompt = given.prompt.encode("utf-8", "replace").decode()  # a terminal may hand over bytes that are no text
    from penstock.engine.tuning.threads import set_threads
    from penstock.run.run import load

    set_threads(1)  # token by token there is little to share, and much to wait for
    trained = load(given.run, runs=given.runs)
    for number in range(given.count):
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
    return 0


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise RecipeError("--condition", f"{text!r} does not say what is what", "write name=value")
    return name, value


def _shown(text: str) -> str:
    """What was learned from a file must not steer the terminal: of control characters, lines and tabs remain."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "\ufffd" for letter in text)
