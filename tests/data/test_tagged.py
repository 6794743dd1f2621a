"""Files in the columns of CoNLL: what is read, what is left out, and what is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.core.errors import DataError, RecipeError
from penstock.data.tagged import Columns, open_tagged, read_columns


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_words_and_tags_of_each_sentence(tmp_path: Path) -> None:
    path = written(tmp_path / "名.conll", "\n北京 B-LOC\n很 O\n\n\n  \nAnna\tB-PER\n".replace("\t", " "))
    found = open_tagged(path, Columns())
    assert found.words.tolist() == [["北京", "很"], ["Anna"]]
    assert found.tags.tolist() == [["B-LOC", "O"], ["B-PER"]]
    assert list(found.words.index) == ["名.conll:2", "名.conll:7"]
    assert found.splits is None


def test_tabs_part_fields_with_spaces_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes("\ufeff10 000\tO\r\nNew York\tB-LOC\r\n\r\n# no comment\tO\r\n".encode())
    found = open_tagged(path, Columns())
    assert found.words.tolist() == [["10 000", "New York"], ["# no comment"]]


def test_four_columns_and_the_marks_of_documents(tmp_path: Path) -> None:
    path = written(tmp_path / "a.txt", "-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\n# VB I-VP O\n")
    assert open_tagged(path, Columns()).tags.tolist() == [["I-ORG", "O"]]
    assert open_tagged(path, Columns(1, 2)).tags.tolist() == [["NNP", "VB"]]
    assert open_tagged(path, Columns(-4, -2)).tags.tolist() == [["I-NP", "I-VP"]]


def test_comments_and_contractions_of_conllu(tmp_path: Path) -> None:
    rest = "\t_" * 6
    lines = ["# text = vámonos", f"1-2\tvámonos\t_\t_{rest}", f"1\tvamos\tir\tVERB{rest}", f"2\tnos\tnos\tPRON{rest}"]
    path = written(tmp_path / "a.conllu", "\n".join(lines) + "\n")
    found = open_tagged(path, Columns(2, 4))
    assert found.words.tolist() == [["vamos", "nos"]]
    assert found.tags.tolist() == [["VERB", "PRON"]]
    assert found.words.index[0] == "a.conllu:3"


def test_a_folder_with_parts(tmp_path: Path) -> None:
    for name, word in (("train.txt", "a"), ("dev.txt", "b"), ("test.txt", "c"), ("notes.txt", "x")):
        written(tmp_path / name, f"{word} O\n")
    found = open_tagged(tmp_path, Columns())
    assert found.splits is not None
    parts = zip(found.words, found.splits, strict=True)
    assert {words[0]: part for words, part in parts} == {"a": "train", "b": "validation", "c": "test"}
    written(tmp_path / "valid.txt", "d O\n")
    with pytest.raises(DataError, match=r"dev.txt and valid.txt are both for validation"):
        open_tagged(tmp_path, Columns())
    with pytest.raises(DataError, match="there is no train file"):
        open_tagged(written(tmp_path / "sub" / "test.txt", "d O\n").parent, Columns())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a O\nb\nc O\n", r"a.txt:2: expected 2 fields parted by spaces, as on the first line, got 1"),
        ("a\tO\nb\t\n", r"a.txt:2: field 2 of 2 is empty"),
        ("\n \n", "nothing but blank lines"),
        ("-DOCSTART- O\n", "there is no sentence"),
        ("a O\n" * 5001, r"a.txt:1: a sentence of more than 5,000 words"),
        ("a\nb\n", "column 1 of 1 would be both word and tag"),
    ],
)
def test_what_is_refused(text: str, found: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=found):
        open_tagged(written(tmp_path / "a.txt", text), Columns())


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    path = written(tmp_path / "a.txt", "a O\n")
    for at in (3, -3, 0):
        with pytest.raises(RecipeError, match=rf"--tag-column: there is no column {at} in .*a.txt, which has 2"):
            open_tagged(path, Columns(1, at))


def test_another_encoding_is_found_out(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("北京 B-LOC\n".encode("gbk"))
    with pytest.raises(DataError, match=r"byte 0 .*--encoding gbk"):
        read_columns(tmp_path / "a.txt")
    assert read_columns(tmp_path / "a.txt", "gbk")[0].rows == [["北京", "B-LOC"]]
