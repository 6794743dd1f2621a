"""Update rules against torch.optim over 100 steps in float64; the fused kernels against the plain rules."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from penstock.core.errors import RecipeError
from penstock.engine.tuning.kernels import update_rule
from penstock.optim.adam import Adam, AdamW
from penstock.optim.adaptive import Adagrad, RMSprop
from penstock.optim.optimizer import Optimizer
from penstock.optim.sgd import SGD

STEPS = 100
SIZE = 37
CPU = torch.device("cpu")

PAIRS: dict[str, tuple[Optimizer, type[torch.optim.Optimizer], dict[str, Any]]] = {
    "sgd": (SGD(lr=0.03, momentum=0.0), torch.optim.SGD, {"lr": 0.03}),
    "sgd decay": (
        SGD(lr=0.03, momentum=0.0, weight_decay=0.1),
        torch.optim.SGD,
        {"lr": 0.03, "weight_decay": 0.1},
    ),
    "momentum": (
        SGD(lr=0.03, momentum=0.8, weight_decay=0.1),
        torch.optim.SGD,
        {"lr": 0.03, "momentum": 0.8, "weight_decay": 0.1},
    ),
    "nesterov": (
        SGD(lr=0.03, momentum=0.8, nesterov=True, weight_decay=0.1),
        torch.optim.SGD,
        {"lr": 0.03, "momentum": 0.8, "nesterov": True, "weight_decay": 0.1},
    ),
    "adam": (
        Adam(lr=0.02, beta1=0.8, beta2=0.95, epsilon=1e-3, weight_decay=0.1),
        torch.optim.Adam,
        {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1},
    ),
    "adam defaults": (Adam(), torch.optim.Adam, {}),
    "adamw": (
        AdamW(lr=0.02, beta1=0.8, beta2=0.95, epsilon=1e-3, weight_decay=0.1),
        torch.optim.AdamW,
        {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1},
    ),
    "adamw defaults": (AdamW(), torch.optim.AdamW, {}),
    "adagrad": (
        Adagrad(lr=0.1, epsilon=1e-4, weight_decay=0.1),
        torch.optim.Adagrad,
        {"lr": 0.1, "eps": 1e-4, "weight_decay": 0.1},
    ),
    "rmsprop": (
        RMSprop(lr=0.02, alpha=0.9, epsilon=1e-4, weight_decay=0.1),
        torch.optim.RMSprop,
        {"lr": 0.02, "alpha": 0.9, "eps": 1e-4, "weight_decay": 0.1},
    ),
    "rmsprop defaults": (RMSprop(lr=0.01), torch.optim.RMSprop, {}),
}


def start() -> Tensor:
    return torch.randn(SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def gradient_at(parameter: Tensor, step: int) -> Tensor:
    """Of a bowl that is steep in some directions and flat in others, with a tilt that changes from step to step."""
    steepness = torch.logspace(-2, 1, SIZE, dtype=torch.float64)
    return steepness * parameter + torch.sin(torch.arange(SIZE, dtype=torch.float64) * (step + 1))


def descend(optimizer: Optimizer, *, fused: bool, dtype: torch.dtype = torch.float64) -> Tensor:
    parameter = start().to(dtype)
    state = {name: torch.zeros_like(parameter) for name in optimizer.state_names}
    update = update_rule(optimizer, fused=fused, device=CPU)
    for step in range(STEPS):
        gradient = gradient_at(parameter.double(), step).to(dtype)
        update(parameter, gradient, state, step=step + 1, lr=optimizer.lr, decay=optimizer.weight_decay)
    return parameter


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("name", PAIRS)
def test_a_hundred_steps_as_torch_takes_them(name: str, fused: bool) -> None:
    optimizer, reference, options = PAIRS[name]
    expected = torch.nn.Parameter(start())
    theirs = reference([expected], **options)
    for step in range(STEPS):
        expected.grad = gradient_at(expected.detach(), step)
        theirs.step()
    assert not torch.allclose(expected.detach(), start(), atol=1e-3)  # it moved
    torch.testing.assert_close(descend(optimizer, fused=fused), expected.detach(), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("optimizer", [Adam(lr=0.02, weight_decay=0.1), AdamW(lr=0.02, weight_decay=0.1)])
def test_the_fused_kernel_is_used_and_agrees_with_the_plain_rule(optimizer: Adam) -> None:
    assert update_rule(optimizer, fused=True, device=CPU) != optimizer.update
    assert update_rule(optimizer, fused=False, device=CPU) == optimizer.update
    plain_only = SGD()
    assert update_rule(plain_only, fused=True, device=CPU) == plain_only.update
    plain, fused = (descend(optimizer, fused=on, dtype=torch.float32) for on in (False, True))
    torch.testing.assert_close(fused, plain, rtol=1e-5, atol=1e-6)


def test_where_torch_has_no_such_kernel_the_plain_rule_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch, "_fused_adamw_")
    optimizer = AdamW()
    assert update_rule(optimizer, fused=True, device=CPU) == optimizer.update


def test_a_rule_works_in_place_and_keeps_nothing() -> None:
    optimizer = SGD(lr=0.5, momentum=0.5)
    parameter, state = torch.ones(2), {"momentum": torch.zeros(2)}
    optimizer.update(parameter, torch.ones(2), state, step=1, lr=0.5, decay=0.0)
    optimizer.update(parameter, torch.ones(2), state, step=2, lr=0.25, decay=0.0)
    assert torch.equal(state["momentum"], torch.full((2,), 1.5))
    assert torch.equal(parameter, torch.full((2,), 1 - 0.5 - 0.25 * 1.5))


@pytest.mark.parametrize(
    ("kind", "options", "field"),
    [
        (SGD, {"lr": -0.1}, "lr"),
        (SGD, {"lr": float("nan")}, "lr"),
        (SGD, {"lr": float("inf")}, "lr"),
        (Adam, {"weight_decay": -1e-9}, "weight_decay"),
        (SGD, {"momentum": 1.0}, "momentum"),
        (SGD, {"momentum": -0.1}, "momentum"),
        (SGD, {"nesterov": True, "momentum": 0.0}, "nesterov"),
        (Adam, {"beta1": 1.0}, "beta1"),
        (AdamW, {"beta2": 1.0}, "beta2"),
        (AdamW, {"beta2": -0.1}, "beta2"),
        (Adam, {"epsilon": -1e-8}, "epsilon"),
        (Adagrad, {"epsilon": -1e-8}, "epsilon"),
        (RMSprop, {"epsilon": -1e-8}, "epsilon"),
        (RMSprop, {"alpha": 1.0}, "alpha"),
    ],
)
def test_numbers_out_of_range_are_refused_by_name(kind: type[Optimizer], options: dict[str, float], field: str) -> None:
    with pytest.raises(RecipeError, match=rf"^optim\.{field}: "):
        kind(**options)


def test_the_edges_of_the_ranges_are_allowed() -> None:
    assert SGD(lr=0.0, momentum=0.0).lr == 0
    assert Adam(beta1=0.0, beta2=0.0, epsilon=0.0).epsilon == 0
