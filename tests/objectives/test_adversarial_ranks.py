"""Adversarial training on two ranks is that of one process: codes belong to examples, not to ranks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from adversaries import EXPLICIT, OPTIMIZERS, players, points
from rank_cases import numbers

from penstock.core.ranks import ALONE, Ranks
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.models.discriminator import ProjectionHead
from penstock.nn.spectral import spectral_
from penstock.objectives.adversarial_losses import Hinge
from penstock.objectives.penalties import R1, ClipWeights, GradientPenalty


def trained(ranks: Ranks) -> list[Any]:
    objective = players(
        seed=ranks.rank,
        dtype=torch.float64,
        head=ProjectionHead,
        classes=8,
        loss=Hinge(),
        penalties=[R1(weight=0.5), GradientPenalty(weight=0.5)],
        constraint=ClipWeights(bound=0.5),
        turns=2,
    )
    spectral_(objective.discriminator.head)
    source = points(batch_size=5, dtype=torch.float64, ranks=ranks)  # the last batch is one of 6, or of 1 for a rank
    plan = Plan(**(EXPLICIT | {"steps": 12, "log_every": 4, "ema": 0.9}))
    Engine(objective, source, plan, OPTIMIZERS, ranks=ranks).run()
    return [numbers(objective)]


def test_two_ranks_are_one_process(rank_processes: Any, tmp_path: Path) -> None:
    (first,), (second,) = rank_processes.call(tmp_path, __file__, "trained")
    (alone,) = trained(ALONE)
    for name, value in alone.items():
        assert first[name] == second[name], name
        assert first[name] == pytest.approx(value, rel=1e-9, abs=1e-11), name
