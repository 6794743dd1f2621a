"""A batch in parts gives the gradient of the whole; where it would not, it is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from penstock.core.errors import RecipeError
from penstock.data.examples import InMemory
from penstock.data.sources import Shuffled
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.objectives.supervised import Classification
from penstock.optim.adam import AdamW

COUNT = 46


def points(dtype: torch.dtype) -> Shuffled:
    """Batches of 17, 17 and 12: no number of parts divides them all."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(COUNT, 6, generator=generator, dtype=torch.float64)
    stored = InMemory({"x": x.to(dtype), "target": (x[:, 0] > 0).long() + (x[:, 1] > 1)})
    return Shuffled(stored, torch.arange(COUNT), batch_size=17, seed=3)


def train(accumulate: int, dtype: torch.dtype, recorder: Any = None, **options: Any) -> Classification:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.LayerNorm(16), nn.ReLU(), nn.Linear(16, 3)).to(dtype)
    objective = Classification(model, ["x"], **options)
    plan = Plan(steps=20, accumulate=accumulate, device="cpu", log_every=4, clip_norm=0.5)
    watchers = [recorder] if recorder else []
    Engine(objective, points(dtype), plan, {"model": AdamW(lr=0.01)}, watchers=watchers).run()
    return objective


@pytest.mark.parametrize("weighed", [False, True])
@pytest.mark.parametrize("parts", [2, 3, 5, 17, 100])
def test_ragged_parts_are_the_whole(parts: int, weighed: bool, recorders: Any) -> None:
    first, second = recorders(), recorders()
    options = {"class_weights": torch.tensor([0.5, 1, 4]).double(), "smoothing": 0.1} if weighed else {}
    whole, split = train(1, torch.float64, first, **options), train(parts, torch.float64, second, **options)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(split.state_dict()[name], value, rtol=1e-9, atol=1e-11, msg=name)
    for a, b in zip(first.numbers(), second.numbers(), strict=True):
        assert b == pytest.approx(a, rel=1e-8)


@pytest.mark.parametrize("parts", [2, 3, 5])
def test_ragged_parts_are_the_whole_in_single_precision(parts: int) -> None:
    whole, split = train(1, torch.float32), train(parts, torch.float32)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(split.state_dict()[name], value, rtol=1e-4, atol=1e-5, msg=name)


def refused(objective: Classification) -> str:
    with pytest.raises(RecipeError) as caught:
        Engine(objective, points(torch.float32), Plan(steps=1, accumulate=2), {"model": AdamW()})
    return str(caught.value)


@pytest.mark.parametrize("norm", [nn.BatchNorm1d(6), nn.BatchNorm2d(6), nn.BatchNorm3d(6), nn.SyncBatchNorm(6)])
def test_batch_normalisation_is_refused(norm: nn.Module) -> None:
    inner = nn.Sequential(nn.Linear(6, 6), nn.Sequential(norm))
    assert refused(Classification(inner, ["x"])).startswith("accumulate: batch normalisation couples the examples")
    Engine(Classification(inner, ["x"]), points(torch.float32), Plan(steps=1), {"model": AdamW()})


def test_a_loss_that_couples_examples_is_refused() -> None:
    objective = Classification(nn.Linear(6, 3), ["x"])
    objective.separable = False
    assert refused(objective).startswith("accumulate: this loss couples the examples of a batch; ")
