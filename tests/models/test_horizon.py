"""How far back a gradient reaches, where the answer is known."""

from __future__ import annotations

import math

import pytest
import torch

from penstock.models.horizon import gradients_through_time, horizon
from penstock.models.recurrent import LSTM, Elman
from penstock.models.tcn import TCN
from penstock.models.trunk import Carry, Causal


class Fading(Causal):
    """y = a y' + x, the Jacobian of which is a^distance times the unit matrix."""

    inputs = outputs = 3

    def begin(self, examples: int) -> Carry:
        return (torch.zeros(examples, 3),)

    def advance(self, x: torch.Tensor, carry: Carry) -> tuple[torch.Tensor, Carry]:
        (y,), found = carry, []
        for step in x.unbind(1):
            y = 0.5 * y + step
            found.append(y)
        return torch.stack(found, 1), (y,)


def test_a_linear_memory_fades_by_its_factor() -> None:
    norms = gradients_through_time(Fading(), torch.randn(4, 6, 3), torch.tensor([6, 2, 4, 0]))
    assert norms.tolist() == pytest.approx([math.sqrt(3) * 0.5**d for d in range(6)])
    assert horizon(norms) == 5
    assert horizon(norms, share=0.2) == 2


def test_distances_that_no_sequence_has_are_not_known() -> None:
    norms = gradients_through_time(Fading(), torch.randn(2, 5, 3), torch.tensor([3, 1]))
    assert norms.isnan().tolist() == [False] * 3 + [True] * 2
    assert horizon(norms) == 2
    assert horizon(torch.zeros(4)) == horizon(torch.zeros(0)) == 0


def test_it_is_the_norm_of_the_jacobian() -> None:
    torch.manual_seed(0)
    trunk, x = Elman(inputs=2, width=3).eval(), torch.randn(1, 5, 2)
    jacobian = torch.autograd.functional.jacobian(lambda given: trunk(given)[0, -1], x)[:, 0]  # (H, T, C)
    exact = jacobian.square().sum((0, 2)).sqrt().flip(0)
    torch.testing.assert_close(
        gradients_through_time(trunk, x, probes=4000).float(), exact, rtol=0.05, atol=1e-6, check_dtype=False
    )


def test_an_open_forget_gate_reaches_further_and_a_convolution_as_far_as_it_sees() -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 60, 5)
    far, near = (LSTM(inputs=5, width=16, forget_bias=bias).eval() for bias in (4.0, 0.0))
    assert horizon(gradients_through_time(far, x)) > 2 * horizon(gradients_through_time(near, x))
    trunk = TCN(inputs=5, width=16, layers=3).eval()
    norms = gradients_through_time(trunk, x)
    assert trunk.reach == 29
    assert not norms[trunk.reach :].any()
    assert norms[: trunk.reach - 1].gt(0).all()


def test_it_leaves_no_gradient_behind() -> None:
    trunk = LSTM(inputs=2, width=3).eval()
    with torch.no_grad():
        gradients_through_time(trunk, torch.randn(1, 5, 2))
    assert all(value.grad is None for value in trunk.parameters())
