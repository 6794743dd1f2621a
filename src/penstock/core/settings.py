"""What recipes, plans and the options of verbs have in common."""

from __future__ import annotations

import re
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, model_validator


class Settings(BaseModel):
    """A typed, frozen, validated group of settings; an unknown name is refused.

    The text "none" leaves out what may be left out: flags and TOML files have no other word for it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _none(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: None if value == "none" and cls._may_be_none(name) else value for name, value in given.items()}

    @classmethod
    def _may_be_none(cls, name: object) -> bool:
        field = cls.model_fields.get(str(name))
        return field is not None and type(None) in get_args(field.annotation)


def in_our_words(message: str) -> str:
    """What pydantic says of a value."""
    message = re.sub(r"^(Input|Value|String) should", "it must", message).removeprefix("Value error, ")
    message = message.replace(", unable to parse string as a number", "")
    return message.replace("greater than or equal to", "at least").replace("less than or equal to", "at most")
