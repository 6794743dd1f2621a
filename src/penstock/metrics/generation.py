"""How near generated examples are to real ones, in a space of features. N real, M generated examples, F features.

Everything is computed on the CPU in float64. Measures of two sets depend on their sizes: compare like with like, and
beside them what a second real set gets. The time of all but `frechet` grows with N M F: some thousand examples do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from penstock.core.errors import DataError

CHUNK = 1 << 22
"""Distances that are held in memory at once."""


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How real the generated examples are (precision, density), and how much of the real they reach (recall, coverage).

    All are shares from 0 to 1, but density, which is 1 on average where both sets are of one distribution.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def frechet(real: Tensor, generated: Tensor) -> float:
    """Fréchet distance of normal distributions fitted to features (N, F) and (M, F); squared, in the features' unit.

    Heusel et al. 2017, "GANs trained by a two time-scale update rule", equation (6), in whatever features are given.
    """
    real, generated = _pair("frechet", real, generated, least=2)
    return frechet_normal(real.mean(0), real.T.cov(), generated.mean(0), generated.T.cov())


def frechet_normal(mean1: Tensor, covariance1: Tensor, mean2: Tensor, covariance2: Tensor) -> float:
    """Squared Fréchet (2-Wasserstein) distance of two normal distributions: (F,) and (F, F) each.

    Dowson and Landau 1982, "The Fréchet distance between multivariate normal distributions", equation (4).
    """
    size = mean1.numel()
    one, two = (c.cpu().double().reshape(size, size) for c in (covariance1, covariance2))
    root = _root(one)
    cross = torch.linalg.eigvalsh(root @ two @ root).clamp(min=0).sqrt().sum()
    away = (mean1.cpu().double() - mean2.cpu().double()).square().sum()
    return max(float(away + one.trace() + two.trace() - 2 * cross), 0.0)


def fidelity(real: Tensor, generated: Tensor, *, neighbours: int = 5) -> Fidelity:
    """Precision, recall, density and coverage of features (N, F) and (M, F), from balls that reach the k-th neighbour.

    Precision and recall: Kynkäänniemi et al. 2019, "Improved precision and recall metric", equations (1) and (2), who
    take k = 3; density and coverage: Naeem et al. 2020, "Reliable fidelity and diversity metrics", equations (4) and
    (6), who take k = 5. The latter two count what lies inside a ball, not on it, as their authors' program does: a set
    compared with itself then has density 1.
    """
    real, generated = _pair("fidelity", real, generated, least=neighbours + 1)
    reach, reach_generated = _reach(real, neighbours), _reach(generated, neighbours)
    inside = torch.zeros(len(generated), dtype=torch.int64)
    precise = torch.zeros(len(generated), dtype=torch.bool)
    recalled = torch.zeros(len(real), dtype=torch.bool)
    covered = torch.zeros(len(real), dtype=torch.bool)
    for rows in torch.split(torch.arange(len(real)), max(CHUNK // len(generated), 1)):
        apart = _distances(real[rows], generated)  # (rows, M)
        around = reach[rows].unsqueeze(1)
        inside += (apart < around).sum(0)
        precise |= (apart <= around).any(0)
        covered[rows] = (apart < around).any(1)
        recalled[rows] = (apart <= reach_generated).any(1)
    density = inside.sum().item() / (neighbours * len(generated))
    precision, recall, coverage = (found.double().mean().item() for found in (precise, recalled, covered))
    return Fidelity(precision, recall, density, coverage)


def nearest(generated: Tensor, training: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest training example of each generated one: indices (M,) int64 and distances (M,), from (M, F), (N, F).

    Examples that were learnt by heart lie nearer to the training set than held-out real ones do.
    """
    training, generated = _pair("nearest", training, generated, least=1)
    found = [_distances(part, training).min(1) for part in torch.split(generated, max(CHUNK // len(training), 1))]
    return torch.cat([part.indices for part in found]), torch.cat([part.values for part in found])


def _reach(points: Tensor, neighbours: int) -> Tensor:
    """The distance of each point to its k-th nearest neighbour, itself not counted: (N, F) to (N,)."""
    found = []
    for rows in torch.split(torch.arange(len(points)), max(CHUNK // len(points), 1)):
        apart = _distances(points[rows], points)
        apart[torch.arange(len(rows)), rows] = math.inf
        found.append(apart.kthvalue(neighbours, dim=1).values)
    return torch.cat(found)


def _distances(a: Tensor, b: Tensor) -> Tensor:
    """Without the shortcut through products, by which a point is not at distance 0 from itself."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def _root(matrix: Tensor) -> Tensor:
    """The symmetric root of a covariance matrix; eigenvalues below 0 are rounding."""
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = vectors * values.clamp(min=0).sqrt() @ vectors.T
    return root


def _pair(where: str, real: Tensor, generated: Tensor, least: int) -> tuple[Tensor, Tensor]:
    if real.ndim != 2 or generated.ndim != 2 or real.shape[1] != generated.shape[1]:
        problem = f"real features {tuple(real.shape)} and generated ones {tuple(generated.shape)} do not match"
        raise DataError(where, problem, "give two matrices with as many columns")
    if min(len(real), len(generated)) < least:
        problem = f"{len(real)} real and {len(generated)} generated examples"
        raise DataError(where, problem, f"give at least {least} of each")
    return real.detach().cpu().double(), generated.detach().cpu().double()
