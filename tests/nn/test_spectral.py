"""Spectral normalisation against the singular value decomposition and against torch's."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from penstock.nn.spectral import Spectral, advance_all, spectral_


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 6, 3), nn.ReLU(), nn.ConvTranspose2d(6, 4, 2), nn.Flatten(), nn.Linear(4 * 25, 5)
    return nn.Sequential(*layers).double()


def largest(weight: Tensor) -> float:
    return float(torch.linalg.matrix_norm(weight.detach().flatten(1), 2))


def test_the_largest_singular_value_becomes_one() -> None:
    made = spectral_(network())
    for _ in range(300):
        advance_all(made)
    assert abs(largest(made[0].weight) - 1) < 1e-6
    assert abs(largest(made[2].weight.transpose(0, 1)) - 1) < 1e-6
    assert abs(largest(made[4].weight) - 1) < 1e-6
    embedding = spectral_(nn.Embedding(7, 4))
    for _ in range(300):
        advance_all(embedding)
    assert abs(largest(embedding.weight) - 1) < 1e-5


def test_settled_it_is_torch_s_own_forward_and_backward() -> None:
    ours, theirs = network(), network()
    spectral_(ours)
    for place in (0, 2, 4):
        parametrizations.spectral_norm(theirs[place], n_power_iterations=300)
    for _ in range(300):
        advance_all(ours)
    x = torch.randn(4, 3, 6, 6, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-7, atol=1e-9)
    into = torch.randn(4, 5, dtype=torch.float64)
    for found, expected in zip(
        torch.autograd.grad(ours(x), list(ours.parameters()), into),
        torch.autograd.grad(theirs(x), list(theirs.parameters()), into),
        strict=True,
    ):
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)


def test_a_forward_pass_changes_nothing_and_an_advance_does() -> None:
    made = spectral_(network()).train()
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    before = copy.deepcopy(made.state_dict())
    assert torch.equal(made(x), made(x))
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())
    advance_all(made)
    moved = [name for name, value in made.state_dict().items() if not torch.equal(value, before[name])]
    assert moved == [name for name in before if name.endswith((".left", ".right"))]
    assert len(moved) == 6


def test_gradients_of_gradients() -> None:
    torch.manual_seed(0)
    weight = torch.randn(3, 4, dtype=torch.float64)
    rule = Spectral(weight)
    assert torch.autograd.gradcheck(rule, weight.requires_grad_(), eps=1e-6, atol=1e-7, rtol=1e-5)
    assert torch.autograd.gradgradcheck(rule, weight, eps=1e-6, atol=1e-7, rtol=1e-5)
