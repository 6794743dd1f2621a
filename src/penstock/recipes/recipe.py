"""What a recipe is, and the one place where whatever a user wrote becomes one."""

from __future__ import annotations

import re
import tomllib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, ValidationError

from penstock.core.errors import RecipeError, suggest
from penstock.core.ranks import ALONE, Ranks
from penstock.core.settings import Settings, in_our_words
from penstock.engine.plan import Plan

if TYPE_CHECKING:
    from torch import nn

    from penstock.recipes.job import Job, Supplied
    from penstock.recipes.trained import Trained

TASKS = {
    "classify": "penstock.recipes.classify:Classify",
    "regress": "penstock.recipes.regress:Regress",
    "language": "penstock.recipes.language:Language",
    "tag": "penstock.recipes.tag:Tag",
    "translate": "penstock.recipes.translate:Translate",
    "transcribe": "penstock.recipes.transcribe:Transcribe",
    "forecast": "penstock.recipes.forecast:Forecast",
    "generate": "penstock.recipes.generate:Generate",
    "reconstruct": "penstock.recipes.reconstruct:Reconstruct",
    "control": "penstock.recipes.control:Control",
    "selfplay": "penstock.recipes.selfplay:Selfplay",
}
"""Every task and the type of its recipe."""


TRUST = "trust_env"
"""The setting that lets a user's own code run. No file may make it: files come from others, too."""

Where = Annotated[str, Field(min_length=1, description="a file, a folder, or the name of a set (see: penstock data)")]
"""Where data are."""


def _folder_name(name: str | None) -> str | None:
    """The name itself. Raises ValueError where it cannot name a folder within another."""
    if name is not None and (not name.strip(". ") or len(name.encode()) > 200 or re.search(r"[/\\\x00-\x1f]", name)):
        raise ValueError("a run's name is up to 200 bytes, without / or \\, and not only dots")
    return name


class Recipe(Plan):
    """A job from data to a trained model: the plan, the data, and what the task adds."""

    task: ClassVar[str]
    summary: ClassVar[str]
    example: ClassVar[str]
    activity: ClassVar[str]
    """What is done, as a noun: "classification"."""
    headline: ClassVar[Sequence[str]]
    """The metrics of which the first that was measured stands at the top of the report."""
    use: ClassVar[str] = "penstock predict {run} INPUT..."
    python_use: ClassVar[str] = 'run.predict("INPUT")'
    """How a trained model is put to use, on the command line and in Python."""

    data: Where
    name: Annotated[
        str | None, AfterValidator(_folder_name), Field(description="of the run; by data and model if not given")
    ] = None
    runs: Annotated[str, Field(description="the folder of all runs")] = "runs"

    @abstractmethod
    def build(self, supplied: Supplied, ranks: Ranks = ALONE) -> Job:
        """Read the data and make what the engine needs. Raises DataError and RecipeError; writes nothing."""

    @abstractmethod
    def load(self, folder: Path, model: nn.Module | None = None) -> Trained:
        """Read back the model that a run with this recipe has saved; `model` where it was a user's own module.

        Raises CheckpointError for files that cannot be trusted or do not fit.
        """

    @abstractmethod
    def examine(self, trained: Trained, supplied: object, fingerprint: object, other: object) -> dict[str, Any]:
        """An evaluation on the test split of the recipe's own data, or on `other` data, as a report has it.

        `supplied` takes the place of data that were an object, `fingerprint` is theirs from when the run began. Raises
        DataError where they have changed since.
        """

    def judged_by(self, episodes: int) -> Self:
        """The same recipe with so many episodes, or games, of the test. Raises RecipeError where none are played."""
        raise RecipeError("episodes", f"a model for the task {self.task!r} plays none", "leave it out")

    @classmethod
    def parse(cls, given: Mapping[str, Any], where: str = "recipe") -> Self:
        """A recipe from nested settings, as a file or flags give them.

        Raises RecipeError with the field, what was given, and the allowed values or the nearest name.
        """
        try:
            return cls.model_validate(dict(given))
        except ValidationError as error:
            raise _one_line(cls, error, where) from None

    @property
    def trusts(self) -> bool:
        """Whether a user's own code may be run."""
        return False

    def trusting(self) -> Self:
        """The same recipe, for which a user's own code may be run. Raises RecipeError where there is none to run."""
        if TRUST not in type(self).model_fields:
            raise RecipeError("--trust-env", f"the task {self.task!r} runs no code of yours", "leave it out")
        return self.model_copy(update={TRUST: True})

    def dump(self) -> dict[str, Any]:
        """All settings, with the task, as JSON values; `recipe_from` reads them back."""
        return {"task": self.task} | self.model_dump(mode="json")


