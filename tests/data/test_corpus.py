"""Text from files, folders, tables, named sets and Python; cut into parts and laid out in tokens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from penstock.core.errors import DataError
from penstock.data.corpus import Corpus, divided, open_corpus
from penstock.data.layout import Layout, special_for, tokens_in
from penstock.data.ragged import Ragged
from penstock.data.tokens import BOS, EOS, Tokenizer

POEMS = pd.DataFrame({"text": ["春眠不覺曉", "白日依山盡"], "author": ["孟浩然", "王之渙"], "year": [1, 2]})


def test_files_run_on_and_rows_of_a_table_do_not(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\n\n")
    POEMS.to_csv(tmp_path / "p.csv", index=False)
    running = open_corpus(str(tmp_path / "a.txt"))
    assert (running.texts, running.runs_on, running.name) == (["one\ntwo\n\n"], True, "a")
    rows = open_corpus(str(tmp_path / "p.csv"), fields=["author"])
    assert rows.texts == list(POEMS["text"])
    assert rows.fields == {"author": ["孟浩然", "王之渙"]}
    assert not rows.runs_on
    assert rows.places[1].endswith("p.csv:3")
    lines = open_corpus(str(tmp_path / "a.txt"), unit="lines")
    assert lines.texts == ["one", "two"]
    assert lines.places == [f"{tmp_path / 'a.txt'}:1", f"{tmp_path / 'a.txt'}:2"]
    assert open_corpus(str(tmp_path / "p.csv"), column="author", unit="running").runs_on


def test_texts_from_python() -> None:
    assert open_corpus("x", supplied="a text").runs_on
    assert open_corpus("x", supplied=["a", "b"]).texts == ["a", "b"]
    assert open_corpus("x", supplied=POEMS, column="author").texts == ["孟浩然", "王之渙"]


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        ("a,b\nx,y\n", {}, "which column has the text"),
        ("text,b\nx,y\n", {"column": "txt"}, "did you mean 'text'"),
        ("text,b\nx,y\n", {"fields": ["autor"]}, "no column 'autor'"),
        ("text,b\nx,y\n,z\n", {}, "nothing in column 'text'"),
        ("text,b\nx,y\n", {"most": 3}, "11 bytes"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, content: str, options: dict[str, object], said: str) -> None:
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(DataError, match=said):
        open_corpus(str(tmp_path / "t.csv"), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("where", "said"), [("digits", "pictures"), ("pidoc", "did you mean 'pydoc'"), ("a/b.txt", "a")]
)
def test_places_that_hold_no_text(where: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        open_corpus(where)


def test_the_default_comes_with_python() -> None:
    corpus = open_corpus("pydoc")
    assert corpus.runs_on
    assert any("Boolean operations" in text for text in corpus.texts)


def test_named_texts(shared_sets: Path) -> None:
    plays, poems = open_corpus("tinyshakespeare"), open_corpus("tang-quatrains", fields=["form"])
    assert [len(text) for text in plays.texts] == [1_003_854, 111_540]
    assert plays.splits is not None
    assert (plays.splits == ["train", "test"]).all()
    assert len(poems.texts) == 14_030
    assert not poems.runs_on
    assert set(poems.fields["form"]) == {"五言", "七言"}
    assert all(len(text) == (24 if form == "五言" else 32) for text, form in zip(poems.texts, poems.fields["form"]))


def running(*texts: str, splits: list[str] | None = None) -> Corpus:
    return Corpus("x", "x", list(texts), list(texts), True, splits=None if splits is None else np.array(splits))


@pytest.mark.parametrize("texts", [("abcdefghij" * 20,), ("abcdefghij" * 7, "k" * 50, "l" * 80), ("a" * 150, "b" * 50)])
def test_a_text_that_runs_on_is_cut_in_order(texts: tuple[str, ...]) -> None:
    parts = divided(running(*texts), seed=0, validation=0.1, test=0.2)
    joined = {part: "".join(found.texts) for part, found in parts.items()}
    assert joined["train"] + joined["validation"] + joined["test"] == "".join(texts)
    assert (len(joined["validation"]), len(joined["test"])) == (20, 40)


def test_it_is_cut_at_the_end_of_a_line() -> None:
    parts = divided(running("twelve chars\n" * 50), seed=0, validation=0.1, test=0.1)
    assert all("".join(found.texts).endswith("\n") for found in parts.values())


def test_a_given_split_is_respected() -> None:
    parts = divided(running("a" * 100, "b" * 30, splits=["Train", "test"]), seed=0, validation=0.1, test=0.5)
    assert parts["test"].texts == ["b" * 30]
    assert parts["validation"].texts == ["a" * 10]
    assert parts["train"].texts == ["a" * 90]


def test_too_little_to_cut() -> None:
    with pytest.raises(DataError, match="none for"):
        divided(running("abc"), seed=0, validation=0.1, test=0.1)


def test_the_fingerprint_sees_every_change() -> None:
    corpus = open_corpus("x", supplied=POEMS, fields=["author"])
    others = [
        POEMS.assign(text=["春眠不覺", "曉白日依山盡"]),
        POEMS.assign(author=["孟浩", "王之渙"]),
        POEMS.iloc[::-1],
    ]
    found = {open_corpus("x", supplied=other, fields=["author"]).fingerprint() for other in others}
    assert len(found | {corpus.fingerprint()}) == 4


def test_texts_by_themselves_are_rows_with_what_is_known() -> None:
    corpus = open_corpus("x", supplied=POEMS, fields=["author"])
    tokens = Tokenizer.train("characters", [*corpus.texts, *corpus.fields["author"]], special=special_for(["author"]))
    layout = Layout(tokens, apart=True, several=True, fields=["author"])
    stored = layout.encoded(corpus)
    assert isinstance(stored, Ragged)
    row = stored[1].tolist()
    names = [tokens.pieces()[i] for i in row]
    assert names == ["<bos>", "<author>", *"王之渙", "<text>", *"白日依山盡", "<eos>"]
    asked: list[int] = []

    def guess(ids: list[int], stop: int) -> list[int]:
        asked.append(stop)
        return tokens.encode("孟")

    assert layout.beginning({"author": "王之渙"}, guess) == row[:6]
    assert [tokens.pieces()[i] for i in layout.beginning({}, guess)] == ["<bos>", "<author>", "孟", "<text>"]
    assert [tokens.pieces()[i] for i in asked] == ["<text>"]
    assert {BOS, EOS, 4, 5} <= layout.silent
    again = Layout.from_json(layout.to_json())
    assert again.encoded(corpus).values.tolist() == stored.values.tolist()


def test_texts_that_run_on_are_one() -> None:
    tokens = Tokenizer.train("characters", ["abc"])
    found = Layout(tokens, apart=False, several=True).encoded(running("ab", "c"))
    assert tokens_in(found).tolist() == [BOS, *tokens.encode("ab"), BOS, *tokens.encode("c")]
    assert tokens_in(Layout(tokens, apart=False, several=False).encoded(running("ab"))).tolist() == tokens.encode("ab")
