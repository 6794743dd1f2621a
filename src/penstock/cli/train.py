"""`penstock train TASK ...`"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from penstock.cli.flags import parse_flags
from penstock.cli.help import help_text
from penstock.core.errors import RecipeError
from penstock.core.ranks import Ranks
from penstock.core.together import together
from penstock.recipes.recipe import TASKS, Recipe, merged, read_recipe_file, recipe_type


def run(words: Sequence[str]) -> int:
    """Train as flags and recipe file say; flags win."""
    with together() as ranks:
        return _train(list(words), ranks)


def _train(words: list[str], ranks: Ranks) -> int:
    wants_help = any(word in ("-h", "--help") for word in words)
    words = [word for word in words if word not in ("-h", "--help")]
    given, source = _recipe_file(words)
    task = words.pop(0) if words and not words[0].startswith("--") else given.get("task")
    if task is None:
        if wants_help:
            print(_overview())
            return 0
        raise RecipeError("train", "which task?", f"penstock train {'|'.join(TASKS)}, see penstock train --help")
    recipe = recipe_type(str(task))
    if wants_help:
        print(_help(recipe))
        return 0
    if given.pop("task", task) != task:
        raise RecipeError(source, f"it is not for the task {task!r}", "leave the task out, or name the file's")
    flags = parse_flags(recipe, words)
    parsed = recipe.parse(merged(given, flags), source if given else "recipe")

    from penstock.run.execute import train

    train(parsed, ranks=ranks)
    return 0


def _recipe_file(words: list[str]) -> tuple[dict[str, object], str]:
    """The settings of `--recipe FILE`, which is taken out of the words."""
    for at, word in enumerate(words):
        if word == "--recipe" or word.startswith("--recipe="):
            words.pop(at)
            path = word.partition("=")[2] if "=" in word else words.pop(at) if at < len(words) else ""
            if not path:
                raise RecipeError("--recipe", "it needs a file", "write --recipe run.toml")
            return read_recipe_file(Path(path)), path
    return {}, "recipe"


def _overview() -> str:
    tasks = "\n".join(f"  {task:<10}{recipe_type(task).summary}" for task in TASKS)
    return f"""usage: penstock train TASK [--data PATH_OR_NAME] [--recipe FILE] ...

tasks:
{tasks}

examples:
  penstock train classify
  penstock train classify --data photos/ --epochs 10
  penstock train regress --data houses.csv --target price

penstock train TASK --help shows all settings of a task."""


def _help(recipe: type[Recipe]) -> str:
    return help_text(
        f"penstock train {recipe.task} [--data PATH_OR_NAME] [--recipe FILE.toml] [flags]",
        f"{recipe.summary[0].upper()}{recipe.summary[1:]}. Flags and recipe files have the same settings: --optim.lr "
        "3e-3 is the line lr = 3e-3 under [optim], and --lr will do where no other flag ends so. Flags win over the "
        "file.",
        [f"penstock train {recipe.task}", recipe.example],
        recipe,
    )
