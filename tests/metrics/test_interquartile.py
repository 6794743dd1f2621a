from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from penstock.core.errors import DataError
from penstock.metrics.interquartile import interquartile_mean, interval_of


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 19, 100])
def test_it_is_the_mean_without_a_quarter_at_each_end(count: int) -> None:
    scores = np.random.default_rng(count).standard_cauchy((3, count))
    found = interquartile_mean(torch.from_numpy(scores))
    np.testing.assert_allclose(found, stats.trim_mean(scores, 0.25, axis=1), rtol=1e-12)


def test_one_score_that_is_far_off_moves_it_little() -> None:
    scores = torch.arange(20.0)
    moved = torch.cat([scores[:-1], torch.tensor([1e9])])
    assert interquartile_mean(moved) == interquartile_mean(scores)


def test_the_interval_is_that_of_the_bootstrap() -> None:
    scores = np.random.default_rng(0).gamma(2, 3, 60)
    low, high = interval_of(torch.from_numpy(scores), seed=0, resamples=4000)
    reference = stats.bootstrap(
        (scores,),
        lambda x, axis: stats.trim_mean(x, 0.25, axis=axis),
        n_resamples=4000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert low == pytest.approx(reference.low, abs=0.1)
    assert high == pytest.approx(reference.high, abs=0.1)


def test_scores_that_are_alike_leave_no_doubt() -> None:
    assert interval_of(torch.full((7,), 500.0), seed=3) == (500.0, 500.0)


def test_no_scores() -> None:
    with pytest.raises(DataError, match="there are none"):
        interquartile_mean(torch.zeros(0))
