"""A model of table rows: numbers and categories side by side.

B batch, F number columns, C category columns, D width of an embedding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from penstock.core.errors import RecipeError
from penstock.nn.sizes import require_given, require_sizes

UNTAUGHT = 2
"""The first codes, "not seen in training" and "missing", start at zero: training may never meet them."""


def embedding_width(cardinality: int) -> int:
    """Half the number of categories, rounded up, and at most 50.

    Guo and Berkhahn 2016, "Entity embeddings of categorical variables", leave the width to be tuned between 1 and
    cardinality - 1; half of it, capped, is the common rule of thumb.
    """
    return min(50, (cardinality + 1) // 2)


class Tabular(nn.Module):
    """Embeds each category, joins the vectors with the numbers, and hands the row to `body`.

    Takes numbers (B, F) float and categories (B, C) int64, where column j holds codes from 0 to cardinalities[j] - 1;
    gives what `body(width)` gives for (B, width). `number_embedding`, where there is one, maps (B, F) to (B, F, D).
    An embedding of width D starts normal with variance 1 / D, so that a category weighs as much in a row as a
    standardised number does.
    """

    def __init__(
        self,
        *,
        numbers: int,
        cardinalities: Sequence[int],
        body: Callable[[int], nn.Module],
        embedding_dim: Callable[[int], int] = embedding_width,
        number_embedding: nn.Module | None = None,
    ) -> None:
        super().__init__()
        require_sizes("Tabular", **{f"cardinalities[{i}]": n for i, n in enumerate(cardinalities)})
        if numbers < 0 or numbers + len(cardinalities) == 0:
            problem = f"{numbers} number columns and {len(cardinalities)} category columns"
            raise RecipeError("Tabular", problem, "give at least one column")
        if number_embedding is not None and numbers == 0:
            raise RecipeError("Tabular", "a number embedding without number columns", "leave the embedding out")
        self.numbers = numbers
        self.number_embedding = number_embedding
        widths = [embedding_dim(n) for n in cardinalities]
        require_sizes("Tabular", **{f"the embedding width of column {i}": width for i, width in enumerate(widths)})
        self.embeddings = nn.ModuleList(_embedding(n, width) for n, width in zip(cardinalities, widths, strict=True))
        flat = numbers if number_embedding is None else _flat_width(number_embedding, numbers)
        self.body = body(flat + sum(widths))

    def forward(self, numbers: Tensor, categories: Tensor | None = None) -> Tensor:
        require_given("Tabular", "number columns", self.numbers, numbers.shape[1])
        given = 0 if categories is None else categories.shape[1]
        require_given("Tabular", "category columns", len(self.embeddings), given)
        if self.number_embedding is not None:
            numbers = self.number_embedding(numbers).flatten(1)  # (B, F D)
        parts = [numbers]
        if categories is not None:
            parts += [embed(categories[:, j]) for j, embed in enumerate(self.embeddings)]  # (B, D) each
        logits: Tensor = self.body(torch.cat(parts, dim=1))  # (B, width) in
        return logits


def _embedding(cardinality: int, width: int) -> nn.Embedding:
    embedding = nn.Embedding(cardinality, width)
    nn.init.normal_(embedding.weight, std=1 / math.sqrt(width))
    with torch.no_grad():
        embedding.weight[:UNTAUGHT] = 0
    return embedding


@torch.no_grad()
def _flat_width(embedding: nn.Module, numbers: int) -> int:
    """The width of F embedded numbers laid side by side, found by embedding one row of zeros."""
    training = embedding.training
    width = embedding.eval()(torch.zeros(1, numbers)).flatten(1).shape[1]
    embedding.train(training)
    return int(width)
