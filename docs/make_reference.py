"""Writes docs/reference.md from the docstrings of the public names and the types of the recipes.

python docs/make_reference.py
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from itertools import takewhile
from pathlib import Path
from typing import Any

import penstock
from penstock.cli.flags import Flag, flags_of
from penstock.cli.main import VERBS
from penstock.cli.verb import Verb
from penstock.core import errors
from penstock.core.settings import Settings
from penstock.recipes.recipe import TASKS, recipe_type

REFERENCE = Path(__file__).with_name("reference.md")
HEAD = """# Reference

Written by `python docs/make_reference.py` from the source: change the docstrings, not this page.
The [guide](guide.md) ([中文](guide.zh.md)) explains; this page lists.
"""


def reference() -> str:
    """The whole page."""
    parts = [HEAD, "## Command line\n", *_verbs(), *_recipes(), "## Exit codes\n", _exit_codes(), "## Python\n"]
    names = sorted((name for name in penstock.__all__ if not name.startswith("_")), key=str.casefold)
    parts += [_entry(name, getattr(penstock, name)) for name in names]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).rstrip() + "\n"


def _verbs() -> Iterator[str]:
    for verb in VERBS:
        module = import_module(f"penstock.cli.{verb}")
        for options in vars(module).values():
            if isinstance(options, type) and issubclass(options, Verb) and options is not Verb:
                yield f"### `{options.usage}`\n\n{options.summary}\n"
                flags = [flag for flag in flags_of(options) if flag.path[0] not in options.positional]
                yield _flag_table(flags) if flags else ""


def _recipes() -> Iterator[str]:
    """The flags that all tasks share, then those that a task has alone or with another default."""
    flags = {task: flags_of(recipe_type(task)) for task in TASKS}
    first, *others = flags.values()
    shared = [flag for flag in first if all(flag in rest for rest in others)]
    yield "### `penstock train TASK [--recipe FILE] [flags]`\n"
    yield (
        "The same names are the settings of recipe files (`--optim.lr 3e-3` is `lr = 3e-3` under `[optim]`) and the "
        'keywords of `penstock.train` (`optim={"lr": 3e-3}`). A switch is turned off with `--no-...`.\n'
    )
    yield _flag_table(shared)
    for task, known in flags.items():
        recipe = recipe_type(task)
        yield f"### `penstock train {task}`\n\n{recipe.summary.capitalize()}: `{recipe.example}`\n"
        yield _flag_table([flag for flag in known if flag not in shared])


def _flag_table(flags: Sequence[Flag]) -> str:
    rows = ["| flag | value | default | |", "|---|---|---|---|"]
    for flag in flags:
        default = f"`{flag.default}`" if flag.default else ""
        rows.append(f"| `{flag.text}` | {_cell(flag.metavar)} | {default} | {_cell(flag.help)} |")
    return "\n".join(rows) + "\n"


def _keyword_table(flags: Sequence[Flag]) -> str:
    rows = ["| keyword | value | default | |", "|---|---|---|---|"]
    for flag in flags:
        default = f"`{flag.default}`" if flag.default else ""
        kind = _cell(flag.metavar) or "on\\|off"
        rows.append(f"| `{'.'.join(flag.path)}` | {kind} | {default} | {_cell(flag.help)} |")
    return "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _exit_codes() -> str:
    rows = ["| code | error | |", "|---|---|---|", "| 0 | | done |", "| 1 | | a fault of Penstock itself |"]
    found = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.PenstockError)
    ]
    known = {kind.code: kind for kind in found if kind.code != errors.PenstockError.code}
    for code, kind in sorted(known.items()):
        rows.append(f"| {code} | `{kind.__name__}` | {inspect.getdoc(kind)} |")
    rows.append(f"| 130, 143 | `{errors.Interrupted.__name__}` | {inspect.getdoc(errors.Interrupted)} |")
    return "\n".join(rows) + "\n"


def _entry(name: str, value: Any) -> str:
    """One public name: its signature, its docstring, its own public members."""
    if not isinstance(value, type):
        return f"### `{name}`\n\n```python\n{name}{_signature(value)}\n```\n\n{_text(value)}\n"
    if issubclass(value, Settings):
        return f"### `{name}`\n\n{_text(value)}\n\n{_keyword_table(flags_of(value))}"
    known = {getattr(penstock, public) for public in penstock.__all__}
    bases = [base.__name__ for base in value.__mro__[1:] if base in known]
    kind = f" ({bases[0]})" if bases else ""
    maker = next(base for base in value.__mro__ if "__init__" in vars(base))
    own = maker.__module__.startswith("penstock.") and not getattr(value, "_is_protocol", False)
    signature = f"```python\n{name}{_signature(value)}\n```\n\n" if own else ""
    return f"### `{name}`{kind}\n\n{signature}{_text(value)}\n\n" + "".join(_members(value, known))


def _members(value: type, known: set[Any]) -> Iterator[str]:
    """Methods and properties of the class, and of its bases up to the first that has an entry of its own."""
    above = list(takewhile(lambda base: base not in known, value.__mro__[1:]))
    members: dict[str, Any] = {}
    for base in [value, *(base for base in above if base.__module__.startswith("penstock."))]:
        members = {**vars(base), **members}
    for name, member in members.items():
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            yield f"- `{name}`: {_line(member.fget)}\n"
            continue
        function = member.__func__ if isinstance(member, staticmethod | classmethod) else member
        if inspect.isfunction(function) and function.__doc__:
            yield f"- `{name}{_signature(function, method=not isinstance(member, staticmethod))}`: {_line(function)}\n"


def _signature(value: Any, *, method: bool = False) -> str:
    """As written in the source: annotations as they stand, defaults by name where they are functions."""
    found = inspect.signature(value)
    parameters = list(found.parameters.values())[1 if method else 0 :]
    defaults = _factories(value) if isinstance(value, type) else {}
    shown, starred = [], False
    for parameter in parameters:
        if parameter.kind is parameter.VAR_POSITIONAL:
            starred = True
        elif parameter.kind is parameter.KEYWORD_ONLY and not starred:
            shown.append("*")
            starred = True
        shown.append(_parameter(parameter, defaults.get(parameter.name)))
    result = "" if found.return_annotation in (found.empty, None, "None") else f" -> {found.return_annotation}"
    return f"({', '.join(shown)})" + result


def _parameter(parameter: inspect.Parameter, factory: str | None) -> str:
    mark = (
        "*" if parameter.kind is parameter.VAR_POSITIONAL else "**" if parameter.kind is parameter.VAR_KEYWORD else ""
    )
    note = parameter.annotation
    text = mark + parameter.name + ("" if note is parameter.empty else f": {_word(note)}")
    if parameter.default is parameter.empty:
        return text
    name = getattr(parameter.default, "__name__", repr(parameter.default))  # of a function, or the value itself
    return f"{text} = {factory or name}"


def _word(annotation: object) -> str:
    return annotation if isinstance(annotation, str) else str(getattr(annotation, "__name__", annotation))


def _factories(value: type) -> Mapping[str, str]:
    """What a dataclass makes anew for each instance, by field."""
    if not dataclasses.is_dataclass(value):
        return {}
    fields = dataclasses.fields(value)
    return {f.name: repr(f.default_factory()) for f in fields if f.default_factory is not dataclasses.MISSING}


def _line(value: Any) -> str:
    """The docstring on one line, for a list."""
    return " ".join(_text(value).split())


def _text(value: Any) -> str:
    """The docstring on as few lines as it has paragraphs, with the source's double backticks made single."""
    paragraphs = (inspect.getdoc(value) or "").split("\n\n")
    joined = (part if part.startswith(" ") else " ".join(part.split()) for part in paragraphs)
    return re.sub("``([^`]*)``", r"`\1`", "\n\n".join(joined))


if __name__ == "__main__":
    REFERENCE.write_text(reference(), encoding="utf-8")
