"""Settings that have no meaning for the data, or beside others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from penstock.core.errors import RecipeError

if TYPE_CHECKING:
    from penstock.kinds.kind import Material
    from penstock.recipes.recipe import Recipe


def changed(recipe: Recipe) -> list[str]:
    """The settings, with dots, that are not as they are by default."""
    ours, usual = (_dotted(settings.model_dump()) for settings in (recipe, type(recipe)(data=recipe.data)))
    return [name for name, value in ours.items() if value != usual.get(name)]


def refuse_foreign(recipe: Recipe, material: Material) -> None:
    """Raises RecipeError for a setting that was changed and that is for another kind of data."""
    words = {"image": "pictures", "text": "texts", "audio": "sounds", "series": "series"}
    there = ({"table": "a table", "stretch": "series"} | words)[material.word]
    for name in changed(recipe):
        if any(f"{name}.".startswith(f"{foreign}.") for foreign in material.foreign):
            wanted = words.get(name.partition(".")[0], "tables")
            raise RecipeError(name, f"it is for {wanted}, and {material.name} is {there}", "leave it out")


def refuse_unused(recipe: Recipe, chosen: str, users: Mapping[str, Sequence[str]]) -> None:
    """Raises RecipeError for a setting that was changed and that what was chosen makes no use of.

    `users` are the choices for which a setting, or a group of them, has a meaning.
    """
    for name in changed(recipe):
        allowed = users.get(name, users.get(name.partition(".")[0], (chosen,)))
        if chosen not in allowed:
            raise RecipeError(name, f"it has no meaning for {chosen}", f"leave it out, or use {', '.join(allowed)}")


def _dotted(settings: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested settings as one level, with dots in their names."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _dotted(value, f"{above}{name}.") if isinstance(value, Mapping) else {above + name: value}
    return flat
