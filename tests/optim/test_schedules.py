"""Schedules against their closed forms."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from penstock.core.errors import RecipeError
from penstock.optim.schedules import Constant, Cosine, Linear, Piecewise, Schedule

GRID = [i / 1000 for i in range(1001)]
WARMUPS = [0.0, 0.1, 0.75]
FINALS = [0.0, 0.05, 1.0]


def test_constant() -> None:
    assert {Constant()(p) for p in GRID} == {1.0}


@pytest.mark.parametrize("warmup", WARMUPS)
@pytest.mark.parametrize("final", FINALS)
def test_cosine_and_linear_have_their_closed_forms(warmup: float, final: float) -> None:
    cosine, linear = Cosine(warmup=warmup, final=final), Linear(warmup=warmup, final=final)
    for p in GRID:
        if p < warmup:
            expected = [p / warmup] * 2
        else:
            t = (p - warmup) / (1 - warmup)
            expected = [final + (1 - final) * (1 + math.cos(math.pi * t)) / 2, 1 - t + final * t]
        assert [cosine(p), linear(p)] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("kind", [Cosine, Linear])
@pytest.mark.parametrize("warmup", WARMUPS)
@pytest.mark.parametrize("final", FINALS)
def test_up_to_the_peak_then_down_to_the_end(kind: type[Cosine], warmup: float, final: float) -> None:
    schedule = kind(warmup=warmup, final=final)
    values = [schedule(p) for p in GRID]
    peak = round(warmup * 1000)
    assert values[peak] == pytest.approx(1)
    assert values[0] == (0 if warmup else 1)
    assert values[-1] == pytest.approx(final, abs=1e-12)
    assert all(a < b for a, b in pairwise(values[: peak + 1]))
    assert all(a > b if final < 1 else a == b for a, b in pairwise(values[peak:]))
    assert schedule(1 + 1e-9) >= 0  # time budgets may end a little late


def test_piecewise_takes_the_factor_of_the_last_milestone_passed() -> None:
    schedule = Piecewise(factors={0.75: 0.01, 0.5: 0.1, 0.9: 2.0})  # in any order
    assert [schedule(p) for p in (0, 0.4999, 0.5, 0.7499, 0.75, 0.8999, 0.9, 1)] == [
        *(1.0, 1.0, 0.1, 0.1),
        *(0.01, 0.01, 2.0, 2.0),
    ]
    assert [Piecewise()(p) for p in (0.49, 0.5, 0.75)] == [1.0, 0.1, 0.01]
    assert Piecewise(factors={})(0.5) == 1


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (Cosine, {"warmup": 1.0}),
        (Cosine, {"warmup": -0.1}),
        (Linear, {"warmup": math.nan}),
        (Linear, {"final": 1.1}),
        (Cosine, {"final": -0.1}),
        (Cosine, {"final": math.nan}),
        (Piecewise, {"factors": {0.0: 0.1}}),
        (Piecewise, {"factors": {1.0: 0.1}}),
        (Piecewise, {"factors": {math.nan: 0.1}}),
        (Piecewise, {"factors": {0.5: -0.1}}),
        (Piecewise, {"factors": {0.5: math.nan}}),
        (Piecewise, {"factors": {0.5: math.inf}}),
    ],
)
def test_numbers_out_of_range_are_refused(kind: type[Schedule], options: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match=r"^schedule: .*; give "):
        kind(**options)
