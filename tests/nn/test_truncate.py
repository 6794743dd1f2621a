from __future__ import annotations

import pytest
import torch
from scipy import stats

from penstock.nn.truncate import truncated


@pytest.mark.parametrize("bound", [0.3, 1.0, 2.5])
def test_the_distribution_is_the_truncated_normal(bound: float) -> None:
    code = torch.randn(40_000, generator=torch.Generator().manual_seed(0))
    found = truncated(code, bound)
    assert found.abs().max() <= bound
    assert stats.kstest(found.numpy(), stats.truncnorm(-bound, bound).cdf).pvalue > 1e-4
    assert (found[code.argsort()].diff() >= 0).all()


def test_quantiles_are_those_of_scipy() -> None:
    code = torch.linspace(-4, 4, 33, dtype=torch.float64)
    expected = stats.truncnorm(-0.7, 0.7).ppf(stats.norm.cdf(code.numpy()))
    torch.testing.assert_close(truncated(code, 0.7), torch.from_numpy(expected), rtol=1e-7, atol=1e-9)


def test_a_wide_bound_changes_nothing_and_the_farthest_stays_within() -> None:
    code = torch.tensor([-5.8, -1.0, 0.0, 2.0, 5.8, 40.0])
    torch.testing.assert_close(truncated(code[1:4], 9.0), code[1:4])
    assert truncated(code, 0.5).abs().max() <= 0.5
    assert truncated(code, 6.0).isfinite().all()
