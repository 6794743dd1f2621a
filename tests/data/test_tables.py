"""Tables of every format, and every way in which users' tables are broken."""

from __future__ import annotations

import csv
import gzip
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.core.errors import DataError, RecipeError
from penstock.data.tables import read_table


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(path: Path, **flags: str) -> str:
    with pytest.raises(DataError) as caught:
        read_table(path, **flags)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_cells_are_stripped_text_or_none_and_rows_know_their_line(tmp_path: Path) -> None:
    path = write(tmp_path, "数据.csv", '城市 ,人口\n 北京, 2189\n\n"上海\n市",?\n深圳,NaN\nNa,none\n')
    frame = read_table(path)
    assert list(frame.columns) == ["城市", "人口"]
    assert list(frame.index) == ["数据.csv:2", "数据.csv:4", "数据.csv:6", "数据.csv:7"]
    assert frame["城市"].tolist() == ["北京", "上海\n市", "深圳", "Na"]
    assert frame["人口"].tolist() == ["2189", None, None, None]
    assert {dtype.kind for dtype in frame.dtypes} == {"O"}


def test_missing_tokens_can_be_named(tmp_path: Path) -> None:
    frame = read_table(write(tmp_path, "t.csv", "a,b\n-,NA\nx,-\n"), missing=["-"])
    assert frame["a"].tolist() == [None, "x"]
    assert frame["b"].tolist() == ["NA", None]


@pytest.mark.parametrize(
    ("name", "delimiter"), [("t.csv", ","), ("t.csv", ";"), ("t.tsv", "\t"), ("t.txt", "\t"), ("t.txt", "|")]
)
def test_the_delimiter_is_found(tmp_path: Path, name: str, delimiter: str) -> None:
    rows = [["名", "price, in EUR" if delimiter != "," else "price"], ["a", "1"], ["b", "2"]]
    frame = read_table(write(tmp_path, name, "\r\n".join(delimiter.join(row) for row in rows)))
    assert [list(frame.columns), *frame.to_numpy().tolist()] == rows


def test_the_delimiter_can_be_given(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", "a:b\n1,5:2\n")
    assert read_table(path, delimiter=":").to_numpy().tolist() == [["1,5", "2"]]
    assert read_table(write(tmp_path, "t.txt", "a\tb\n1\t2\n"), delimiter="\\t").shape == (1, 2)
    with pytest.raises(RecipeError, match="--delimiter"):
        read_table(path, delimiter="::")


CELLS = (
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6)
    .map(str.strip)
    .map(lambda s: f"x{s}")
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=5))
def test_what_the_csv_module_writes_comes_back(tmp_path: Path, rows: list[tuple[str, str, str]]) -> None:
    path = tmp_path / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("a", "b", "c"), *rows])
    assert [tuple(row) for row in read_table(path, delimiter=",").to_numpy()] == rows


def test_packed_and_marked_files(tmp_path: Path) -> None:
    packed = write(tmp_path, "t.csv.gz", gzip.compress("a,b\n1,é\n".encode()))
    assert read_table(packed)["b"].tolist() == ["é"]
    marked = write(tmp_path, "bom.csv", b"\xef\xbb\xbf" + "名,b\n1,2\n".encode())
    assert list(read_table(marked).columns) == ["名", "b"]
    wide = write(tmp_path, "wide.csv", "名,b\n1,2\n".encode("utf-16"))
    assert list(read_table(wide, encoding="utf-16").columns) == ["名", "b"]
    assert "cannot be unpacked" in refusal(write(tmp_path, "cut.csv.gz", gzip.compress(b"a,b\n" * 99)[:-9]))
    assert "blank" in refusal(write(tmp_path, "none.csv.gz", gzip.compress(b"")))


@pytest.mark.parametrize(("row", "got"), [("3", 1), ("3,4,5", 3)])
def test_a_ragged_row_is_named(tmp_path: Path, row: str, got: int) -> None:
    path = write(tmp_path, "t.csv", f"a,b\n1,2\n{row}\n5,6\n")
    message = refusal(path)
    assert message.startswith(f"{path}:3: ")
    assert f"expected 2 fields as in the header, got {got}" in message


