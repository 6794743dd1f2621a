"""Prices from tables: which columns, in which order, and what is refused with its place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from penstock.core.errors import DataError
from penstock.kinds.prices import read_prices


def table(folder: Path, text: str) -> Path:
    path = folder / "行情.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_apple_as_it_is_published() -> None:
    path = Path(os.environ.get("PENSTOCK_DATA", ".")) / "aapl" / "aapl_daily.csv"
    if not path.exists():
        pytest.skip("the data set is not here")
    market = read_prices(path)
    assert (market.close, market.volume, len(market.prices)) == ("AdjClose", "Volume", 506)
    assert market.prices.close[0].item() == 122.905254
    assert market.day(0) == "2015-02-17"
    assert market.prices.volume is not None
    assert market.prices.volume[1].item() == 44891700


def test_rows_are_put_in_the_order_of_their_dates(tmp_path: Path) -> None:
    market = read_prices(table(tmp_path, "日期,收盘价\n2024-01-03,3\n2024-01-01,1\n2024-01-02,2\n"))
    assert market.prices.close.tolist() == [1, 2, 3]
    assert market.prices.volume is None


def test_columns_can_be_named(tmp_path: Path) -> None:
    path = table(tmp_path, "Open,Close,Adj Close,Lots\n1,2,3,4\n5,6,7,8\n")
    assert read_prices(path).close == "Adj Close"
    named = read_prices(path, close="Open", volume="Lots")
    assert named.prices.close.tolist() == [1, 5]
    assert torch.equal(named.prices.volume, torch.tensor([4.0, 8.0], dtype=torch.float64))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,x\n2,y\n", "no column is called close or price .there are: a.; name it: --trading.close COLUMN"),
        ("date,close\n2024-01-01,1\n2024-01-02,0\n", "行情.csv:3: 'close' is 0, where it should be above 0"),
        ("close,volume\n1,1\n2,-1\n", "行情.csv:3: 'volume' is -1, where it should be 0 or more"),
        ("close\n1\nmuch\n", "行情.csv:3: column .close. holds .much."),
    ],
)
def test_what_is_no_price_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_prices(table(tmp_path, text))


def test_a_misspelt_column_gets_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no column 'Clse'; did you mean 'Close'"):
        read_prices(table(tmp_path, "Close\n1\n"), close="Clse")
