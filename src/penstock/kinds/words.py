"""Sentences as words, each by its place in a vocabulary and by its letters; with a tag for every word."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from penstock.core.errors import DataError
from penstock.data.examples import Examples, InMemory
from penstock.data.fitted import read
from penstock.data.paths import on_disk
from penstock.data.ragged import Ragged, Stored
from penstock.data.sources import Transform
from penstock.data.tagged import Columns, Tagged, column_at, read_columns
from penstock.kinds.kind import Kind, Material, Shown

LETTERS = 16
"""Of a longer word, the first and the last eight are looked at."""
LEAST = 2
"""How often a word must come to be known by itself: the others teach what to do with words never seen."""
PAD, UNKNOWN = 0, 1

_PARTS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|\w+?(?=[\u3040-\u30ff\u3400-\u9fff]|\b)|[^\w\s]")


class WordsKind(Kind):
    """Words (B, T, 1 + letters) int32 and how many of them are real (B,)."""

    word = "words"
    default_model = "gru"
    inputs = ("words", "words_length")

    def __init__(self, words: Sequence[str], letters: str, columns: Columns, encoding: str) -> None:
        self.words, self.letters, self.columns, self.encoding = list(words), letters, columns, encoding
        self._numbers = {word: number for number, word in enumerate(words, UNKNOWN + 1)}
        self._letters = {letter: number for number, letter in enumerate(letters, UNKNOWN + 1)}

    @classmethod
    def fit(cls, sentences: Iterable[Sequence[str]], most: int, columns: Columns, encoding: str) -> WordsKind:
        """The commonest words, and all letters, that come twice or more."""
        words = Counter(word for sentence in sentences for word in sentence)
        letters = Counter[str]()
        for word, count in words.items():
            letters.update(dict.fromkeys(set(word), count))
        known = sorted((word for word in words if words[word] >= LEAST), key=lambda word: (-words[word], word))
        spelt = sorted(letter for letter in letters if letters[letter] >= LEAST)
        return cls(known[:most], "".join(spelt), columns, encoding)

    def sizes(self) -> dict[str, Any]:
        """How many words and letters there are, padding and the unknown among them."""
        return {"vocabulary": len(self.words) + 2, "letters": len(self.letters) + 2}

    def transform(self, *, training: bool) -> Transform | None:
        """Nothing: words are looked up once."""
        return None

    def numbers(self, sentences: Sequence[Sequence[str]]) -> Ragged:
        """The words of each sentence as (T, 1 + letters) int32."""
        rows = {word: self._row(word) for word in {word for sentence in sentences for word in sentence}}
        return Ragged.of(
            (torch.from_numpy(np.array([rows[word] for word in sentence], np.int32)) for sentence in sentences),
            padding=PAD,
        )

    def _row(self, word: str) -> list[int]:
        spelt = word if len(word) <= LETTERS else word[: LETTERS // 2] + word[-LETTERS // 2 :]
        letters = [self._letters.get(letter, UNKNOWN) for letter in spelt]
        return [self._numbers.get(word, UNKNOWN), *letters, *[PAD] * (LETTERS - len(letters))]

    def read(self, given: Sequence[object]) -> tuple[list[str], Examples]:
        """Sentences, and files with a word a line, one after the other; the name of one is its words."""
        sentences: list[list[str]] = []
        for number, item in enumerate(given, 1):
            if isinstance(item, Sequence) and not isinstance(item, str) and item:
                sentences.append([str(word) for word in item])
            elif isinstance(item, str | Path):
                sentences += self._found(item)
            else:
                raise DataError(f"input {number}", "not a sentence", "give a text, a list of words, or a file")
        return [" ".join(sentence) for sentence in sentences], InMemory({"words": self.numbers(sentences)})

    def _found(self, item: str | Path) -> list[list[str]]:
        path = Path(item)
        if not on_disk(path, file=True):
            words = self.split(str(item))
            if not words:
                raise DataError("input", "there is no word in it", "give a sentence")
            return [words]
        sentences = read_columns(path, self.encoding)
        at = column_at(path, sentences[0], self.columns.word, "word") if len(sentences[0].rows[0]) > 1 else 0
        return [[row[at] for row in sentence.rows] for sentence in sentences]

    def split(self, text: str) -> list[str]:
        """The words of a text: what stands between spaces, cut further unless training knew it whole."""
        found: list[str] = []
        for part in text.split():
            found += [part] if part in self._numbers else _PARTS.findall(part)
        return found

    def to_json(self) -> dict[str, Any]:
        """The words, the letters, and how files are read."""
        return {
            "kind": self.word,
            "words": self.words,
            "letters": self.letters,
            "columns": [self.columns.word, self.columns.tag],
            "encoding": self.encoding,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> WordsKind:
        """The reverse of `to_json`."""
        found = read({key: value[key] for key in ("words", "letters")}, words=list, letters=str)
        return cls(found["words"], found["letters"], Columns(*map(int, value["columns"])), str(value["encoding"]))


class WordsMaterial(Material):
    """Sentences with a tag for every word, in memory."""

    word: ClassVar[str] = "words"

    def __init__(self, data: Tagged, most: int, columns: Columns, encoding: str) -> None:
        self.name, self.origin, self.labels, self.given = data.name, data.origin, data.tags, data.splits
        self.sentences: list[list[str]] = data.words.tolist()
        self._most, self._columns, self._encoding = most, columns, encoding
        self._kind: WordsKind | None = None

    def fit(self, rows: np.ndarray) -> WordsKind:
        """The vocabulary of these sentences."""
        return WordsKind.fit([self.sentences[row] for row in rows], self._most, self._columns, self._encoding)

    def examples(self, kind: Kind, columns: Mapping[str, Stored]) -> Examples:
        """All sentences, in memory."""
        assert isinstance(kind, WordsKind)
        self._kind = kind
        return InMemory({"words": kind.numbers(self.sentences), **columns})

    def facts(self) -> dict[str, Any]:
        """How long the sentences are, and what is known of their words."""
        assert self._kind is not None
        lengths = np.array([len(sentence) for sentence in self.sentences])
        known = set(self._kind.words)
        unknown = sum(word not in known for sentence in self.sentences for word in sentence) / lengths.sum()
        detail = f"{lengths.min():,} to {lengths.max():,} words, half of them up to {np.median(lengths):,.0f}; "
        detail += f"{len(known):,} different words are known by themselves, {unknown:.1%} of all by their letters alone"
        return {"noun": "sentences", "notes": {"sentences": detail}}

    def audit(self, task: str, splits: Mapping[str, np.ndarray]) -> list[str]:
        """Sentences of the test that are in training too, and tags that training never sees."""
        findings = []
        seen = {tuple(self.sentences[row]) for row in splits["train"]}
        twice = sum(tuple(self.sentences[row]) in seen for row in splits["test"])
        if twice:
            share = twice / len(splits["test"])
            said = "1 sentence of the test is" if twice == 1 else f"{twice:,} sentences of the test are"
            findings.append(f"{said} ({share:.1%}) in the training split too: that part of the test is easier")
        train = {tag for row in splits["train"] for tag in self.labels.iloc[row]}
        lacking = sorted({tag for tags in self.labels for tag in tags} - train)
        if lacking:
            named = ", ".join(map(repr, lacking[:5]))
            findings.append(f"no training sentence has the tag {named}: it cannot be learnt")
        return findings

    def show(self, row: int) -> Shown:
        """The sentence, as text and as words."""
        words = self.sentences[row]
        place = str(self.labels.index[row])
        return {"place": place, "picture": None, "row": {"sentence": " ".join(words)}, "words": words}

    def fingerprint(self) -> str:
        """Over all words, all tags, and the split that came along."""
        lines = ["\t".join([*words, "", *tags]) for words, tags in zip(self.sentences, self.labels, strict=True)]
        lines += [] if self.given is None else map(str, self.given)
        return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()[:16]
