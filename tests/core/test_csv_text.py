from __future__ import annotations

import csv
import io

import pytest

from penstock.core.csv_text import csv_text


@pytest.mark.parametrize("cell", ["=cmd()", "+cmd", "-2+3", "@x", "\tx", "-", "=-1", "-1.5e3x"])
def test_a_formula_becomes_a_text(cell: str) -> None:
    ((head,), (found,)) = csv.reader(io.StringIO(csv_text([cell], [[cell]]), newline=""))
    assert head == found == f"'{cell}"


@pytest.mark.parametrize("cell", ["-1.5", "+2", "-1e-05", -3, -0.25, "a=b", "你好", ""])
def test_what_is_none_stays(cell: object) -> None:
    ((_, found),) = list(csv.reader(io.StringIO(csv_text(["a", "b"], [["x", cell]]))))[1:]
    assert found == str(cell)
