"""Checks of what a layer is built with and of what it is given, in words that a user can act on."""

from __future__ import annotations

from penstock.core.errors import RecipeError


def require_sizes(where: str, **sizes: int) -> None:
    """Every size is at least 1. Raises RecipeError naming the first that is not."""
    for name, size in sizes.items():
        if size < 1:
            raise RecipeError(where, f"{name} is {size}", "give a whole number of at least 1")


def require_dropout(where: str, dropout: float) -> None:
    """A dropout is a probability below 1. Raises RecipeError."""
    if not 0.0 <= dropout < 1.0:
        raise RecipeError(where, f"dropout is {dropout}", "give a number from 0 up to, but not including, 1")


def require_given(where: str, what: str, expected: int, given: int) -> None:
    """An input has as many `what` as the model was built for. Raises RecipeError with both numbers."""
    if given != expected:
        problem = f"was built for {expected} {what} and was given {given}"
        raise RecipeError(where, problem, "prepare the data as in training, or build the model for this data")
