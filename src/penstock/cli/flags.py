"""Flags derived from settings: one schema for the command line, recipe files and Python.

The parser only finds out which flag has which text; pydantic reads and checks the values, for flags as for files.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from penstock.core.errors import RecipeError, suggest
from penstock.core.settings import Settings

TEXTS = "TEXT ..."
"""How a list of texts is shown; it is not split at commas, which may be part of them. Lists of numbers are."""


@dataclass(frozen=True)
class Flag:
    """One setting as a flag. `shape`: value, switch (no value needed), list, or group of names chosen by the user.

    `also` is another name, which the setting has in its `json_schema_extra`.
    """

    path: tuple[str, ...]
    shape: Literal["value", "switch", "list", "names"]
    metavar: str
    help: str
    default: str
    also: str = ""

    @property
    def text(self) -> str:
        """As it is written."""
        return "--" + ".".join(self.path).replace("_", "-") + (".NAME" if self.shape == "names" else "")


def flags_of(settings: type[Settings], above: tuple[str, ...] = ()) -> list[Flag]:
    """All flags, groups after single settings."""
    single, groups = [], []
    for name, field in settings.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Settings):
            groups += flags_of(inner, (*above, name))
        else:
            single.append(_flag((*above, name), field))
    return single + groups


def parse_flags(settings: type[Settings], words: Sequence[str], positional: Sequence[str] = ()) -> dict[str, Any]:
    """Words of a command line as nested settings, still texts.

    The name of a group may be left out where no other setting is called alike: --lr is --optim.lr. `positional` names
    the settings that words without a flag fill, in order; the last takes all that remain if it is a list.

    Raises RecipeError for a flag that does not exist (with the nearest), and for one that lacks its value.
    """
    known = _by_text(flags_of(settings))
    found: dict[str, Any] = {}
    loose: list[str] = []
    queue = list(words)
    while queue:
        word = queue.pop(0)
        if word[:1] in ("—", "–", "−"):
            raise RecipeError(word, "it begins with a dash that is not a hyphen", "flags begin with two hyphens: --")
        if not word.startswith("--") or word == "--":
            loose.append(word)
            continue
        text, equals, value = word.partition("=")
        text = "--" + text[2:].replace("_", "-") if not text.startswith("--columns.") else text
        flag, path, negated = _lookup(text, known)
        if negated or (flag.shape == "switch" and not equals and not _is_truth(queue)):
            _put(found, path, "false" if negated else "true")
        elif flag.shape == "list":
            values = [value] if equals else []
            while queue and not queue[0].startswith("--"):
                values.append(queue.pop(0))
            if not values:
                raise RecipeError(text, "it needs a value", f"write {text} {flag.metavar}")
            _put(found, path, values if flag.metavar == TEXTS else [p for item in values for p in item.split(",") if p])
        else:
            if not equals and (not queue or queue[0].startswith("--")):
                raise RecipeError(text, "it needs a value", f"write {text} {flag.metavar}")
            _put(found, path, value if equals else queue.pop(0))
    _place(found, loose, positional, settings)
    return found


def _by_text(flags: Sequence[Flag]) -> dict[str, Flag]:
    """Every flag by its text; also without its group where that names no other."""
    short: dict[str, list[Flag]] = {}
    for flag in flags:
        if flag.shape != "names":
            short.setdefault("--" + flag.path[-1].replace("_", "-"), []).append(flag)
    known = {flag.text: flag for flag in flags} | {f"--{flag.also}": flag for flag in flags if flag.also}
    return known | {text: owners[0] for text, owners in short.items() if len(owners) == 1 and text not in known}


def _lookup(text: str, known: Mapping[str, Flag]) -> tuple[Flag, tuple[str, ...], bool]:
    if text in known:
        return known[text], known[text].path, False
    if text.startswith("--no-") and (flag := known.get("--" + text[5:])) and flag.shape == "switch":
        return flag, flag.path, True
    for flag in known.values():
        stem = flag.text.removesuffix("NAME")
        if flag.shape == "names" and text.startswith(stem) and len(text) > len(stem):
            return flag, (*flag.path, text[len(stem) :]), False
    raise RecipeError(text, "there is no such flag", _nearest(text, known))


def _nearest(text: str, known: Mapping[str, Flag]) -> str:
    """The flag that is spelt most alike, or that does what the words of `text` say."""
    wanted = text[2:].replace("-", " ").split()
    for flag in known.values():
        said = flag.help.split()
        windows = (" ".join(said[at : at + len(wanted)]) for at in range(len(said)))
        if len(wanted) > 1 and difflib.get_close_matches(" ".join(wanted), windows, n=1, cutoff=0.85):
            return f"did you mean {flag.text!r}?"
    return suggest(text, known)


def _is_truth(queue: Sequence[str]) -> bool:
    """Whether the next word is the value of a switch."""
    return bool(queue) and queue[0].lower() in ("true", "false", "yes", "no", "on", "off")


def _place(found: dict[str, Any], loose: list[str], positional: Sequence[str], settings: type[Settings]) -> None:
    for name in positional:
        if name in found or not loose:
            continue
        is_list = get_origin(_plain(settings.model_fields[name].annotation)) is list
        found[name] = list(loose) if is_list else loose[0]
        loose = [] if is_list else loose[1:]
    if loose:
        raise RecipeError(repr(loose[0]), "a word without a flag", "flags look like --epochs 10; see --help")


def _put(found: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    for name in path[:-1]:
        found = found.setdefault(name, {})
    found[path[-1]] = value


def _flag(path: tuple[str, ...], field: FieldInfo) -> Flag:
    inner = _plain(field.annotation)
    origin = get_origin(inner)
    shape: Literal["value", "switch", "list", "names"] = "value"
    if inner is bool:
        shape = "switch"
    elif origin is list:
        shape = "list"
    elif origin is dict:
        shape = "names"
    default = field.get_default(call_default_factory=True)
    shown = "" if field.is_required() or default is None or default == [] or default == {} else _shown(default)
    extra = field.json_schema_extra
    also = str(extra.get("also", "")) if isinstance(extra, dict) else ""
    return Flag(path, shape, _metavar(inner), field.description or "", shown, also)


def _plain(annotation: Any) -> Any:
    """The type without None."""
    if get_origin(annotation) in (Union, types.UnionType):
        return next(part for part in get_args(annotation) if part is not type(None))
    return annotation


def _metavar(inner: Any) -> str:
    if get_origin(inner) is Literal:
        return "|".join(map(str, get_args(inner)))
    if get_origin(inner) is list:
        return TEXTS if get_args(inner) == (str,) else "NUMBER ..."
    if get_origin(inner) is dict:
        return "VALUE"
    return {int: "INTEGER", float: "NUMBER", str: "TEXT", bool: ""}.get(inner, "VALUE")


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return "on" if default else "off"
    if isinstance(default, list):
        return " ".join(map(str, default))
    return f"{default:g}" if isinstance(default, float) else str(default)
