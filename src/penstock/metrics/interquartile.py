"""What the middle half of some scores reaches, and how sure that is. N scores, R resamples."""

from __future__ import annotations

import torch
from torch import Tensor

from penstock.core.errors import DataError
from penstock.core.random import derive


def interquartile_mean(scores: Tensor) -> Tensor:
    """The mean without the lowest and the highest quarter, each rounded down to whole scores: (..., N) to (...).

    Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical precipice", section 4: less moved
    by single scores than the mean is, and by less chance than the median. Raises DataError where there is no score.
    """
    count = scores.shape[-1]
    if not count:
        raise DataError("scores", "there are none", "give at least 1")
    left_out = count // 4
    return scores.double().sort(-1).values[..., left_out : count - left_out].mean(-1)


def interval_of(scores: Tensor, *, seed: int, share: float = 0.95, resamples: int = 2000) -> tuple[float, float]:
    """Where the interquartile mean of other N scores like these would be, so often: (N,) to its lower and upper end.

    The percentile bootstrap (Efron 1979, "Bootstrap methods: another look at the jackknife").
    """
    generator = torch.Generator().manual_seed(derive(seed, "bootstrap"))
    rows = torch.randint(len(scores), (resamples, len(scores)), generator=generator)
    found = interquartile_mean(scores.cpu()[rows])  # (R,)
    ends = torch.tensor([(1 - share) / 2, (1 + share) / 2], dtype=found.dtype)
    low, high = found.quantile(ends).tolist()
    return low, high
