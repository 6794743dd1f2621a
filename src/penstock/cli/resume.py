"""`penstock resume RUN`"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from penstock.cli.verb import Verb
from penstock.core.together import together


class Resume(Verb):
    """What to resume."""

    usage = "penstock resume RUN [--checkpoint NAME]"
    summary = (
        "Go on with an interrupted run from its newest sound checkpoint; the result is as if it had never stopped."
    )
    examples = ("penstock resume runs/classify/digits-cnn",)
    positional = ("run",)

    run: Annotated[str, Field(description="folder or name of the run")]
    checkpoint: Annotated[str | None, Field(description="a checkpoint of the run by name, e.g. step-000000120")] = None
    trust_env: Annotated[bool, Field(description="run the code of an environment of your own")] = False
    runs: Annotated[str, Field(description="the folder of all runs")] = "runs"


def run(words: Sequence[str]) -> int:
    """Resume."""
    with together() as ranks:
        given = Resume.read(words)
        if given is None:
            return 0
        from penstock.recipes.job import Supplied
        from penstock.run.execute import resume
        from penstock.run.folder import find_run

        supplied = Supplied(trust_env=given.trust_env)
        resume(find_run(given.run, Path(given.runs)), supplied, checkpoint=given.checkpoint, ranks=ranks)
        return 0
