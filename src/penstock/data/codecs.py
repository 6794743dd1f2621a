"""Ways to cut text into tokens; characters and bytes are here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import CheckpointError

Ids = NDArray[np.int64]

UNKNOWN = "\ufffd"
"""What a token that stands for anything unknown reads as."""


class Codec(ABC):
    """Text to numbers from `first` on, and back; the numbers below are the special tokens'."""

    kind: str

    @property
    @abstractmethod
    def pieces(self) -> Sequence[str]:
        """What each number stands for, as a vocabulary shows it; that of `first` comes first."""

    @abstractmethod
    def encode(self, text: str) -> Ids:
        """The numbers of a text."""

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """The text of numbers; those of special tokens have been taken out, except that of the unknown."""

    @abstractmethod
    def characters(self) -> list[int]:
        """How many characters of text each number from `first` on stands for."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Everything needed to do the same again."""

    @classmethod
    @abstractmethod
    def from_json(cls, saved: Any, special: Sequence[str], unknown: int) -> Self:
        """What `to_json` gave. Raises CheckpointError."""


@final
class Characters(Codec):
    """Every character of the training text is a token, by its frequency."""

    kind = "characters"

    def __init__(self, letters: str, first: int, unknown: int) -> None:
        self._letters, self._first, self._unknown = letters, first, unknown
        self._numbers = {letter: at for at, letter in enumerate(letters, first)}

    @classmethod
    def train(cls, texts: Iterable[str], size: int, special: Sequence[str], unknown: int) -> Characters:
        """The most frequent characters, as many as there is room for."""
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(text)
        frequent = sorted(counts, key=lambda letter: (-counts[letter], letter))[: size - len(special)]
        return cls("".join(frequent), len(special), unknown)

    @property
    def pieces(self) -> Sequence[str]:
        """The characters."""
        return self._letters

    @cached_property
    def _table(self) -> Ids:
        """The number of each code point."""
        table = np.full(max(map(ord, self._letters), default=0) + 2, self._unknown, np.int64)
        for letter, number in self._numbers.items():
            table[ord(letter)] = number
        return table

    def encode(self, text: str) -> Ids:
        """One number a character."""
        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        return self._table[np.minimum(points, len(self._table) - 1)]

    def decode(self, ids: Sequence[int]) -> str:
        """One character a number."""
        return "".join(UNKNOWN if i == self._unknown else self._letters[i - self._first] for i in ids)

    def characters(self) -> list[int]:
        """One each."""
        return [1] * len(self._letters)

    def to_json(self) -> dict[str, Any]:
        """The characters in order."""
        return {"letters": self._letters}

    @classmethod
    def from_json(cls, saved: Any, special: Sequence[str], unknown: int) -> Characters:
        """See `Codec`."""
        letters = saved["letters"]
        if not isinstance(letters, str) or len(set(letters)) != len(letters):
            raise CheckpointError("tokens", "the characters are not a text of different ones", "restore the file")
        return cls(letters, len(special), unknown)


@final
class Bytes(Codec):
    """The 256 bytes of UTF-8: nothing is unknown, and nothing is learnt."""

    kind = "bytes"

    def __init__(self, first: int) -> None:
        self._first = first

    @property
    def pieces(self) -> Sequence[str]:
        """As they are printed."""
        return [chr(byte) if 32 <= byte < 127 else f"<{byte:02X}>" for byte in range(256)]

    def encode(self, text: str) -> Ids:
        """One number a byte."""
        return np.frombuffer(text.encode("utf-8", "replace"), np.uint8).astype(np.int64) + self._first

    def decode(self, ids: Sequence[int]) -> str:
        """The text; bytes that are no UTF-8 read as unknown."""
        return bytes(i - self._first for i in ids if i >= self._first).decode("utf-8", "replace")

    def characters(self) -> list[int]:
        """A character counts with its first byte."""
        return [int(byte & 0xC0 != 0x80) for byte in range(256)]

    def to_json(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    @classmethod
    def from_json(cls, saved: Any, special: Sequence[str], unknown: int) -> Bytes:
        """See `Codec`."""
        return cls(len(special))
