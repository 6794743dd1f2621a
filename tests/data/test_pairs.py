"""Pairs of texts as users have them, and the generated dates."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from penstock.core.errors import DataError, RecipeError
from penstock.data.dates import COUNT, dates
from penstock.data.opened import ReadOptions
from penstock.data.opening import open_data
from penstock.data.pairs import MOST, Pairs, ReadPairs, open_pairs

ROWS = [("one", "一"), ("two cats", "两只猫"), ("three", "三")]


def rows(found: Pairs) -> list[tuple[str, str]]:
    return list(zip(found.source, found.target, strict=True))


def written(path: Path, text: str, encoding: str = "utf-8") -> str:
    path.write_bytes(text.encode(encoding))
    return str(path)


def test_lines_with_a_tab(tmp_path: Path) -> None:
    where = written(tmp_path / "数据.tsv", "\ufeffone\t一\tfrom somewhere\r\n\r\ntwo cats\t两只猫\r\nthree\t三")
    found = open_pairs(where, ReadPairs())
    assert rows(found) == ROWS
    assert found.places == ["数据.tsv:1", "数据.tsv:3", "数据.tsv:4"]
    assert found.name == "数据"
    assert rows(open_pairs(where, ReadPairs(reverse=True))) == [(b, a) for a, b in ROWS]


def test_quotes_and_hashes_in_a_line_are_text(tmp_path: Path) -> None:
    where = written(tmp_path / "a.txt", '"Go!" he said\t"走\n# 5\t五\n')
    assert rows(open_pairs(where, ReadPairs())) == [('"Go!" he said', '"走'), ("# 5", "五")]


def test_two_parallel_files(tmp_path: Path) -> None:
    one = written(tmp_path / "a.en", "one\ntwo cats\n\nthree\n")
    other = written(tmp_path / "a.zh", "一\n两只猫\n\n三\n")
    found = open_pairs(one, ReadPairs(parallel=other))
    assert rows(found) == ROWS
    assert found.places[-1] == "a.en:4"
    short = written(tmp_path / "b.zh", "一\n")
    with pytest.raises(DataError, match=r"a.en: 4 lines, and .*b.zh has 1"):
        open_pairs(one, ReadPairs(parallel=short))


def test_columns_of_a_table(tmp_path: Path) -> None:
    where = written(tmp_path / "a.csv", 'who,en,zh\nA,one,一\nB,"two cats",两只猫\nC,three,三\n')
    assert rows(open_pairs(where, ReadPairs(columns=("en", "zh")))) == ROWS
    assert open_pairs(where, ReadPairs()).source == ["A", "B", "C"]
    with pytest.raises(DataError, match="there is no column 'eng'; did you mean 'en'"):
        open_pairs(where, ReadPairs(columns=("eng", "zh")))
    lines = written(tmp_path / "a.jsonl", '{"zh": "一", "en": "one"}\n{"zh": "none", "en": "n/a"}\n')
    assert rows(open_pairs(lines, ReadPairs(columns=("en", "zh")))) == [("one", "一"), ("n/a", "none")]


def test_a_folder_of_files_by_split(tmp_path: Path) -> None:
    written(tmp_path / "train.tsv", "one\t一\ntwo cats\t两只猫\n")
    written(tmp_path / "dev.tsv", "three\t三\n")
    found = open_pairs(str(tmp_path), ReadPairs())
    assert dict(zip(found.source, found.splits, strict=True)) == {
        "one": "train",
        "two cats": "train",
        "three": "validation",
    }
    assert sorted(found.places) == ["dev.tsv:1", "train.tsv:1", "train.tsv:2"]


def test_objects() -> None:
    frame = pd.DataFrame(ROWS, columns=["a", "b"])
    for given in (ROWS, frame, ([a for a, _ in ROWS], [b for _, b in ROWS])):
        assert rows(open_pairs("dates", ReadPairs(), given)) == ROWS
    with pytest.raises(DataError, match="row 2: it is not a pair"):
        open_pairs("dates", ReadPairs(), [("a", "b"), ("a", 3)])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"one\t1\ntwo\n", r"a.tsv:2: there is no tab"),
        (b"one\t1\n \ttwo\n", r"a.tsv:2: the first text of this pair is empty"),
        (b"one\t1\ntwo\t\n", r"a.tsv:2: the second text of this pair is empty"),
        (b"one\t1\nz\xfc\t2\n", r"a.tsv:2: byte 7 \(0xFC\) is not UTF-8"),
        (b"", r"a.tsv: the file is empty"),
        (b"\n\n", r"there are no pairs"),
    ],
)
def test_what_is_no_pair_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.tsv").write_bytes(content)
    with pytest.raises(DataError, match=said):
        open_pairs(str(tmp_path / "a.tsv"), ReadPairs())


@pytest.mark.parametrize("name", ["a.tsv", "a.en"])
def test_a_file_that_no_memory_should_hold_is_refused_by_its_size(tmp_path: Path, name: str) -> None:
    with (tmp_path / name).open("wb") as file:
        file.truncate(MOST + 1)  # takes no room on the disk
    with pytest.raises(DataError, match=f"more than {MOST:,} bytes"):
        open_pairs(str(tmp_path / name), ReadPairs(parallel=str(tmp_path / name) if name == "a.en" else None))


def test_what_cannot_be_pairs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        open_pairs(str(tmp_path / "a.tsv"), ReadPairs())
    with pytest.raises(DataError, match="--parallel FILE"):
        open_pairs(written(tmp_path / "a.en", "one\n"), ReadPairs())
    with pytest.raises(RecipeError, match="no header"):
        open_pairs(written(tmp_path / "a.tsv", "one\t1\n"), ReadPairs(columns=("en", None)))
    with pytest.raises(DataError, match="no file in it is named train"):
        open_pairs(str(tmp_path), ReadPairs())


def test_dates_are_right_as_far_as_their_numbers_tell() -> None:
    found = dates()
    assert len(found) == COUNT
    assert len({text for text, _ in found}) == COUNT
    assert found == dates.__wrapped__()
    for text, iso in found:
        day = date.fromisoformat(iso)
        numbers = [int(number) for number in re.findall(r"\d+", text)]
        assert day.year in numbers, text
        assert day.day in numbers, text
        assert len(numbers) == 2 or day.month in numbers, text
    by_text = dict(found)
    assert sum("年" in text for text in by_text) > 500
    assert not any(re.search(r"\d/\d+/\d", text) for text in by_text if not text.startswith(("19", "20")))


class TestNamed:
    """Sets of pairs by their names."""

    def test_one_that_is_put_there_by_hand(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "cmn-eng").mkdir()
        (tmp_path / "cmn-eng" / "cmn.txt").write_text("Hi.\t嗨。\tby A\nRun.\t跑！\tby B\n", encoding="utf-8")
        monkeypatch.setenv("PENSTOCK_DATA", str(tmp_path))
        found = open_pairs("cmn-eng", ReadPairs())
        assert (found.name, found.source, found.target) == ("cmn-eng", ["Hi.", "Run."], ["嗨。", "跑！"])

    def test_one_that_is_not_there(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PENSTOCK_DATA", str(tmp_path))
        monkeypatch.setenv("PENSTOCK_CACHE", str(tmp_path))
        with pytest.raises(DataError, match=r"cmn\.txt.*has no lasting address of its own.*put the file into"):
            open_pairs("cmn-eng", ReadPairs())

    def test_one_of_another_task(self) -> None:
        with pytest.raises(RecipeError, match=r"wine has no pairs, it is for classify"):
            open_pairs("wine", ReadPairs())
        with pytest.raises(DataError, match="penstock train translate takes it"):
            open_data("dates", ReadOptions())
