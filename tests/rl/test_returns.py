"""What actions were worth, against double sums that are written as the books write them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from penstock.rl.returns import advantages, returns_ahead, returns_of

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


def last_of(e: dict[str, Tensor], t: int, n: int, most: int = T) -> int:
    """The last step that the one at t can look at: where its episode ends, what is known ends, or after `most`."""
    for k in range(t, min(t + most, T)):
        if e["terminated"][k, n] or e["truncated"][k, n]:
            return k
    return min(t + most, T) - 1


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
    rest = {name: e[name] for name in ("reward", "next_value", "terminated", "truncated")}
    to_come = returns_ahead(**rest, discount=GAMMA)
    torch.testing.assert_close(advantages(**e, discount=GAMMA, decay=1.0), to_come - e["value"])


def test_returns_to_the_end_are_the_sum() -> None:
    e = met()
    rest = {name: e[name] for name in ("reward", "next_value", "terminated", "truncated")}
    reference = every(lambda t, n: sum_to(e, t, n, last_of(e, t, n)))
    torch.testing.assert_close(returns_ahead(**rest, discount=GAMMA), reference, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("steps", [1, 2, 5, T + 3])
def test_returns_of_some_steps_are_the_sum(steps: int) -> None:
    e = met()
    rest = {name: e[name] for name in ("reward", "next_value", "terminated", "truncated")}
    reference = every(lambda t, n: sum_to(e, t, n, last_of(e, t, n, steps)))
    torch.testing.assert_close(returns_of(**rest, discount=GAMMA, steps=steps), reference, rtol=1e-12, atol=1e-12)


def test_a_reward_of_one_for_ever_is_worth_the_closed_form() -> None:
    ones, never = torch.ones(T, 1, dtype=torch.float64), torch.zeros(T, 1, dtype=torch.bool)
    worth = torch.full((T, 1), 1 / (1 - GAMMA), dtype=torch.float64)
    torch.testing.assert_close(returns_ahead(ones, worth, never, never, discount=GAMMA), worth)
    torch.testing.assert_close(returns_of(ones, worth, never, never, discount=GAMMA, steps=4), worth)
    nothing = advantages(ones, worth, worth, never, never, discount=GAMMA, decay=LAMBDA)
    torch.testing.assert_close(nothing, torch.zeros_like(nothing))


def test_cut_off_is_not_ended() -> None:
    one, worth = torch.ones(1, 1), torch.full((1, 1), 5.0)
    yes, no = torch.ones(1, 1, dtype=torch.bool), torch.zeros(1, 1, dtype=torch.bool)
    assert returns_ahead(one, worth, yes, no, discount=0.5).item() == 1.0
    assert returns_ahead(one, worth, no, yes, discount=0.5).item() == 3.5
