"""Text files: which are read, what is refused, and that nothing large is read before it is refused."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest

from penstock.core.errors import DataError
from penstock.data.texts import read_texts

MOST = 1 << 20


def test_a_folder_in_natural_order_without_hidden_files(tmp_path: Path) -> None:
    folder = tmp_path / "诗 集"
    (folder / "b").mkdir(parents=True)
    (folder / ".git").mkdir()
    for name, text in {"10.txt": "ten", "9.txt": "nine", "b/春.md": "春", ".git/x.txt": "no", "p.bin": "no"}.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "empty.txt").touch()
    assert [text for _, text in read_texts(folder, "utf-8", MOST)] == ["nine", "ten", "春"]


def test_line_ends_and_marks_are_made_alike(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree\n")
    assert read_texts(tmp_path / "a.txt", "utf-8", MOST)[0][1] == "one\ntwo\nthree\n"


def test_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("春眠不觉晓，处处闻啼鸟。".encode("gbk"))
    with pytest.raises(DataError, match=r"a.txt:1: byte 0 .*--encoding gbk"):
        read_texts(path, "utf-8", MOST)
    assert read_texts(path, "gbk", MOST)[0][1] == "春眠不觉晓，处处闻啼鸟。"


def test_a_bad_byte_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"fine\n" * 10 + b"caf\xe9 noir\n")
    with pytest.raises(DataError, match=r"a.txt:11: byte 53 \(0xE9\)"):
        read_texts(tmp_path, "utf-8", MOST)


@pytest.mark.parametrize("packed", [False, True])
def test_too_much_text_is_refused_before_it_is_read(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / ("a.txt.gz" if packed else "a.txt")
    if packed:
        path.write_bytes(gzip.compress(bytes(40 << 20)))
    else:
        with path.open("wb") as file:
            file.truncate(1 << 30)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"1,048,576"):
            read_texts(path, "utf-8", MOST)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["no.txt", "empty.txt", "space.txt", "folder"])
def test_nothing_to_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty.txt").touch()
    (tmp_path / "space.txt").write_text(" \n\n")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError):
        read_texts(tmp_path / name, "utf-8", MOST)
