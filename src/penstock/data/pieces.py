"""Words and parts of words, by a vocabulary of the `tokenizers` library."""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, final

import numpy as np

from penstock.core.errors import CheckpointError, RecipeError
from penstock.data.codecs import UNKNOWN, Codec, Ids

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # its threads do not survive the fork of a loader's workers

SPACE = "▁"
"""The space before a word, as the words and pieces of a vocabulary have it."""

_ALONE = r"[\p{Han}\p{Hiragana}\p{Katakana}]"  # scripts without spaces between words
_WORDS = rf"{SPACE}?[[\p{{L}}\p{{M}}\p{{N}}]&&[^\p{{Han}}\p{{Hiragana}}\p{{Katakana}}]]+"
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_LONGEST = 1 << 16  # characters of a line that are looked at together; a longer line is cut
_LINES = 1000  # lines given to the library at once


@final
class Pieces(Codec):
    """Words, or parts of words, by a vocabulary of the `tokenizers` library.

    "words": whole words and signs; Han characters and kana, which know no spaces, are words one by one. "bpe": joined
    bytes (Sennrich et al. 2016, section 3.2; bytes as in Radford et al. 2019, section 2.2): nothing is unknown.
    "unigram": the likeliest parts (Kudo 2018, section 3.2), of runs of characters where there are no spaces. A line is
    cut on its own; in words and unigram a word carries the space before it, and the first of a line is like the others.
    """

    def __init__(self, kind: str, library: Any, special: Sequence[str], unknown: int) -> None:
        self.kind, self._library, self._unknown = kind, library, unknown
        self._special, self._marks = special, kind != "bpe"
        size = library.get_vocab_size()
        self._all = [library.id_to_token(i) or "" for i in range(size)]
        if self._all[: len(special)] != list(special):
            raise CheckpointError("tokens", "the vocabulary does not begin with its special tokens", "restore the file")
        self._bytes = _byte_of_letter()

    @classmethod
    def train(cls, kind: str, texts: Iterable[str], size: int, special: Sequence[str], unknown: int) -> Pieces:
        """A vocabulary of at most `size` tokens. Raises RecipeError where it is too small for the bytes or signs."""
        from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

        marks = kind != "bpe"
        common: dict[str, Any] = {"vocab_size": size, "special_tokens": list(special), "show_progress": False}
        splitting: Any
        if kind == "bpe":
            if size < 256 + len(special):
                remedy = f"give {256 + len(special)} or more"
                raise RecipeError("tokens.size", f"{size} is too few for the 256 bytes", remedy)
            model: Any = models.BPE()
            splitting = pre_tokenizers.ByteLevel(add_prefix_space=False)
            trainer: Any = trainers.BpeTrainer(
                **common, min_frequency=2, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())
            )
        elif kind == "words":
            model = models.WordLevel(unk_token=special[unknown])
            splitting = pre_tokenizers.Split(Regex(f"{_WORDS}|{_ALONE}|.|\\n"), "isolated")
            trainer = trainers.WordLevelTrainer(**common)
        else:
            model = models.Unigram()
            splitting = pre_tokenizers.Split(Regex(f"{_WORDS}|{_ALONE}+|.|\\n"), "isolated")
            trainer = trainers.UnigramTrainer(**common, unk_token=special[unknown])
        library = Tokenizer(model)
        library.pre_tokenizer = splitting
        try:
            library.train_from_iterator((line for text in texts for line in _lines(text, marks)), trainer)
        except Exception as error:  # noqa: BLE001 - the library has no other type
            problem = f"no {kind} vocabulary of {size} can be trained ({error})"
            raise RecipeError("tokens.size", problem, "give another size, or characters") from None
        saved = json.loads(library.to_str()) | {"added_tokens": []}  # or it would look for special tokens in the text
        return cls(kind, Tokenizer.from_str(json.dumps(saved)), special, unknown)

    @property
    def pieces(self) -> Sequence[str]:
        """The pieces; those of bpe as text where they are whole characters."""
        return [self._text(i) for i in range(len(self._special), len(self._all))]

    def encode(self, text: str) -> Ids:
        """The numbers of each line, one line after the other."""
        found: list[Ids] = []
        for lines in _several(_lines(text, self._marks)):
            cut = self._library.encode_batch_fast(lines, add_special_tokens=False)
            found.extend(np.asarray(encoding.ids, np.int64) for encoding in cut)
        return np.concatenate(found) if found else np.zeros(0, np.int64)

    def decode(self, ids: Sequence[int]) -> str:
        """The text."""
        if self._marks:
            pieces = (UNKNOWN if i == self._unknown else self._all[i] for i in ids)
            text = "".join(pieces).replace(f"\n{SPACE}", "\n").removeprefix(SPACE)
            return text.replace(SPACE, " ")
        letters = "".join(self._all[i] for i in ids if i != self._unknown)
        return bytes(self._bytes[letter] for letter in letters).decode("utf-8", "replace")

    def characters(self) -> list[int]:
        """In bpe a character counts with its first byte; else a line break counts with the mark of the next line."""
        if self._marks:
            return [len(piece) - piece.count("\n") for piece in self._all[len(self._special) :]]
        whole = ([self._bytes[letter] for letter in piece] for piece in self._all[len(self._special) :])
        return [sum(byte & 0xC0 != 0x80 for byte in piece) for piece in whole]

    def to_json(self) -> dict[str, Any]:
        """The library's own form."""
        return {"library": json.loads(self._library.to_str())}

    @classmethod
    def from_json(cls, saved: Any, special: Sequence[str], unknown: int) -> Pieces:
        """See `Codec`."""
        from tokenizers import Tokenizer

        try:
            library = Tokenizer.from_str(json.dumps(saved["library"]))
        except Exception as error:  # noqa: BLE001 - the library has no other type
            raise CheckpointError("tokens", f"not a vocabulary ({error})", "restore the file") from None
        return cls(saved["kind"], library, special, unknown)

    def _text(self, number: int) -> str:
        piece = self._all[number]
        if self._marks:
            return piece
        whole = bytes(self._bytes[letter] for letter in piece)
        try:
            return whole.decode()
        except UnicodeDecodeError:
            return "".join(f"<{byte:02X}>" for byte in whole)


def _lines(text: str, marks: bool) -> Iterator[str]:
    """The lines with their ends; with `marks`, spaces as `SPACE`, and one before each line."""
    for found in _LINE.finditer(text):
        for at, part in enumerate(_cut(found[0])):
            yield part if not marks else (SPACE if at == 0 else "") + part.replace(" ", SPACE)


def _cut(line: str) -> Iterator[str]:
    """A line in parts of at most `_LONGEST`, at spaces where there are any."""
    start = 0
    while len(line) - start > _LONGEST:
        space = line.rfind(" ", start + 1, start + _LONGEST)
        end = space if space > 0 else start + _LONGEST
        yield line[start:end]
        start = end
    yield line[start:]


def _several(lines: Iterator[str]) -> Iterator[list[str]]:
    while some := list(itertools.islice(lines, _LINES)):
        yield some


def _byte_of_letter() -> dict[str, int]:
    """The letters by which a byte-level vocabulary writes bytes (Radford et al. 2019): printable ones as themselves."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = (byte for byte in range(256) if byte not in printable)
    return {chr(b): b for b in printable} | {chr(256 + at): byte for at, byte in enumerate(others)}
