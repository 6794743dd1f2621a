"""Groups of settings for text."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field

from penstock.core.settings import Settings

MANY_CHARACTERS = 10_000_000
"""Training text from which pieces of words are learned instead of characters."""


def names(given: Any) -> Any:
    """Names that may be joined by commas."""
    items = [given] if isinstance(given, str) else given
    return [part.strip() for item in items for part in str(item).split(",") if part.strip()]


class TokenSettings(Settings):
    """What text is cut into."""

    kind: Annotated[
        Literal["auto", "characters", "bytes", "words", "bpe", "unigram"],
        Field(description="what tokens are; auto: characters, of much text bpe, which joins frequent bytes"),
    ] = "auto"
    size: Annotated[
        int | None, Field(ge=5, le=1 << 20, description="tokens in the vocabulary, at most; by the kind if not given")
    ] = None

    def resolved(self, characters: int) -> Self:
        """With the kind and the size that suit so much training text, where they were left open."""
        kind = self.kind if self.kind != "auto" else "characters" if characters < MANY_CHARACTERS else "bpe"
        size = self.size or {"characters": 16_000, "words": 10_000}.get(kind, 4096)
        return self.model_copy(update={"kind": kind, "size": size})


class CorpusSettings(Settings):
    """How to read text."""

    unit: Annotated[
        Literal["auto", "running", "lines", "texts"],
        Field(description="an example is: a piece of running text, a line, or a text (auto: by the data)"),
    ] = "auto"
    column: Annotated[str | None, Field(description="the column of a table that has the text")] = None
    encoding: Annotated[str, Field(description="of files, e.g. utf-8, gbk, latin-1, utf-16")] = "utf-8"
    memory: Annotated[float, Field(gt=0, description="GiB of text files to hold in memory, at most")] = 0.25


class PartSettings(Settings):
    """Which part of the text trains, chooses and tests. A split that the data bring along is respected."""

    validation: Annotated[float, Field(gt=0, lt=1, description="share for validation, where none is given")] = 0.05
    test: Annotated[float, Field(gt=0, lt=1, description="share for the test, where none is given")] = 0.1