def recipe_type(task: str) -> type[Recipe]:
    """The type of a task's recipe. Raises RecipeError for a task that does not exist."""
    if task not in TASKS:
        raise RecipeError("task", f"there is no task {task!r}", suggest(task, TASKS))
    module, _, name = TASKS[task].partition(":")
    found: type[Recipe] = getattr(import_module(module), name)
    return found


def recipe_from(given: Mapping[str, Any], where: str = "recipe") -> Recipe:
    """A recipe from nested settings that name their task."""
    if not isinstance(given, Mapping):
        raise RecipeError(where, "not a table of settings", "restore the file")
    settings = _without_trust(given, where)
    task = settings.pop("task", None)
    if not isinstance(task, str):
        raise RecipeError(where, "it does not say which task it is for", f"add task = one of {', '.join(TASKS)}")
    return recipe_type(task).parse(settings, where)


def read_recipe_file(path: Path) -> dict[str, Any]:
    """Settings from a TOML file, or from the recipe.json of a run. It holds values only: nothing in it can run.

    Raises RecipeError for a missing file, another format, or a syntax error with its line.
    """
    import json

    try:
        text = path.read_bytes().decode("utf-8-sig")
        if path.suffix == ".json":
            found = json.loads(text)
        elif path.suffix == ".toml":
            found = tomllib.loads(text)
        else:
            raise RecipeError(
                path, "not a recipe file by its name", "recipes are .toml files, or the recipe.json of a run"
            )
    except OSError as error:
        raise RecipeError(path, f"cannot be read ({error.strerror})", "check the path") from None
    except (ValueError, RecursionError) as error:
        raise RecipeError(path, f"not valid {path.suffix[1:].upper()} ({error})", "mend that line") from None
    if not isinstance(found, dict):
        raise RecipeError(path, "not a table of settings", "write lines such as: epochs = 10")
    return _without_trust(found, str(path))


def _without_trust(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The settings of a file. Raises RecipeError where it wants to be trusted."""
    if TRUST in given:
        raise RecipeError(where, f"a file cannot say {TRUST}", "take it out; if you trust the code, write --trust-env")
    return dict(given)


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings with those of `over` taking the place of those of `base`."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with dotted names as groups within groups: {"optim.lr": 1} to {"optim": {"lr": 1}}."""
    result: dict[str, Any] = {}
    for name, value in settings.items():
        group, dot, rest = name.partition(".")
        inner = {group: nested({rest: value})} if dot else {group: value}
        result = merged(result, inner)
    return result


def _one_line(recipe: type[Recipe], error: ValidationError, where: str) -> RecipeError:
    """The first thing that pydantic found, in our words."""
    first = error.errors()[0]
    path = [str(part) for part in first["loc"] if not isinstance(part, int)]
    field = ".".join(path) or "recipe"
    if first["type"] == "extra_forbidden":
        owner = _settings_at(recipe, path[:-1])
        prefix = ".".join([*path[:-1], ""])
        elsewhere = [name for name in _all_names(recipe) if name.endswith(f".{path[-1]}")]
        known = elsewhere[:1] or [prefix + name for name in owner.model_fields]
        remedy = f"did you mean {known[0]!r}?" if elsewhere else suggest(field, known)
        return RecipeError(where, f"there is no setting {field!r}", remedy)
    if first["type"] == "missing":
        return RecipeError(f"{where}: {field}", "it is required", f"give --{field.replace('_', '-')}")
    return RecipeError(f"{where}: {field}", f"{first['input']!r} cannot be used", in_our_words(first["msg"]))


def _all_names(settings: type[Settings], above: str = "") -> list[str]:
    """Every setting, with dots."""
    names = []
    for name, field in settings.model_fields.items():
        inner: Any = field.annotation
        group = isinstance(inner, type) and issubclass(inner, Settings)
        names += _all_names(inner, f"{above}{name}.") if group else [above + name]
    return names


def _settings_at(settings: type[Settings], path: list[str]) -> type[Settings]:
    for name in path:
        field = settings.model_fields.get(name)
        if field is not None and isinstance(field.annotation, type) and issubclass(field.annotation, Settings):
            settings = field.annotation
    return settings
