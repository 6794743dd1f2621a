"""What a verb's options have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

from pydantic import ValidationError

from penstock.cli.flags import parse_flags
from penstock.cli.help import help_text
from penstock.core.errors import RecipeError
from penstock.core.settings import Settings, in_our_words


class Verb(Settings):
    """Options of a verb, read from words."""

    usage: ClassVar[str]
    summary: ClassVar[str]
    examples: ClassVar[Sequence[str]]
    positional: ClassVar[Sequence[str]] = ()

    @classmethod
    def read(cls, words: Sequence[str]) -> Self | None:
        """The options; None where help was asked for and has been printed. Raises RecipeError for wrong ones."""
        if any(word in ("-h", "--help") for word in words):
            print(help_text(cls.usage, cls.summary, cls.examples, cls, cls.positional))
            return None
        found = parse_flags(cls, words, cls.positional)
        try:
            return cls.model_validate(found)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0])
            if first["type"] == "missing":
                raise RecipeError(name.upper(), "it is missing", f"usage: {cls.usage}") from None
            raise RecipeError(f"--{name}", f"{first['input']!r} cannot be used", in_our_words(first["msg"])) from None

    def refuse(self, names: Sequence[str], why: str) -> None:
        """Raises RecipeError for the first of these that was given, though it has no meaning here."""
        for name in names:
            if name in self.model_fields_set:
                raise RecipeError(f"--{name.replace('_', '-')}", why, "leave it out")
