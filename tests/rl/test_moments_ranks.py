"""What several ranks know of observations: the same, and as much as one process that met them all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from penstock.core.ranks import ALONE, Ranks
from penstock.rl.normalise import Moments, NormalisedObservations, NormalisedRewards
from penstock.rl.pendulum import Pendulum


def met(rank: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(rank)
    return [torch.randn(4, 3, generator=generator) * (rank + 1) + 10 * rank for _ in range(5)]


def known(ranks: Ranks) -> Any:
    moments = Moments((3,), ranks=ranks)
    for part in met(ranks.rank):
        moments.add(part)
    return [value.flatten().tolist() for value in moments.tensors().values()]


def scaled(ranks: Ranks) -> Any:
    """Wrapped environments of other beginnings, and what they know in the end."""
    world = NormalisedRewards(NormalisedObservations(Pendulum(count=2), ranks=ranks), discount=0.9, ranks=ranks)
    world.reset(ranks.rank)
    for _ in range(3):
        world.step(torch.full((2, 1), float(ranks.rank)))
    state = world.state_dict()
    return {name: state[name].flatten().tolist() for name in state if name.endswith(("mean", "variance", "count"))}


def test_values_of_all_ranks_are_known_to_each(rank_processes: Any, tmp_path: Path) -> None:
    (count, mean, variance), other = rank_processes.call(tmp_path, __file__, "known")
    assert other == [count, mean, variance]
    every = torch.cat([*met(0), *met(1)]).double()
    assert count == [40]
    torch.testing.assert_close(torch.tensor(mean, dtype=torch.float64), every.mean(0), rtol=1e-6, atol=0)
    torch.testing.assert_close(
        torch.tensor(variance, dtype=torch.float64), every.var(0, correction=0), rtol=1e-6, atol=0
    )
    assert known(ALONE)[0] == [20]


def test_wrappers_of_all_ranks_know_the_same(rank_processes: Any, tmp_path: Path) -> None:
    one, other = rank_processes.call(tmp_path, __file__, "scaled")
    assert one == other
    assert one != scaled(ALONE)
    assert len(one) == 6
