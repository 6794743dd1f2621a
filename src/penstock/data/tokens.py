"""Text to token numbers and back, by a vocabulary that is learnt from the training text and travels with the model."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Literal, final, get_args

import torch
from torch import Tensor

from penstock.core.errors import CheckpointError, DataError, RecipeError, ResourceError, suggest
from penstock.core.files import read_json, write_json
from penstock.data.codecs import Bytes, Characters, Codec, Ids
from penstock.data.named import cache_folder
from penstock.data.pieces import Pieces
from penstock.data.ragged import Ragged

TokenKind = Literal["characters", "bytes", "words", "bpe", "unigram"]

SPECIAL = ("<pad>", "<unk>", "<bos>", "<eos>")
"""The tokens that stand for no text, and come first."""
PAD, UNK, BOS, EOS = range(4)
_UNKNOWN = SPECIAL[UNK]


@final
class Tokenizer:
    """A fitted vocabulary of `size` tokens: the `special` ones, and those that stand for text.

    Text is never taken for a special token, whatever is written in it.
    """

    def __init__(self, codec: Codec, special: Sequence[str] = SPECIAL) -> None:
        self._codec, self.special = codec, tuple(special)
        self.size = len(self.special) + len(codec.pieces)

    @classmethod
    def train(
        cls, kind: TokenKind, texts: Iterable[str], size: int = 8000, special: Sequence[str] = SPECIAL
    ) -> Tokenizer:
        """Learn a vocabulary of at most `size` tokens, `special` included; "<unk>" must be among them.

        Raises DataError where there is no text, RecipeError for a kind or a size that cannot be.
        """
        if kind not in get_args(TokenKind):
            raise RecipeError("tokens.kind", f"there is no kind {kind!r}", suggest(kind, get_args(TokenKind)))
        unknown = special.index(_UNKNOWN)
        if kind == "bytes":
            return cls(Bytes(len(special)), special)
        if size <= len(special):
            problem = f"{size} leaves no room beside {len(special)} special tokens"
            raise RecipeError("tokens.size", problem, f"give more than {len(special)}")
        met = _Met(texts)
        if kind == "unigram":
            return _kept(met, size, special)
        found = Characters.train if kind == "characters" else partial(Pieces.train, kind)
        codec = found(met, size, special, unknown)
        met.refuse_nothing()
        return cls(codec, special)

    @property
    def kind(self) -> str:
        """What its tokens are."""
        return self._codec.kind

    def encode(self, text: str) -> list[int]:
        """The tokens of a text; no special ones are added."""
        found: list[int] = self._codec.encode(text).tolist()
        return found

    def encode_array(self, text: str) -> Ids:
        """As `encode`, for long texts: (T,) int64."""
        return self._codec.encode(text)

    def encode_all(self, texts: Iterable[str], *, begin: Sequence[int] = (), end: Sequence[int] = ()) -> Ragged:
        """The tokens of many texts, each between those of `begin` and `end`."""
        head, tail = torch.tensor(begin, dtype=torch.int64), torch.tensor(end, dtype=torch.int64)
        rows = (torch.cat([head, torch.from_numpy(self._codec.encode(text)), tail]) for text in texts)
        return Ragged.of(rows, padding=PAD)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of tokens: special ones are left out, the unknown reads as U+FFFD."""
        unknown = self.special.index(_UNKNOWN)
        return self._codec.decode([i for i in map(int, ids) if i >= len(self.special) or i == unknown])

    def pieces(self) -> list[str]:
        """Every token as a vocabulary shows it."""
        return [*self.special, *self._codec.pieces]

    def characters(self) -> Tensor:
        """How many characters of text each token stands for: (size,) int64."""
        own = [int(name == _UNKNOWN) for name in self.special]
        return torch.tensor(own + self._codec.characters())

    def digest(self) -> str:
        """By which two vocabularies are told apart."""
        return hashlib.sha256(json.dumps(self.to_json()).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """Everything needed to do the same again."""
        return {"kind": self.kind, "special": list(self.special), **self._codec.to_json()}

    @classmethod
    def from_json(cls, saved: Any) -> Tokenizer:
        """What `to_json` gave. Raises CheckpointError where it is damaged."""
        codecs: dict[str, type[Codec]] = {"characters": Characters, "bytes": Bytes}
        try:
            special = tuple(saved["special"])
            codec = codecs.get(saved["kind"], Pieces).from_json(saved, special, special.index(_UNKNOWN))
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError("tokens", f"not a vocabulary ({error})", "restore the file") from None
        return cls(codec, special)


def _kept(met: _Met, size: int, special: Sequence[str]) -> Tokenizer:
    """A unigram vocabulary, from the cache where these texts have been learnt from before.

    The library's training is not the same twice, and a resumed run must find the same vocabulary.
    """
    texts = list(met)
    met.refuse_nothing()
    digest = hashlib.sha256(json.dumps([size, *special]).encode())
    for text in texts:
        digest.update(text.encode("utf-8", "replace") + b"\0")
    place = cache_folder() / "vocabularies" / f"{digest.hexdigest()[:32]}.json"
    if place.is_file():
        with contextlib.suppress(CheckpointError):
            return Tokenizer.from_json(read_json(place))
    found = Tokenizer(Pieces.train("unigram", texts, size, special, special.index(_UNKNOWN)), special)
    with contextlib.suppress(ResourceError, OSError):  # training goes on; its resumption would say that they differ
        place.parent.mkdir(parents=True, exist_ok=True)
        write_json(place, found.to_json())
    return found


class _Met:
    """Hands texts on, and knows whether there was anything in them."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts, self._any = texts, False

    def __iter__(self) -> Iterator[str]:
        for text in self._texts:
            self._any = self._any or bool(text)
            yield text

    def refuse_nothing(self) -> None:
        """Raises DataError where all texts were empty."""
        if not self._any:
            raise DataError("text", "there is no text to learn a vocabulary from", "give a text that is not empty")
