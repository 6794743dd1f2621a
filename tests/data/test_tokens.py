"""Vocabularies: text goes in and comes out, whatever is written in it, and the file says all."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.core.errors import CheckpointError, DataError, RecipeError
from penstock.data.tokens import BOS, EOS, PAD, SPECIAL, UNK, Tokenizer, TokenKind

TEXTS = [
    "The quick brown fox jumps over the lazy dog.\nThe dog sleeps; the fox does not!\n" * 4,
    "春眠不覺曉，處處聞啼鳥。\n夜來風雨聲，花落知多少。\n" * 4,
    "  indented <pad> text\twith a tab\n\n\nand   runs of spaces ",
]
KINDS = get_args(TokenKind)


def trained(kind: TokenKind, size: int = 400) -> Tokenizer:
    return Tokenizer.train(kind, TEXTS, size)


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_that_was_learnt_from_comes_back(kind: TokenKind) -> None:
    tokens = trained(kind)
    for text in TEXTS:
        assert tokens.decode(tokens.encode(text)) == text


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_come_first_and_text_is_never_one(kind: TokenKind) -> None:
    tokens = trained(kind)
    assert tokens.pieces()[:4] == list(SPECIAL)
    assert len(tokens.pieces()) == tokens.size
    found = tokens.encode("<pad><bos> <eos>\n<pad>")
    assert not {PAD, BOS, EOS} & set(found)
    assert tokens.decode([BOS, *tokens.encode("dog"), EOS, PAD]) == "dog"


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_saved_as_json(kind: TokenKind) -> None:
    tokens = trained(kind)
    again = Tokenizer.from_json(json.loads(json.dumps(tokens.to_json())))
    assert again.pieces() == tokens.pieces()
    assert again.kind == kind
    assert again.digest() == tokens.digest()
    for text in [*TEXTS, "zebra 龍"]:
        assert again.encode(text) == tokens.encode(text)


@pytest.mark.parametrize("kind", KINDS)
def test_characters_are_counted(kind: TokenKind) -> None:
    tokens = trained(kind)
    for text in TEXTS:
        marks = 1 - text.endswith("\n") if kind in ("words", "unigram") else 0  # one more before the first line
        assert int(tokens.characters()[tokens.encode(text)].sum()) == len(text) + marks


@pytest.mark.parametrize("kind", ["characters", "words", "unigram"])
def test_what_was_never_seen_is_unknown(kind: TokenKind) -> None:
    tokens = trained(kind)
    assert UNK in tokens.encode("龍")
    assert tokens.decode(tokens.encode("龍")).endswith("\ufffd")


@pytest.mark.parametrize("kind", ["bytes", "bpe"])
@given(text=st.text())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bytes_know_everything(kind: TokenKind, text: str) -> None:
    tokens = trained(kind) if kind == "bytes" else BPE
    assert UNK not in tokens.encode(text)
    assert tokens.decode(tokens.encode(text)) == text
    assert int(tokens.characters()[tokens.encode(text)].sum()) == len(text)


BPE = trained("bpe")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of its own for each test."""
    monkeypatch.setenv("PENSTOCK_CACHE", str(tmp_path / "cache"))


def test_a_damaged_vocabulary_in_the_cache_is_learnt_again(tmp_path: Path) -> None:
    trained("unigram")
    (kept,) = (tmp_path / "cache" / "vocabularies").iterdir()
    kept.write_text("{")
    assert trained("unigram").digest() == trained("unigram").digest()


def test_characters_are_the_most_frequent() -> None:
    counts = Counter("".join(TEXTS))
    expected = sorted(counts, key=lambda c: (-counts[c], c))[:16]
    assert trained("characters", 20).pieces() == [*SPECIAL, *expected]


def test_chinese_is_cut_without_spaces() -> None:
    words, parts = trained("words"), trained("unigram")
    assert [words.pieces()[i] for i in words.encode("春眠不覺曉，")] == ["▁", *"春眠不覺曉，"]
    assert all("，" not in piece for piece in parts.pieces() if len(piece) > 1)


def test_a_word_carries_its_space_and_begins_a_line_like_any_other() -> None:
    words = trained("words")
    assert [words.pieces()[i] for i in words.encode("fox dog.\nfox")] == ["▁fox", "▁dog", ".", "\n", "▁fox"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_texts_give_the_same_vocabulary(kind: TokenKind) -> None:
    one, two = trained(kind), trained(kind)
    assert [one.encode(text) for text in TEXTS] == [two.encode(text) for text in TEXTS]


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_line_is_cut_into_the_same_text(kind: TokenKind) -> None:
    text = "the fox " * 20_000
    tokens = trained(kind)
    assert tokens.decode(tokens.encode(text)) == text


def test_other_special_tokens() -> None:
    tokens = Tokenizer.train("characters", ["abc"], special=("<blank>", "<unk>"))
    assert tokens.encode("cabx") == [4, 2, 3, 1]
    assert tokens.decode([0, 4, 0, 2]) == "ca"


def test_many_texts_are_rows() -> None:
    tokens = Tokenizer.train("characters", ["abc"])
    rows = tokens.encode_all(["ab", "", "c"], begin=[BOS], end=[EOS])
    assert [rows[i].tolist() for i in range(3)] == [[2, 4, 5, 3], [2, 3], [2, 6, 3]]


@pytest.mark.parametrize(
    ("kind", "texts", "size", "error"),
    [
        ("characters", [], 100, DataError),
        ("words", ["", ""], 100, DataError),
        ("bpe", ["text"], 100, RecipeError),
        ("words", ["text"], 4, RecipeError),
        ("letters", ["text"], 100, RecipeError),
    ],
)
def test_what_cannot_be_learnt(kind: TokenKind, texts: list[str], size: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        Tokenizer.train(kind, texts, size)


@pytest.mark.parametrize(
    "saved",
    [
        {},
        {"kind": "bpe", "special": list(SPECIAL)},
        {"kind": "bpe", "special": list(SPECIAL), "library": {"model": "__import__('os')"}},
        {"kind": "characters", "special": list(SPECIAL), "letters": "aab"},
        {"kind": "words", "special": ["<x>", "<unk>"], "library": trained("words").to_json()["library"]},
        [1, 2],
    ],
)
def test_a_damaged_file_is_refused(saved: object) -> None:
    with pytest.raises(CheckpointError):
        Tokenizer.from_json(saved)
