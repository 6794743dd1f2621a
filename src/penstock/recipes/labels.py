"""What the players of `generate` are told of each picture: its class, or its group of alike ones, or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.core.errors import DataError, RecipeError
from penstock.core.random import derive
from penstock.data.features import Classes
from penstock.recipes.alike import Groups, coarse_pixels
from penstock.recipes.blueprint import CONDITIONAL, LABEL
from penstock.recipes.examined import are_classes

if TYPE_CHECKING:
    import numpy as np

    from penstock.data.examples import Examples
    from penstock.kinds.image import ImageKind
    from penstock.kinds.pictures import ImageMaterial
    from penstock.recipes.creating import Creating
    from penstock.recipes.generate import Generate


def classes_of(
    recipe: Generate, material: ImageMaterial, kind: ImageKind, rows: np.ndarray
) -> tuple[Classes | None, Groups | None]:
    """The classes of the training rows, or their groups with numbers for names.

    Raises RecipeError for a model that cannot be told of any, DataError where there are none.
    """
    told = "conditional" if recipe.conditional else "groups"
    if not recipe.conditional and recipe.groups is None:
        return None, None
    if recipe.model not in ("auto", *CONDITIONAL):
        raise RecipeError(told, f"{recipe.model} cannot be told of classes", f"use one of {', '.join(CONDITIONAL)}")
    if recipe.groups is None:
        if not are_classes(material):
            remedy = "make one folder a class, or take --groups instead of --conditional"
            raise DataError(material.origin, "there are no classes", remedy)
        return Classes.fit(material.labels.iloc[rows]), None
    if recipe.conditional:
        raise RecipeError("groups", "the classes are told already", "leave --conditional or --groups out")
    if recipe.groups > len(rows):
        raise RecipeError("groups", f"there are only {len(rows):,} pictures to learn from", "ask for fewer")
    coarse = coarse_pixels(material, kind)
    groups = Groups.fit(coarse[rows], recipe.groups, seed=derive(recipe.seed, "groups"))
    return Classes(groups.names), groups


def examples_of(material: ImageMaterial, trained: Creating) -> Examples:
    """All pictures, with what is told of them, on the device of the model."""
    columns = {}
    if trained.groups is not None:
        columns = {LABEL: trained.groups.encode(coarse_pixels(material, trained.kind))}
    elif trained.classes is not None:
        columns = {LABEL: trained.classes.encode(material.labels)}
    return material.examples(trained.kind, columns).to(trained.device)