def test_an_open_quote_is_named_where_it_opens(tmp_path: Path) -> None:
    end = write(tmp_path, "end.csv", 'a,b,c\n"x\ny",2,3\n4,"5,6\n7,8,9\n')
    assert refusal(end).startswith(f"{end}:4: a quote opens here")
    late = write(tmp_path, "late.csv", 'a,b,c\n1,2,3\n"x\ny", "5,6\n7,8,9\n')
    assert refusal(late).startswith(f"{late}:4: a quote opens here")
    middle = write(tmp_path, "middle.csv", 'a,b\n1,"x\n2,"y"\n')
    assert refusal(middle).startswith(f"{middle}:2: ")
    swallowed = write(tmp_path, "swallowed.csv", 'a,b\n1,"x\n2,y"\n3,"z\n4,5\n6",7\n')
    assert "runs on over 2 more lines" in refusal(swallowed)
    endless = write(tmp_path, "endless.csv", 'a,b\n1,"x\n' + "2,y\n" * 60_000)
    assert refusal(endless).startswith(f"{endless}:2: a field is longer than")


def test_other_encodings_are_recognised_and_the_byte_is_named(tmp_path: Path) -> None:
    chinese = "城市,人口\n北京,1\n上海,2\n"
    gbk = write(tmp_path, "gbk.csv", chinese.encode("gbk"))
    assert "byte 0 (0xB3) is not UTF-8; pass --encoding gbk" in refusal(gbk)
    assert list(read_table(gbk, encoding="gbk").columns) == ["城市", "人口"]
    latin = write(tmp_path, "latin.csv", "name,n\nMüller,1\ncafé,2\n".encode("latin-1"))
    assert refusal(latin) == f"{latin}:2: byte 8 (0xFC) is not UTF-8; pass --encoding latin-1"
    assert read_table(latin, encoding="latin-1")["name"].tolist() == ["Müller", "café"]
    marked = write(tmp_path, "marked.csv", b"\xef\xbb\xbfa\n\xff\n")
    assert "byte 5 (0xFF)" in refusal(marked)
    wide = write(tmp_path, "wide.csv", "名,b\n1,2\n".encode("utf-16"))
    assert "pass --encoding utf-16" in refusal(wide)
    bare = write(tmp_path, "bare.csv", "a,b\n1,2\n".encode("utf-16-be"))
    assert "pass --encoding utf-16-be" in refusal(bare)
    assert read_table(bare, encoding="utf-16-be").shape == (1, 2)
    assert "byte 19 (0xE9) is not GBK; pass --encoding latin-1" in refusal(latin, encoding="gbk")
    with pytest.raises(RecipeError, match="klingon"):
        read_table(latin, encoding="klingon")
    with pytest.raises(RecipeError, match="hex"):
        read_table(latin, encoding="hex")


def test_a_nul_byte_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", "a,b\n1,2\n3,\x004\n" + "5,6\n" * 99)
    assert refusal(path).startswith(f"{path}:3: a NUL byte")


def test_headers_that_cannot_serve(tmp_path: Path) -> None:
    assert "only numbers" in refusal(write(tmp_path, "t.csv", "5.1,3.5,-1e3\n4.9,3.0,1.4\n"))
    assert "column 2 of 3 has no name" in refusal(write(tmp_path, "t.csv", "a, ,c\n1,2,3\n"))
    assert "columns 1 and 3 are both named '名'" in refusal(write(tmp_path, "t.csv", "名,b, 名\n1,2,3\n"))
    assert "no rows" in refusal(write(tmp_path, "t.csv", "a,b\n"))
    assert "is empty" in refusal(write(tmp_path, "t.csv", ""))
    assert "blank" in refusal(write(tmp_path, "t.csv", " \n\n"))


