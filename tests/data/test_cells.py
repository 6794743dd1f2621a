from __future__ import annotations

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from penstock.core.errors import DataError
from penstock.data import cells

TEXT_TYPES = ["object", "str", "string", "category", "string[pyarrow]"]


def column(values, dtype="object", name="房价"):
    return pd.Series(values, dtype=dtype, name=name, index=[f"数据.csv:{row + 2}" for row in range(len(values))])


@pytest.mark.parametrize("dtype", TEXT_TYPES)
def test_text_is_read_the_same_whatever_pandas_calls_it(dtype):
    assert np.array_equal(cells.numbers(column(["1.5", None, "-2e3"], dtype)), [1.5, np.nan, -2000], equal_nan=True)
    assert np.array_equal(cells.booleans(column(["Yes", None, "no"], dtype)), [1, np.nan, 0], equal_nan=True)
    assert list(cells.texts(column(["甲", None, "b"], dtype))) == ["甲", None, "b"]
    moments = cells.dates(column(["2024-02-29", None, "1969/12/31"], dtype))
    expected = np.array(["2024-02-29", "NaT", "1969-12-31"], dtype="datetime64[us]")
    assert np.array_equal(moments, expected, equal_nan=True)
    with pytest.raises(
        DataError, match=r"数据.csv:4: column '房价' holds 'many', which is not a number; .*--columns.房价"
    ):
        cells.numbers(column(["1", None, "many", "worse"], dtype))


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([3, 5], "int64"),
        ([3, 5], "UInt8"),
        ([3.0, 5.0], "float32"),
        ([3.0, 5.0], "Float64"),
        ([3, 5], "category"),
        ([Decimal(3), Decimal(5)], "object"),
        ([3, 5.0], "object"),
        ([3, 5], "int64[pyarrow]"),
    ],
)
def test_whole_numbers_are_numbers_and_print_without_a_point(values, dtype):
    given = column(values, dtype)
    assert cells.numbers(given).tolist() == [3.0, 5.0]
    assert cells.texts(given).tolist() == ["3", "5"]


def test_other_values_print_as_people_write_them():
    assert cells.texts(column([True, False], "bool")).tolist() == ["true", "false"]
    assert cells.texts(column([True, pd.NA], "boolean")).tolist() == ["true", None]
    assert cells.texts(column([0.1, np.nan, 2.0], "float64")).tolist() == ["0.1", None, "2"]
    assert cells.texts(column([True, 1, 1.0, "1", datetime.date(2024, 1, 5)])).tolist() == [
        "true",
        "1",
        "1",
        "1",
        "2024-01-05",
    ]
    with pytest.raises(DataError, match=r"数据.csv:3: .*'房价' holds \[1\], which is not a single value"):
        cells.texts(column(["a", [1]]))


@pytest.mark.parametrize(
    "value", ["inf", "-Infinity", "nan", "1e999", float("inf"), "1_000", "1,000", "12 kg", "", [1], "0x10"]
)
def test_what_is_not_a_finite_number_is_refused_with_its_place(value):
    with pytest.raises(
        DataError, match=r"^数据\.csv:3: column '房价' holds .* which is not a (finite )?number; "
    ) as caught:
        cells.numbers(column(["1", value]))
    assert ("finite" in caught.value.problem) == (str(value).strip("-").lower() in ("inf", "infinity", "nan"))


def test_a_place_without_a_name_is_a_row_number():
    with pytest.raises(DataError, match=r"^row 1: "):
        cells.numbers(pd.Series(["1", "x"], name="a", dtype=object))


def test_flags_are_quoted_where_a_shell_needs_it():
    with pytest.raises(DataError, match=r"--missing 'not known', .*'--columns.my price' category") as caught:
        cells.numbers(column(["not known"], name="my price"))
    assert "\n" not in str(caught.value)


def test_a_very_long_cell_is_shortened():
    with pytest.raises(DataError) as caught:
        cells.numbers(column(["x" * 100_000]))
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-02-29", "2024-02-29T00:00:00"),
        ("2024-2-9", "2024-02-09T00:00:00"),
        ("2024/12/31 23:59", "2024-12-31T23:59:00"),
        ("2024-12-31T23:59:58.5", "2024-12-31T23:59:58.500000"),
        ("2024-12-31T23:00:00Z", "2024-12-31T23:00:00"),
        ("2024-12-31 23:00:00+08:00", "2024-12-31T15:00:00"),
        ("2024-12-31 23:00:00 -0230", "2025-01-01T01:30:00"),
        ("9999-12-31", "9999-12-31T00:00:00"),
        ("0001-01-01", "0001-01-01T00:00:00"),
    ],
)
def test_iso_dates(text, expected):
    assert cells.dates(column([text]))[0] == np.datetime64(expected, "us")
    assert cells.dates(column([text, "2000-1-1"]))[0] == np.datetime64(expected, "us")


@pytest.mark.parametrize(
    "text", ["2024-02-30", "2024-13-01", "2024", "20240101", "01/02/2024", "2024-01/02", "2024-01-01x", "5"]
)
def test_other_dates_are_refused_rather_than_guessed(text):
    with pytest.raises(DataError, match="is not a date"):
        cells.dates(column(["2024-01-01", text]))


def test_typed_dates_keep_their_moment():
    expected = np.array(["2024-01-01T12:00", "NaT"], dtype="datetime64[us]")
    plain = pd.to_datetime(pd.Series(["2024-01-01 12:00", None]))
    for given in (plain, plain.dt.tz_localize("UTC").dt.tz_convert("Asia/Shanghai"), plain.astype(object)):
        assert np.array_equal(cells.dates(given), expected, equal_nan=True)
    assert cells.dates(column([datetime.date(2024, 1, 1)]))[0] == np.datetime64("2024-01-01")


def test_truth_values():
    given = column(["TRUE", "f", "Y", "n", "1", "0", "是", True, 0, 1.0, None])
    assert np.array_equal(cells.booleans(given), [1, 0, 1, 0, 1, 0, 1, 1, 0, 1, np.nan], equal_nan=True)
    assert np.array_equal(cells.booleans(column([True, None], "boolean")), [1, np.nan], equal_nan=True)
    for bad in (column(["maybe"]), column([2]), column([0.5], "float64")):
        with pytest.raises(DataError, match="is not true or false"):
            cells.booleans(bad)
