"""What a decoder is told besides the code: a class, such as who speaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import pandas as pd
from torch import Tensor

from penstock.core.errors import RecipeError, suggest
from penstock.data.features import Classes

if TYPE_CHECKING:
    from penstock.kinds.kind import Material

TOLD = "told"
"""The field of a batch that holds it, (B,) int64."""
FOLDERS = "class"
"""The column of data that lie in folders, whose names are the user's to say what they mean."""


@final
@dataclass(frozen=True)
class Told:
    """A column and its classes, those of the training rows."""

    column: str
    classes: Classes

    @classmethod
    def fit(cls, column: str, material: Material, rows: Any) -> Told:
        """Raises RecipeError for a column that does not exist, DataError where there are fewer than two classes."""
        return cls(column, Classes.fit(about("told", column, material).iloc[rows]))

    def encode(self, material: Material) -> Tensor:
        """(N,). Raises as `fit`, and DataError for a class that training did not see."""
        return self.classes.encode(about("told", self.column, material))

    def number(self, words: str) -> int:
        """The class in COLUMN=VALUE. Raises RecipeError for any other column, and for a value that is not known."""
        column, equals, value = words.partition("=")
        if not equals or column != self.column:
            known = self.classes.names
            raise RecipeError("told", f"{words!r} is not about {self.column!r}", f"write {self.column}={known[0]}")
        if value not in self.classes.names:
            problem = f"the model knows no {self.column} {value!r}"
            raise RecipeError("told", problem, suggest(value, self.classes.names))
        return self.classes.names.index(value)

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {"column": self.column, "classes": self.classes.to_json()}


def about(setting: str, column: str, material: Material) -> pd.Series[Any]:
    """A column of what is known of the examples; of class folders, these, whatever it is called.

    Raises RecipeError, of the `setting` that names it, where there is none.
    """
    known = material.about
    names = [] if known is None else [str(name) for name in known.columns if known[name].notna().any()]
    if known is not None and names == [FOLDERS]:
        return known[FOLDERS].loc[material.labels.index].rename(column)
    if known is None or column not in names:
        raise RecipeError(setting, f"{material.name} has no column {column!r}", suggest(column, names))
    return known[column].loc[material.labels.index]
