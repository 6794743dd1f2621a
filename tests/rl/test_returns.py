"""What actions were worth, against double sums that are written as the books write them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from penstock.rl.returns import advantages

T, N, GAMMA, LAMBDA = 23, 6, 0.9, 0.8


def met(seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(3, T, N, generator=generator, dtype=torch.float64)
    ends = torch.rand(2, T, N, generator=generator) < 0.12
    ends[:, 3, 0] = True  # both at once: it has terminated
    return {
        "reward": numbers[0],
        "value": numbers[1],
        "next_value": numbers[2],
        "terminated": ends[0],
        "truncated": ends[1],
    }


def last_of(e: dict[str, Tensor], t: int, n: int) -> int:
    """The last step that the one at t can look at: where its episode ends, or what is known."""
    return next((k for k in range(t, T) if e["terminated"][k, n] or e["truncated"][k, n]), T - 1)


def sum_to(e: dict[str, Tensor], t: int, n: int, last: int) -> float:
    """Rewards from t to `last`, and the worth of what follows unless nothing does."""
    total = sum(GAMMA ** (k - t) * e["reward"][k, n].item() for k in range(t, last + 1))
    worth = 0.0 if e["terminated"][last, n] else e["next_value"][last, n].item()
    return total + GAMMA ** (last - t + 1) * worth


def every(of: object) -> Tensor:
    return torch.tensor([[of(t, n) for n in range(N)] for t in range(T)], dtype=torch.float64)  # type: ignore[operator]


@pytest.mark.parametrize("seed", [0, 1])
def test_advantages_are_the_double_sum(seed: int) -> None:
    e = met(seed)

    def surprise(t: int, n: int) -> float:
        after = 0.0 if e["terminated"][t, n] else e["next_value"][t, n].item()
        return e["reward"][t, n].item() + GAMMA * after - e["value"][t, n].item()

    def reference(t: int, n: int) -> float:
        return sum((GAMMA * LAMBDA) ** (k - t) * surprise(k, n) for k in range(t, last_of(e, t, n) + 1))

    found = advantages(**e, discount=GAMMA, decay=LAMBDA)
    torch.testing.assert_close(found, every(reference), rtol=1e-12, atol=1e-12)


def test_at_the_ends_of_the_decay_they_are_what_is_known_of_them() -> None:
    e = met()
    at_once = e["reward"] + GAMMA * e["next_value"] * ~e["terminated"] - e["value"]
    torch.testing.assert_close(advantages(**e, discount=GAMMA, decay=0.0), at_once)
    e["next_value"][:-1] = torch.where(e["truncated"][:-1], e["next_value"][:-1], e["value"][1:])  # a value for each
    to_come = every(lambda t, n: sum_to(e, t, n, last_of(e, t, n)))
    torch.testing.assert_close(advantages(**e, discount=GAMMA, decay=1.0), to_come - e["value"])


def test_a_reward_of_one_for_ever_is_worth_the_closed_form() -> None:
    ones, never = torch.ones(T, 1, dtype=torch.float64), torch.zeros(T, 1, dtype=torch.bool)
    worth = torch.full((T, 1), 1 / (1 - GAMMA), dtype=torch.float64)
    nothing = advantages(ones, worth, worth, never, never, discount=GAMMA, decay=LAMBDA)
    torch.testing.assert_close(nothing, torch.zeros_like(nothing))


def test_cut_off_is_not_ended() -> None:
    one, worth = torch.ones(1, 1), torch.full((1, 1), 5.0)
    yes, no = torch.ones(1, 1, dtype=torch.bool), torch.zeros(1, 1, dtype=torch.bool)
    rest = {"discount": 0.5, "decay": 1.0}
    assert advantages(one, 0 * one, worth, yes, no, **rest).item() == 1.0
    assert advantages(one, 0 * one, worth, no, yes, **rest).item() == 3.5
