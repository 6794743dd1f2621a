"""Texts: cut into tokens by a vocabulary that the training texts have taught."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch

from penstock.core.errors import DataError, suggest
from penstock.data.cells import texts as text_cells
from penstock.data.encoding import read_text
from penstock.data.examples import Examples, InMemory
from penstock.data.opened import ReadOptions, TextData
from penstock.data.opening import MOST_OF_A_TEXT, TABLE_SUFFIXES
from penstock.data.paths import missing, on_disk
from penstock.data.ragged import Ragged, Stored
from penstock.data.sources import Transform
from penstock.data.texts import TEXTS, text_files
from penstock.data.tokens import PAD, UNK, Tokenizer, TokenKind
from penstock.kinds.audit import asked, audit_contents
from penstock.kinds.kind import Kind, Material, Shown

MOST_TOKENS = 256
"""Of a text, where no number is given: what comes later is not read."""
SHORT = 30
"""Characters, below which a typical text is a name or a word: it is read by its characters."""
EXCERPT = 400

_CHINESE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")


@dataclass(frozen=True)
class ReadTexts:
    """How texts are cut into tokens; see recipes.settings.TextSettings."""

    tokens: Literal["auto", "characters", "bytes", "words", "bpe", "unigram"] = "auto"
    vocabulary: int = 8000
    longest: int | None = None


class TextKind(Kind):
    """Tokens (B, T) int64 and how many of them are real (B,)."""

    word = "text"
    default_model = "bag"
    inputs = ("tokens", "tokens_length")

    def __init__(self, tokenizer: Tokenizer, longest: int, column: str | None, reading: ReadOptions) -> None:
        self.tokenizer, self.longest, self.column, self.reading = tokenizer, longest, column, reading

    def sizes(self) -> dict[str, Any]:
        """How many different tokens there are."""
        return {"vocabulary": self.tokenizer.size}

    def transform(self, *, training: bool) -> Transform | None:
        """Nothing: texts are cut once."""
        return None

    def tokens(self, texts: Sequence[str]) -> Ragged:
        """The first `longest` tokens of each text; one that has none is one unknown token."""
        rows = [self.tokenizer.encode_array(text)[: self.longest] for text in texts]
        return Ragged.of((torch.from_numpy(row) if len(row) else torch.tensor([UNK]) for row in rows), padding=PAD)

    def read(self, given: Sequence[object]) -> tuple[list[str], Examples]:
        """Texts, text files, folders of them, and tables with the column that training read, one after the other."""
        names: list[str] = []
        texts: list[str] = []
        for item in given:
            for name, text in self._found(item):
                names.append(name)
                texts.append(text)
        return names, InMemory({"tokens": self.tokens(texts)})

    def _found(self, item: object) -> list[tuple[str, str]]:
        if isinstance(item, pd.DataFrame):
            return self._cells(item, "the table")
        if isinstance(item, Mapping):
            return self._cells(pd.DataFrame([dict(item)], index=["input"], dtype=object), "the row")
        if not isinstance(item, str | Path):
            problem = f"cannot read {type(item).__name__} as text"
            raise DataError("input", problem, "give a text, a file, a folder or a table")
        path = Path(item)
        if not on_disk(path):
            if isinstance(item, Path) or (
                " " not in item and item.lower().endswith((*TEXTS.suffixes, *TABLE_SUFFIXES))
            ):
                raise missing(path)
            return [(str(item), str(item))]
        if self.column is not None and path.name.endswith(TABLE_SUFFIXES) and not TEXTS.has(path.name):
            return self._cells(self.reading.read(path), str(path))
        files = text_files(path)
        return [(str(file), read_text(file, self.reading.encoding, MOST_OF_A_TEXT)) for file in files]

    def _cells(self, frame: pd.DataFrame, where: str) -> list[tuple[str, str]]:
        names = [str(name) for name in frame.columns]
        column = self.column or (names[0] if len(names) == 1 else "text")
        if column not in names:
            raise DataError(where, f"there is no column {column!r} with texts", suggest(column, names))
        cells = text_cells(frame[column])
        return [(str(place), cell or "") for place, cell in zip(frame.index, cells, strict=True)]

    def to_json(self) -> dict[str, Any]:
        """The vocabulary, how much of a text is read, and where the texts are in a table."""
        return {
            "kind": self.word,
            "tokenizer": self.tokenizer.to_json(),
            "longest": self.longest,
            "column": self.column,
            "reading": self.reading.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TextKind:
        """The reverse of `to_json`."""
        tokenizer = Tokenizer.from_json(value["tokenizer"])
        return cls(tokenizer, int(value["longest"]), value["column"], ReadOptions(**value["reading"]))


class TextMaterial(Material):
    """Texts with a label each, in memory."""

    word: ClassVar[str] = "text"

    def __init__(self, data: TextData, how: ReadTexts, reading: ReadOptions) -> None:
        self.name, self.origin, self.texts = data.name, data.origin, data.texts
        self.labels, self.given = data.labels, data.splits
        self._data, self._how, self._reading = data, how, reading
        unlisted = ("target", "columns", "split.column", "table.delimiter", "table.missing", "table.present")
        self.foreign = ("image", "audio", "series", "table.scaling", *(unlisted if data.column is None else ()))
        self._fitted: TextKind | None = None
        self._cut = 0

    def fit(self, rows: np.ndarray) -> TextKind:
        """The vocabulary, from these texts."""
        train = [self.texts[row] for row in rows]
        tokenizer = Tokenizer.train(self._tokens(train), train, self._how.vocabulary)
        longest = self._how.longest or MOST_TOKENS
        kind = TextKind(tokenizer, longest, self._data.column, self._reading)
        self.decided = {"text": {"tokens": tokenizer.kind, "longest": longest}}
        return kind

    def examples(self, kind: Kind, columns: Mapping[str, Stored]) -> Examples:
        """All texts, cut into tokens, in memory."""
        assert isinstance(kind, TextKind)
        tokens = kind.tokens(self.texts)
        self._fitted, self._cut = kind, int((tokens.lengths == kind.longest).sum())
        return InMemory({"tokens": tokens, **columns})

    def facts(self) -> dict[str, Any]:
        """How long the texts are, and what they are cut into."""
        assert self._fitted is not None
        lengths = np.array([len(text) for text in self.texts])
        detail = f"{lengths.min():,} to {lengths.max():,} characters, half of them up to {np.median(lengths):,.0f}; "
        tokenizer, longest = self._fitted.tokenizer, self._fitted.longest
        detail += f"{tokenizer.size:,} different tokens ({tokenizer.kind}), the first {longest:,} of a text are read"
        if self._cut:
            detail += f": {self._cut:,} of {len(lengths):,} texts go on"
        return {"noun": "texts", "notes": {"texts": detail}}

    def audit(self, task: str, splits: Mapping[str, np.ndarray]) -> list[str]:
        """The same text in two splits or under two labels, imbalance, empty texts and classes."""
        findings = [f"class folder {name!r} has no text and is left out" for name in self._data.empty]
        if self._data.left_out:
            columns = ", ".join(map(repr, self._data.left_out))
            findings.append(f"only the texts are learnt from: other columns of the table are left out ({columns})")
        empty = [row for row, text in enumerate(self.texts) if not text.strip()]
        if empty:
            count = "1 text is" if len(empty) == 1 else f"{len(empty):,} texts are"
            findings.append(f"{count} empty ({self.labels.index[empty[0]]} first): nothing can be learnt from that")
        digests = [hashlib.blake2b(" ".join(text.split()).encode(), digest_size=16).digest() for text in self.texts]
        return findings + audit_contents(digests, self.labels, asked(task), splits, "texts")

    def show(self, row: int) -> Shown:
        """How the text begins."""
        text = self.texts[row]
        shown = text if len(text) <= EXCERPT else text[:EXCERPT] + "..."
        return {"place": str(self.labels.index[row]), "picture": None, "row": {"text": shown}}

    def fingerprint(self) -> str:
        """Over all texts, the labels, and the split that came along."""
        words = [*self.texts, *map(str, self.labels), *(() if self.given is None else map(str, self.given))]
        return hashlib.sha256("\x1f".join(words).encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def _tokens(self, texts: Sequence[str]) -> TokenKind:
        """What to cut by, where it is left open: characters where texts are short or Chinese, else words."""
        if self._how.tokens != "auto":
            return self._how.tokens
        sample = texts[:: max(len(texts) // 1000, 1)]
        letters = sum(map(len, sample))
        chinese = sum(len(_CHINESE.findall(text)) for text in sample)
        return "characters" if chinese > 0.3 * letters or letters < SHORT * len(sample) else "words"
