from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from penstock.core.errors import DataError, RecipeError
from penstock.data.cells import numbers
from penstock.kinds.columns import infer_columns

N = 120
MIXED = [str(5 * row % 97 + 0.5) for row in range(N)]


def infer(values, given=None, dtype="object"):
    frame = pd.DataFrame({"列": pd.Series(values, dtype=dtype)})
    frame.index = [f"f.csv:{row + 2}" for row in range(len(frame))]
    return infer_columns(frame, {"列": given} if given else {})[0]


@pytest.mark.parametrize("dtype", ["object", "str", "string"])
@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["0.5", "15", None, "-2e3"], "number"),
        (["1", "0", "1", None], "boolean"),
        (["1.0", "0.0"], "boolean"),
        (["1", "2", "1"], "number"),
        (["yes", "No", None], "boolean"),
        (["T", "f"], "boolean"),
        (["是", "否"], "boolean"),
        (["yes", "true"], "category"),
        (["y", None, "y"], "boolean"),
        (["2024-01-05", None, "2024/02/29 10:00"], "date"),
        (["20240105", "20240106"], "number"),
        (["a/猫.PNG", "b.jpeg"], "image"),
        (["red", "blue", "red"], "category"),
        (["0"] + [str(row) for row in range(1, N)], "skip"),
        ([str(row) for row in range(1, N + 1)], "skip"),
        ([str(row) for row in range(N)][::-1], "number"),
        ([str(row) for row in range(2, N + 2)], "number"),
        (["1", "2", "3"], "number"),
        ([None] * 5, "skip"),
        (["same"] * 5, "skip"),
        ([f"name {row}" for row in range(N)], "skip"),
        ([f"name {row}" for row in range(50)], "category"),
        ([f"name {row // 2}" for row in range(N)], "category"),
        ([f"name {row // 2}" for row in range(N - 1)] + ["other"], "skip"),
        ([*MIXED[:-10], *["?"] * 10], "number"),
        ([*MIXED[:-30], *["?"] * 30], "skip"),
        ([*"12345" * 10, *["low"] * 10], "category"),
    ],
)
def test_the_rules(values, kind, dtype):
    assert infer(values, dtype=dtype).kind == kind


@pytest.mark.parametrize(
    ("values", "dtype", "kind"),
    [
        ([1.5, np.nan, 2.5], "float64", "number"),
        ([1, 0, 1], "int8", "boolean"),
        ([1.0, 0.0, np.nan], "float64", "boolean"),
        ([True, False], "bool", "boolean"),
        ([True, None, False], "boolean", "boolean"),
        ([True, None, False], "object", "boolean"),
        (["2024-01-01", None, "2024-01-02"], "datetime64[ns]", "date"),
        ([3, 4, 3], "category", "category"),
        (range(N), "Int64", "skip"),
        ([4.0] * 5, "float64", "skip"),
        ([np.nan] * 5, "float64", "skip"),
        ([[1], [2]], "object", "skip"),
        ([1.0, np.inf, 2.0], "float64", "number"),
    ],
)
def test_typed_columns(values, dtype, kind):
    assert infer(list(values), dtype=dtype).kind == kind


def test_a_column_of_numbers_with_one_mistake_is_read_as_numbers_and_names_it():
    frame = pd.DataFrame({"列": [*MIXED[:-1], "n.a."]}, dtype=object)
    frame.index = [f"f.csv:{row + 2}" for row in range(N)]
    found = infer_columns(frame)[0]
    assert found.kind == "number"
    assert "'n.a.' (f.csv:121) is not a number" in found.detail
    with pytest.raises(
        DataError, match=r"f.csv:121: column '列' holds 'n.a.'.*--missing n.a., .*--columns.列 category"
    ):
        numbers(frame["列"])


def test_details():
    assert infer(["0.5", "15", "1"]).detail == "0.5 to 15, mean 5.5"
    assert infer(["a", "b", "a", None]).detail == "2 values, most common 'a' 67 %"
    assert infer(["2015-02-17 10:00", "2017-02-16"]).detail == "2015-02-17 to 2017-02-16"
    assert infer(["yes", "yes", "yes", "no"]).detail == "75 % true"
    assert infer(["x.png", "y.png"]).detail == "2 files, such as 'x.png'"
    assert infer([None, None]).detail == "every value is missing"
    assert infer(["x", "x"]).detail == "constant: 'x' in every row"
    assert infer(range(1, 13)).detail == "counts the rows from 1"
    assert infer([f"n{row}" for row in range(N)]).detail.startswith("almost every value is different")
    counted = infer(["a", "b", "a", None])
    assert (counted.missing, counted.distinct, counted.by_hand) == (1, 2, False)


def test_what_is_given_by_hand_wins():
    for kind in ("number", "category", "boolean", "date", "image", "skip"):
        found = infer(["1", "0", "1"], given=kind)
        assert (found.kind, found.by_hand) == (kind, True)
    assert infer(["word", "other"], given="number").detail == "no value is a number"
    assert infer([None], given="category").detail == "no value at all"
    with pytest.raises(RecipeError, match=r"--columns.列: 'numbr' is no kind of column; did you mean 'number'\?"):
        infer(["1"], given="numbr")
    with pytest.raises(RecipeError, match=r"--columns.prise: there is no column 'prise'; did you mean 'price'\?"):
        infer_columns(pd.DataFrame({"price": [1]}), {"prise": "number"})


def test_two_columns_of_one_name_are_refused():
    with pytest.raises(DataError, match="2 columns are called 'a'"):
        infer_columns(pd.DataFrame([[1, 2]], columns=["a", "a"]))


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ([f"the {i} th gate lets water through" for i in range(12)], "text"),
        ([f"第{i}道闸门把水引向水轮机" for i in "一二三四五六七八九十百千"], "text"),
        ([f"the {i} th gate lets water through" for i in range(9)], "category"),  # so few may be a list to choose from
        (["the gate lets the water through"] * 8 + [f"gate {i} of the old mill" for i in range(7)], "category"),
        ([f"Gate {i}, upper Mill" for i in range(60)], "skip"),
    ],
)
def test_running_text(cells: list[str], kind: str) -> None:
    (column,) = infer_columns(pd.DataFrame({"a": cells}))
    assert column.kind == kind
    if kind == "text":
        assert column.detail.startswith(f"{len(cells)} texts of ")
