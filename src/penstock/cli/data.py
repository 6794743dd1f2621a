"""`penstock data`"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from penstock.cli.verb import Verb


class Data(Verb):
    """Which sets."""

    usage = "penstock data [list | describe NAME | download NAME]"
    summary = (
        "The data sets that have a name. They are looked for in the folder that PENSTOCK_DATA names, then in the "
        "cache, and else downloaded from their public home, with a checksum."
    )
    examples = ("penstock data", "penstock data describe adult", "penstock data download fashion-mnist")
    positional = ("what", "name")

    what: Annotated[Literal["list", "describe", "download"], Field(description="what to do")] = "list"
    name: Annotated[str | None, Field(description="the set")] = None


def run(words: Sequence[str]) -> int:
    """Print or download."""
    given = Data.read(words)
    if given is None:
        return 0
    from penstock.core.errors import RecipeError, suggest
    from penstock.data.download import show_progress
    from penstock.data.named import NAMED, describe, locate

    if given.what == "list":
        for known in NAMED.values():
            print(f"{known.name:<26}{known.task:<11}{known.kind:<7}{known.rows:>8,}  {known.summary}")
        return 0
    if given.name is None:
        raise RecipeError("data", f"{given.what} which set?", suggest("", NAMED))
    known = describe(given.name)
    if given.what == "download":
        if not known.files and known.by_hand is None:
            print(f"{known.name} comes with Penstock and what it needs: nothing to download")
        else:
            print(locate(known.name, show_progress))
        return 0
    print(f"{known.name}: {known.summary}\ntask      {known.task}\nkind      {known.kind}\nexamples  {known.rows:,}")
    print(f"target    {known.target or 'class'}\nlicence   {known.licence}\nhome      {known.home}")
    for file in known.files:
        print(f"file      {file.url} ({file.size:,} bytes)")
    return 0
