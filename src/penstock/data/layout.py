"""How texts lie in a sequence of tokens: what stands before each, and after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, final

import torch
from torch import Tensor

from penstock.data.corpus import Corpus
from penstock.data.ragged import Ragged, Stored
from penstock.data.streams import compact
from penstock.data.tokens import BOS, EOS, PAD, SPECIAL, UNK, Tokenizer

TEXT = "<text>"
"""The special token between what is known about a text and the text."""


def special_for(fields: Sequence[str]) -> tuple[str, ...]:
    """The special tokens of a vocabulary for texts of which these fields are known."""
    return (*SPECIAL, *(f"<{name}>" for name in fields), *([TEXT] if fields else []))


@final
class Layout:
    """Texts to tokens.

    `apart`: each text by itself begins with BOS, what is known about it in `fields`, and ends with EOS; else all are
    one, with BOS before each if there are `several`.
    """

    def __init__(self, tokens: Tokenizer, *, apart: bool, several: bool, fields: Sequence[str] = ()) -> None:
        self.tokens, self.apart, self.several, self.fields = tokens, apart, several, list(fields)
        self._marks = range(len(SPECIAL), len(SPECIAL) + len(fields))  # the special token of each field
        self._text = [len(SPECIAL) + len(fields)] if fields else []

    @property
    def stop(self) -> int | None:
        """The token after which nothing follows; None: text runs on."""
        return EOS if self.apart else None

    @property
    def silent(self) -> set[int]:
        """Tokens that are never written."""
        return {PAD, UNK, BOS, EOS, *self._marks, *self._text}

    def encoded(self, corpus: Corpus) -> Stored:
        """All texts: rows, or one sequence (N,)."""
        if not self.apart:
            head = torch.tensor([BOS] if self.several else [], dtype=torch.int64)
            parts = [torch.from_numpy(self.tokens.encode_array(text)) for text in corpus.texts]
            return compact(torch.cat([piece for part in parts for piece in (head, part)]), self.tokens.size)
        rows = Ragged.of((self.row(text, known) for text, known in _with_fields(corpus, self.fields)), padding=PAD)
        return Ragged(compact(rows.values, self.tokens.size), rows.starts, padding=PAD)

    def row(self, text: str, known: Mapping[str, str]) -> list[int]:
        """A text by itself."""
        before = self.beginning(known, lambda ids, stop: ())
        return [*before, *self.tokens.encode(text), EOS]

    def beginning(self, known: Mapping[str, str], guess: Callable[[list[int], int], Sequence[int]]) -> list[int]:
        """What stands before a text; `guess` gives the tokens of a field that is not known, after those so far.

        It is told the token that follows the field.
        """
        if not self.apart:
            line = self.tokens.encode("\n")  # BOS is met too seldom for anything to be known about what follows it
            return [BOS] if UNK in line else line
        ids = [BOS]
        for mark, name in zip(self._marks, self.fields, strict=True):
            ids.append(mark)
            ids += self.tokens.encode(known[name]) if name in known else guess(ids, mark + 1)
        return ids + self._text

    def to_json(self) -> dict[str, Any]:
        """Everything needed to do the same again."""
        return {
            "tokens": self.tokens.to_json(),
            "apart": self.apart,
            "several": self.several,
            "fields": self.fields,
        }

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Self:
        """What `to_json` gave."""
        rest = {key: saved[key] for key in ("apart", "several", "fields")}
        return cls(Tokenizer.from_json(saved["tokens"]), **rest)


def tokens_in(stored: Stored) -> Tensor:
    """All tokens of texts, one after the other."""
    return stored.values if isinstance(stored, Ragged) else stored


def _with_fields(corpus: Corpus, fields: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    known = zip(*(corpus.fields[name] for name in fields), strict=True) if fields else [()] * len(corpus.texts)
    return [(text, dict(zip(fields, values, strict=True))) for text, values in zip(corpus.texts, known, strict=True)]
