"""The list of metric names and their directions."""

from __future__ import annotations

import pytest

from penstock.core.errors import RecipeError
from penstock.metrics.names import HIGHER_IS_BETTER, LOWER_IS_BETTER, higher_is_better


def test_every_name_has_one_direction() -> None:
    assert not HIGHER_IS_BETTER & LOWER_IS_BETTER
    assert [higher_is_better(name) for name in ("accuracy", "f1", "auc", "r2")] == [True] * 4
    assert [higher_is_better(name) for name in ("loss", "error", "rmse", "mae")] == [False] * 4


def test_a_typo_gets_the_nearest_name() -> None:
    with pytest.raises(RecipeError, match=r"^monitor: no metric is called 'acuracy'; did you mean 'accuracy'\?$"):
        higher_is_better("acuracy")
    with pytest.raises(RecipeError, match=r"'准确率'; choose one of: accuracy, auc, bits_per_character, "):
        higher_is_better("准确率")
