"""Texts: what is read, how they are cut, and what is said of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from penstock.core.errors import DataError
from penstock.data.opening import ReadOptions, TextData, open_data
from penstock.data.ragged import Ragged
from penstock.kinds.text import ReadTexts, TextKind, TextMaterial

TEXTS = ["the water flows", "the gate is shut", "water and gate", "水 flows", "", "the water flows"]


def material(texts: list[str] = TEXTS, column: str | None = "text", **how: object) -> TextMaterial:
    labels = pd.Series(["a", "b"] * 3, index=[f"t.csv:{row + 2}" for row in range(6)], name="y", dtype=object)
    return TextMaterial(TextData("t", "t.csv", texts, labels, column=column), ReadTexts(**how), ReadOptions())  # type: ignore[arg-type]


def tokens(found: object) -> Ragged:
    column = found.columns["tokens"]  # type: ignore[attr-defined]
    assert isinstance(column, Ragged)
    return column


def test_the_vocabulary_is_that_of_the_training_rows() -> None:
    found = material(tokens="words", longest=3)
    kind = found.fit(np.array([0, 1]))
    assert kind.sizes() == {"vocabulary": 4 + 6}
    rows = tokens(found.examples(kind, {}))
    assert [kind.tokenizer.decode(rows[i]) for i in range(3)] == ["the water flows", "the gate is", "water\ufffd gate"]
    assert rows[4].tolist() == [1]  # an empty text is one unknown token
    assert rows.lengths.max() == 3
    assert found.decided == {"text": {"tokens": "words", "longest": 3}}
    assert "the first 3 of a text are read" in found.facts()["notes"]["texts"]


def test_what_to_cut_by_where_it_is_left_open() -> None:
    long = ["a sentence of words that is long enough not to be a name"] * 6
    for texts, kind in (
        (long, "words"),
        (["Braund"] * 6, "characters"),
        (["闸门把水引向水轮机，河水不再自流。" * 3] * 6, "characters"),
    ):
        assert material(texts).fit(np.arange(4)).tokenizer.kind == kind


def test_saved_and_read_back() -> None:
    kind = material(tokens="bpe", vocabulary=300).fit(np.arange(6))
    again = TextKind.from_json(json.loads(json.dumps(kind.to_json())))
    assert again.tokens(TEXTS).values.tolist() == kind.tokens(TEXTS).values.tolist()
    assert again.to_json() == kind.to_json()
    assert again.inputs == ("tokens", "tokens_length")


def test_what_can_be_predicted_from(tmp_path: Path) -> None:
    kind = material(tokens="words").fit(np.arange(6))
    (tmp_path / "一.txt").write_text("water", encoding="utf-8")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "二.md").write_text("gate", encoding="utf-8")
    (tmp_path / "t.csv").write_text("id,text\n1,the gate\n2,\n", encoding="utf-8")
    frame = pd.DataFrame({"text": ["shut"]}, index=["here"])
    names, found = kind.read(["the water", str(tmp_path / "t.csv"), tmp_path, frame, {"text": "flows"}, "x" * 5000])
    places = ["the water", "t.csv:2", "t.csv:3", str(tmp_path / "sub" / "二.md"), str(tmp_path / "一.txt"), "here"]
    assert sorted(names[:6]) == sorted(places)
    assert names[6:] == ["input", "x" * 5000]
    rows = tokens(found)
    assert [kind.tokenizer.decode(rows[i]) for i in (0, 1, 5, 6)] == ["the water", "the gate", "shut", "flows"]


@pytest.mark.parametrize(
    ("item", "found"),
    [
        ("lost.txt", "lost.txt"),
        (Path("lost"), "lost"),
        (3, "cannot read int as text"),
        (pd.DataFrame({"txt": ["a"]}), "there is no column 'text' with texts; did you mean 'txt'"),
    ],
)
def test_what_cannot_be_read(item: object, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").touch()
    with pytest.raises(DataError, match=found):
        material(tokens="words").fit(np.arange(6)).read([item])


def test_what_looks_suspicious() -> None:
    found = material(["same"] * 2 + ["other"] * 3 + [" "])
    findings = found.audit("classify", {"train": np.arange(4), "validation": np.array([4]), "test": np.array([5])})
    assert findings[0] == "1 text is empty (t.csv:7 first): nothing can be learnt from that"
    assert "1 text of validation also stands in train" in findings[1]
    assert "2 texts stand under different labels (t.csv:2 is 'a', t.csv:3 is 'b')" in findings[2]


def test_one_example_for_people_and_the_digest() -> None:
    found = material(["x" * 999, *TEXTS[1:]])
    shown = found.show(0)
    assert shown["place"] == "t.csv:2"
    assert shown["row"] == {"text": "x" * 400 + "..."}
    assert material().fingerprint() == material().fingerprint() != found.fingerprint()


def test_a_folder_of_text_files(tmp_path: Path) -> None:
    for name, text in {"水/1.txt": "water", "水/10.md": "river", "门/2.txt": "gate", "门/3.txt": ""}.items():
        (tmp_path / "文" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "文" / name).write_text(text, encoding="utf-8")
    (tmp_path / "文" / "空").mkdir()
    data = open_data(str(tmp_path / "文"), ReadOptions())
    assert isinstance(data, TextData)
    assert data.texts == ["water", "river", "gate", ""]
    assert list(data.labels) == ["水", "水", "门", "门"]
    assert data.empty == ["空"]
    (tmp_path / "文" / "门" / "4.txt").write_bytes("闸门".encode("gbk"))
    with pytest.raises(DataError, match=r"4.txt:1: byte 2 .*--encoding gbk"):
        open_data(str(tmp_path / "文"), ReadOptions())
