"""Measures of generated sets where the answer is known: normal distributions, equal, shifted and collapsed sets."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import linalg
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from penstock.core.errors import DataError
from penstock.metrics import generation
from penstock.metrics.generation import Fidelity, fidelity, frechet, frechet_normal, nearest


def normal(count: int, features: int, seed: int) -> Tensor:
    return torch.randn(count, features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def covariance(features: int, seed: int) -> Tensor:
    factor = normal(features, features, seed)
    return factor @ factor.T / features


def test_frechet_of_numbers_is_the_closed_form() -> None:
    one = torch.ones(1)
    found = frechet_normal(one * 2, one.view(1, 1) * 9, one * 5, one.view(1, 1) * 4)
    assert found == pytest.approx((2 - 5) ** 2 + (3 - 2) ** 2, rel=1e-12)


def test_frechet_where_covariances_commute() -> None:
    a, b = torch.tensor([1.0, 4.0, 0.0]), torch.tensor([9.0, 1.0, 4.0])
    turn = torch.linalg.qr(normal(3, 3, 0)).Q
    found = frechet_normal(torch.zeros(3), turn * a @ turn.T, torch.ones(3), turn * b @ turn.T)
    assert found == pytest.approx(3 + (a.sqrt() - b.sqrt()).square().sum().item(), rel=1e-6)


def test_frechet_against_the_root_of_the_product() -> None:
    one, two, away = covariance(7, 1), covariance(7, 2), normal(2, 7, 3)
    root = linalg.sqrtm((one @ two).numpy())
    expected = (away[0] - away[1]).square().sum() + one.trace() + two.trace() - 2 * np.trace(root).real
    assert frechet_normal(away[0], one, away[1], two) == pytest.approx(expected.item(), rel=1e-9)


def test_frechet_of_sets() -> None:
    points = normal(500, 6, 0) @ covariance(6, 1)
    assert frechet(points, points) == pytest.approx(0, abs=1e-6)
    assert frechet(points, points[torch.randperm(500)] + 2) == pytest.approx(6 * 4, rel=1e-6)
    assert frechet(points, -points + 2 * points.mean(0)) == pytest.approx(0, abs=1e-6)
    collapsed = points.mean(0).expand(40, -1)
    assert frechet(points, collapsed) == pytest.approx(points.T.cov().trace().item(), rel=1e-9)
    assert frechet(points.float(), points.float() * 3) == pytest.approx(
        4 * (points.mean(0).square().sum() + points.T.cov().trace()).item(), rel=1e-5
    )


def by_hand(real: Tensor, generated: Tensor, k: int) -> Fidelity:
    """Ball by ball, with another library's neighbours."""
    reach = NearestNeighbors(n_neighbors=k + 1).fit(real).kneighbors(real)[0][:, k]
    reach_generated = NearestNeighbors(n_neighbors=k + 1).fit(generated).kneighbors(generated)[0][:, k]
    precise = recalled = covered = inside = 0
    for g in generated.numpy():
        apart = np.sqrt(((real.numpy() - g) ** 2).sum(1))
        precise += bool((apart <= reach).any())
        inside += int((apart < reach).sum())
    for number, r in enumerate(real.numpy()):
        apart = np.sqrt(((generated.numpy() - r) ** 2).sum(1))
        recalled += bool((apart <= reach_generated).any())
        covered += bool((apart < reach[number]).any())
    n, m = len(real), len(generated)
    return Fidelity(precise / m, recalled / n, inside / (k * m), covered / n)


@pytest.mark.parametrize("neighbours", [1, 3, 5])
@pytest.mark.parametrize("chunk", [50, 1 << 22])
def test_fidelity_ball_by_ball(neighbours: int, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "CHUNK", chunk)
    real, generated = normal(60, 3, 0), normal(45, 3, 1) * 0.8 + 0.7
    found, expected = fidelity(real, generated, neighbours=neighbours), by_hand(real, generated, neighbours)
    for name in ("precision", "recall", "density", "coverage"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-12), name
        assert 0 < getattr(found, name) < 2


def test_fidelity_of_equal_far_and_collapsed_sets() -> None:
    real = normal(200, 4, 0)
    assert fidelity(real, real) == Fidelity(1.0, 1.0, 1.0, 1.0)
    assert fidelity(real, real + 100) == Fidelity(0.0, 0.0, 0.0, 0.0)
    collapsed = fidelity(real, real.mean(0) + 1e-3 * normal(200, 4, 1))
    assert collapsed.precision == 1
    assert collapsed.density > 1
    assert collapsed.recall < 0.05
    assert collapsed.coverage < 0.4
    half = fidelity(torch.cat([real, real + 100]), real)
    assert (half.precision, half.recall, half.coverage) == (1.0, 0.5, 0.5)


def test_fidelity_of_one_distribution_has_density_one() -> None:
    found = fidelity(normal(1500, 2, 0), normal(1500, 2, 1))
    assert found.density == pytest.approx(1, abs=0.06)
    assert min(found.precision, found.recall) > 0.95
    assert found.coverage == pytest.approx(1 - 0.5**5, abs=0.03)  # Naeem et al. 2020, lemma 2, equal sizes


def test_nearest() -> None:
    training = normal(50, 5, 0)
    index, apart = nearest(training[[7, 3, 3]] + torch.tensor([0.0, 0, 0, 0, 1e-4]), training)
    assert index.tolist() == [7, 3, 3]
    torch.testing.assert_close(apart, torch.full((3,), 1e-4, dtype=torch.float64), rtol=1e-6, atol=0)
    index, apart = nearest(training, training)
    assert index.tolist() == list(range(50))
    assert not apart.any()


def test_what_does_not_match_is_refused() -> None:
    with pytest.raises(DataError, match=r"real features \(4, 3\) and generated ones \(4, 2\)"):
        frechet(torch.zeros(4, 3), torch.zeros(4, 2))
    with pytest.raises(DataError, match="5 real and 9 generated examples; give at least 6 of each"):
        fidelity(torch.zeros(5, 3), torch.zeros(9, 3))
    assert math.isfinite(frechet(torch.zeros(2, 3), torch.zeros(2, 3)))