def test_paths_that_cannot_serve(tmp_path: Path) -> None:
    write(tmp_path, "房价.csv", "a,b\n1,2\n")
    assert "did you mean '房价.csv'?" in refusal(tmp_path / "房价.cvs")
    assert "does not exist" in refusal(tmp_path / "nowhere" / "t.csv")
    assert "is a folder" in refusal(tmp_path)
    assert "export it as one of: csv" in refusal(write(tmp_path, "t.xlsx", "PK"))


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    given_frame = pd.DataFrame(
        {
            "n": [1, 2, 3],
            "x": [0.5, np.nan, 2.0],
            "名": ["a", None, "c"],
            "kind": pd.Categorical(["u", "v", "u"]),
            "ok": [True, False, True],
            "when": pd.to_datetime(["2020-01-01", "2020-01-02", None]),
        },
        index=[9, 7, 5],
    )
    path = tmp_path / "t.parquet"
    given_frame.to_parquet(path)
    frame = read_table(path)
    assert list(frame.columns) == list(given_frame.columns)
    assert list(frame.index) == ["t.parquet:1", "t.parquet:2", "t.parquet:3"]
    assert (frame["n"].dtype, frame["x"].dtype, frame["ok"].dtype) == (np.int64, np.float64, bool)
    assert frame["名"].tolist() == ["a", None, "c"]
    assert frame["kind"].tolist() == ["u", "v", "u"]
    assert frame["when"].dtype.kind == "M"
    given_frame.rename_axis("day").to_parquet(path)
    assert read_table(path)["day"].tolist() == [9, 7, 5]


def test_damaged_and_nested_parquet(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pd.DataFrame({"a": range(1000), "b": [[1]] * 1000}).to_parquet(path)
    assert "column 'b' holds list" in refusal(path)
    pd.DataFrame({"a": np.arange(1000.0)}).to_parquet(path)
    whole = path.read_bytes()
    assert "cannot be read as Parquet" in refusal(write(tmp_path, "cut.parquet", whole[:-40]))
    assert "cannot be read as Parquet" in refusal(write(tmp_path, "text.parquet", "a,b\n1,2\n"))
    assert "no rows" in refusal(_empty_parquet(tmp_path))


def _empty_parquet(folder: Path) -> Path:
    path = folder / "empty.parquet"
    pd.DataFrame({"a": np.array([], dtype=float)}).to_parquet(path)
    return path


def test_json_lines_keep_their_types(tmp_path: Path) -> None:
    rows = [{"n": 1, "x": 1, "名": "甲\u2028乙", "ok": True}, {"n": 2, "x": None, "名": None, "ok": False, "late": 3}]
    path = write(tmp_path, "t.jsonl", "\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\r\n")
    frame = read_table(path)
    assert list(frame.index) == ["t.jsonl:1", "t.jsonl:3"]
    assert (frame["n"].dtype, frame["x"].dtype, frame["ok"].dtype) == (np.int64, np.float64, bool)
    assert frame["名"].tolist() == ["甲\u2028乙", None]
    np.testing.assert_array_equal(frame["late"], [np.nan, 3])


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"a": 1', "is not JSON (character 8"),
        ("[1, 2]", "holds a JSON list, not an object"),
        ("3", "holds a JSON number, not an object"),
        ('{"a": 1, "盒": [1]}', "column '盒' holds a nested list"),
        ('{"a": {"b": 1}}', "column 'a' holds a nested object"),
        ("[" * 100_000, "is not usable JSON"),
    ],
)
def test_bad_json_lines_are_named(tmp_path: Path, line: str, problem: str) -> None:
    path = write(tmp_path, "t.ndjson", f'{{"a": 0}}\n{line}\n')
    message = refusal(path)
    assert message.startswith(f"{path}:2: ")
    assert problem in message


def test_a_wide_table_is_read_fast(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [",".join(map(str, row)) for row in rng.integers(0, 99_999, (32_000, 15))]
    path = write(tmp_path, "t.csv", "\n".join([",".join("abcdefghijklmno"), *rows]))
    begin = time.process_time()
    frame = read_table(path)
    assert time.process_time() - begin < 2  # a quarter of a second on a machine with nothing else to do
    reference = pd.read_csv(path, dtype=str)
    assert (frame.to_numpy() == reference.to_numpy()).all()
