from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from penstock.metrics.principal import principal


@pytest.mark.parametrize("width", [2, 5, 40])
def test_as_scikit_learn_finds_it(width: int) -> None:
    draw = np.random.default_rng(width)
    x = draw.normal(size=(30, width)) @ draw.normal(size=(width, width)) + 3
    places, shares = principal(torch.from_numpy(x))
    known = PCA(2).fit(x)
    expected = known.transform(x)
    expected *= np.sign((expected * places.numpy()).sum(0))
    np.testing.assert_allclose(places, expected, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(shares, known.explained_variance_ratio_, rtol=1e-7)


def test_the_map_does_not_turn_with_the_order_of_the_rows() -> None:
    x = torch.randn(20, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(principal(x)[0].flip(0), principal(x.flip(0))[0])


def test_where_there_is_no_plane() -> None:
    line, shares = principal(torch.arange(4.0)[:, None])
    assert line.tolist() == [[-1.5, 0], [-0.5, 0], [0.5, 0], [1.5, 0]]
    assert shares.tolist() == [1, 0]
    assert principal(torch.ones(3, 4))[0].eq(0).all()
