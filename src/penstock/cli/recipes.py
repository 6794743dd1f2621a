"""`penstock recipes`"""

from __future__ import annotations

from collections.abc import Sequence

from penstock.cli.verb import Verb
from penstock.recipes.recipe import TASKS, recipe_type


class Recipes(Verb):
    """Nothing to choose."""

    usage = "penstock recipes"
    summary = "List the tasks that can be trained, with an example each."
    examples = ("penstock recipes",)


def run(words: Sequence[str]) -> int:
    """Print the list."""
    if Recipes.read(words) is None:
        return 0
    for task in TASKS:
        recipe = recipe_type(task)
        print(f"{task:<10}{recipe.summary}\n{'':<10}{recipe.example}")
    return 0
