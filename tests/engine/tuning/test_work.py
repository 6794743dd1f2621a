"""Multiply-adds against closed forms, and a look at an objective's work that leaves no trace."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from penstock.core.batch import Batch
from penstock.core.objective import Objective, Update
from penstock.core.random import random_state
from penstock.engine.tuning.work import LARGE, Work, work_of

B = 5


class Fed(Objective):
    """Gives its model the field "x"; the loss is the mean of what comes out."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def loss(self, batch: Batch) -> Update:
        found = self.model(batch["x"])
        return Update((found[0] if isinstance(found, tuple) else found).mean())


def work(model: nn.Module, *shape: int, dtype: torch.dtype = torch.float32) -> Work:
    return work_of(Fed(model.to(dtype)), Batch({"x": torch.randn(*shape, dtype=dtype)}))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_multilayer_perceptron(dtype: torch.dtype) -> None:
    model = nn.Sequential(nn.Linear(7, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 63, bias=False))
    counts = [B * 7 * 64, B * 64 * 64, B * 64 * 63]
    assert work(model, B, 7, dtype=dtype) == Work(sum(counts), wide=counts[1])


def test_large_products_are_told_by_their_shape() -> None:
    k = 2000
    assert work(nn.Linear(k, LARGE // k), 1, k) == Work(LARGE, wide=LARGE, large=frozenset({(1, k, LARGE // k)}))
    assert work(nn.Linear(k, LARGE // k - 1), 1, k).large == frozenset()
    rows = work(nn.Sequential(nn.Linear(100, 200), nn.Linear(200, 100)), 4, 100, 100)
    assert rows.large == {(400, 100, 200), (400, 200, 100)}
    assert rows.total == 2 * 400 * 100 * 200


@pytest.mark.parametrize(
    ("layer", "size", "expected", "wide"),
    [
        (nn.Conv2d(3, 8, 3, padding=1), (3, 6, 6), B * 8 * 36 * 27, True),
        (nn.Conv2d(3, 7, 3, padding=1), (3, 6, 6), B * 7 * 36 * 27, False),
        (nn.Conv2d(8, 8, (1, 3), stride=2, groups=4, bias=False), (8, 7, 7), B * 8 * 4 * 3 * 2 * 3, True),
        (nn.Conv1d(2, 9, 5, dilation=2), (2, 12), B * 9 * 4 * 10, True),
        (nn.ConvTranspose2d(9, 4, 4, stride=2, padding=1), (9, 5, 5), B * 9 * 25 * 4 * 16, False),
        (nn.ConvTranspose2d(4, 8, 2, stride=2, groups=2), (4, 5, 5), B * 4 * 25 * 4 * 4, True),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_convolutions(layer: nn.Module, size: tuple[int, ...], expected: int, wide: bool, dtype: torch.dtype) -> None:
    found = work(layer, B, *size, dtype=dtype)
    assert found == Work(expected, convolution=expected, wide=expected if wide else 0)


@pytest.mark.parametrize("hidden", [63, 64])
def test_recurrent_layers(hidden: int) -> None:
    steps, width = 3, 10
    first, second = 4 * hidden * (width + hidden), 4 * hidden * (hidden + hidden)
    expected = steps * B * (first + second)
    found = work(nn.LSTM(width, hidden, num_layers=2), steps, B, width)
    assert found == Work(expected, wide=expected if hidden == 64 else 0)
    both_ways = work(nn.LSTM(width, hidden, bidirectional=True, batch_first=True), B, steps, width)
    assert both_ways.total == 2 * steps * B * first
    assert work(nn.GRU(width, hidden), steps, B, width).total == steps * B * first // 4 * 3
    assert work(nn.LSTM(width, hidden), steps, B, width, dtype=torch.float64).total == steps * B * first


class Attention(nn.Module):
    """2 heads, 4 wide, their values 3 wide, over 6 positions that look at 9."""

    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.fused, self.scale = fused, nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = x[..., :6, :4] * self.scale, x[..., :4], x[..., : 3 if not self.fused else 4]
        if self.fused:
            return functional.scaled_dot_product_attention(query, key, value)
        return (query @ key.mT).softmax(-1) @ value


def test_attention() -> None:
    scores = B * 2 * 6 * 9
    assert work(Attention(fused=True), B, 2, 9, 4) == Work(scores * 8, attention=scores * 8)
    assert work(Attention(fused=False), B, 2, 9, 4) == Work(scores * 7)
    added = nn.Module()
    added.forward = lambda x: torch.baddbmm(torch.zeros(()), x, x.mT)
    assert work(added, B, 9, 4) == Work(B * 9 * 9 * 4)


def test_layers_that_skip_their_parts_without_gradients_are_counted_as_trained() -> None:
    width, heads, inner, length = 16, 2, 32, 6
    layer = nn.TransformerEncoderLayer(width, heads, inner, batch_first=True)
    attention = B * length * length * 2 * width
    linear = B * length * (4 * width * width + 2 * width * inner)
    assert work(layer, B, length, width) == Work(linear + attention, attention=attention)


class Pair(Objective):
    """Two roles, of which the first asks for a gradient of its own; what comes after its yield is not looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 4), nn.Linear(4, 1000)

    def roles(self) -> dict[str, nn.Module | list[nn.Parameter]]:
        return {"first": self.first, "second": self.second}

    def step(self, batch: Batch) -> Iterator[Update]:
        found = self.first(batch["x"].requires_grad_())
        (slope,) = torch.autograd.grad(found.sum(), batch["x"], create_graph=True)
        yield Update(slope.square().mean() + found.mean(), role="first")
        yield Update(self.second(found).mean(), role="second")


def test_the_first_update_of_two_roles_also_with_a_gradient_penalty() -> None:
    pair = Pair()
    assert work_of(pair, Batch({"x": torch.randn(B, 6)})).total == 2 * B * 6 * 4  # forward, and back to the input
    assert all(p.grad is None for p in pair.parameters())


class Marked(Objective):
    """Leaves marks wherever it can."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout())
        self.frozen = nn.BatchNorm1d(4)
        self.register_buffer("count", torch.zeros(2))
        self.register_buffer("replaced", torch.zeros(2), persistent=False)

    def loss(self, batch: Batch) -> Update:
        assert not any(module.training for module in self.modules())
        self.count += 1
        self.replaced = self.replaced + 1
        noise = torch.rand(()) + random.random() + np.random.rand()  # noqa: NPY002
        return Update(self.model(batch["x"]).sum() * noise)


def traces(objective: Marked) -> list[object]:
    tensors, values = random_state()
    return [
        [(name, id(value), value.tolist()) for name, value in objective.named_buffers()],
        [(name, value.tolist(), value.grad) for name, value in objective.named_parameters()],
        [module.training for module in objective.modules()],
        tensors["torch"].tolist(),
        tensors["numpy"].tolist(),
        values,
        torch.is_grad_enabled(),
    ]


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_left_of_the_look(fails: bool) -> None:
    objective = Marked()
    objective.model.train()
    objective.frozen.eval()
    batch = Batch({"x": torch.randn(3, 5 if fails else 4)})
    before = traces(objective)
    if fails:
        with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
            work_of(objective, batch)
    else:
        assert work_of(objective, batch).total == 3 * 4 * 4
    assert traces(objective) == before


def test_nothing_to_do() -> None:
    class Idle(Objective):
        def step(self, batch: Batch) -> Iterator[Update]:
            yield from ()

    assert work_of(Idle(), Batch({"x": torch.zeros(1)})) == Work()


def test_a_compiled_model_is_counted() -> None:
    assert work(torch.compile(nn.Linear(8, 4), backend="eager"), B, 8).total == B * 8 * 4
