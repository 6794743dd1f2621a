"""Tables in the order of time: dates found, rows sorted, gaps filled, the next moments, and seasons."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from penstock.core.errors import DataError
from penstock.data.tides import tides
from penstock.data.timeline import following, read_timeline, season_of


def frame(**columns: list[object]) -> pd.DataFrame:
    count = len(next(iter(columns.values())))
    return pd.DataFrame(columns, index=[f"t.csv:{row + 2}" for row in range(count)], dtype=object)


DAYS = ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"]


def test_the_column_of_dates_is_found_and_text_left_out() -> None:
    given = frame(低=["1", "2", "3", "4"], 日期=DAYS, note=["a", "b", "c", "d"])
    found = read_timeline(given, "t.csv")
    assert (found.names, found.time, found.values[:, 0].tolist()) == (("低",), "日期", [1, 2, 3, 4])
    assert found.notes == ("'note' was left out: it does not hold numbers",)
    assert found.moment(2) == "2024-01-03"
    assert found.after(2) == ["2024-01-05", "2024-01-06"]


def test_rows_are_sorted_and_it_is_said() -> None:
    found = read_timeline(frame(at=DAYS[::-1], x=[4, 3, 2, 1]), "t.csv")
    assert found.values[:, 0].tolist() == [1, 2, 3, 4]
    assert found.places == ("t.csv:5", "t.csv:4", "t.csv:3", "t.csv:2")
    assert "sorted" in found.notes[0]


def test_gaps_take_the_last_value_before_them() -> None:
    found = read_timeline(frame(x=[None, 2, None, 4], y=[1, 1, None, 2]), "t.csv")
    assert found.values.tolist() == [[2, 1], [2, 1], [2, 1], [4, 2]]
    assert found.missing == (2, 1)
    assert "2 of 'x', 1 of 'y'" in found.notes[0]
    assert found.after(2) == ["+1", "+2"]
    assert found.moment(0) == "t.csv:2"


def test_uneven_steps_are_told() -> None:
    days = ["2024-01-01", "2024-01-02", "2024-01-03", "2024-03-01", "2024-03-02"]
    (note,) = read_timeline(frame(at=days, x=[1, 2, 3, 4, 5]), "t.csv").notes
    assert "1 steps" in note
    assert "2024-01-03 to 2024-03-01" in note


@pytest.mark.parametrize(
    ("columns", "options", "said"),
    [
        ({"x": [1, 2]}, {"time": "tme"}, "no column 'tme'"),
        ({"at": ["2024-01-01", "soon"], "x": [1, 2]}, {"time": "at"}, "t.csv:3: column 'at' holds 'soon'"),
        ({"at": ["2024-01-01", None], "x": [1, 2]}, {"time": "at"}, "t.csv:3: column 'at' is missing"),
        ({"at": ["2024-01-01", "2024-01-01"], "x": [1, 2]}, {}, "t.csv:3: column 'at' says 2024-01-01 a second time"),
        ({"x": [*range(19), "N.N."]}, {}, "t.csv:21: column 'x' holds 'N.N.'"),
        ({"x": ["a", "b"]}, {}, "no column holds numbers"),
        ({"x": [1, 2], "y": [None, None]}, {"columns": ["x", "y"]}, "column 'y': it has no value"),
        ({"x": [1, 2]}, {"columns": ["y"]}, "no column 'y'"),
        ({"x": ["a", "b"], "y": [1, 2]}, {"needed": ["x"]}, "t.csv:2: column 'x' holds 'a'"),
    ],
)
def test_what_is_wrong_is_named(columns: dict[str, list[object]], options: dict[str, object], said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_timeline(frame(**columns), "t.csv", **options)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (pd.date_range("2024-01-01", periods=30, freq="15min"), ["2024-01-01 07:30", "2024-01-01 07:45"]),
        (pd.bdate_range("2024-01-01", "2024-01-12"), ["2024-01-15", "2024-01-16"]),
        (pd.bdate_range("2024-01-01", "2024-01-12").delete(3), ["2024-01-15", "2024-01-16"]),
        (pd.date_range("2024-01-01", periods=12, freq="MS"), ["2025-01-01", "2025-02-01"]),
        (pd.date_range("2020-01-31", periods=9, freq="QE"), ["2022-06-30", "2022-09-30"]),
        (pd.date_range("2024-01-01", periods=12, freq="D").delete([4, 5]), ["2024-01-13", "2024-01-14"]),
    ],
    ids=["quarters of an hour", "working days", "with a holiday", "months", "quarters of a year", "days"],
)
def test_the_next_moments(times: pd.DatetimeIndex, expected: list[str]) -> None:
    found = following(times.to_numpy().astype("datetime64[us]"), 2)
    assert list(pd.DatetimeIndex(found)) == list(pd.DatetimeIndex(expected))


def test_seasons_are_found_through_noise_and_trend() -> None:
    random, n = np.random.default_rng(0), np.arange(2000)
    day = np.sin(n * 2 * np.pi / 24)
    assert season_of((day + 0.5 * random.normal(size=2000))[:, None]) == 24
    assert season_of((day + 0.5 * np.sin(n * 2 * np.pi / 168))[:, None]) == 168
    assert season_of((0.01 * n + np.sin(n * 2 * np.pi / 7))[:, None]) == 7
    assert season_of(tides()[["level"]].to_numpy()[:6000]) == 25


def test_what_only_wanders_has_no_season() -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        steps = random.normal(size=(400, 1))
        assert season_of(steps) == 1
        assert season_of(steps.cumsum(0)) == 1
    assert season_of(np.ones((50, 2))) == season_of(np.ones((3, 1))) == 1


def test_the_tide_gauge_is_the_same_in_each_call() -> None:
    one, other = tides(), tides()
    assert one.equals(other)
    assert list(one.columns) == ["time", "level", "pressure"]
    assert len(one) == 8784
    assert one["level"].between(0, 6).all()
    low = one["pressure"] < 1005
    assert one["level"].shift(-6)[low].mean() > one["level"].mean() + 0.1  # the sea follows the air
