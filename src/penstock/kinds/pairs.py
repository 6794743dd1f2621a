"""Texts in pairs, a text and what it becomes: the way in, and the way out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd

from penstock.core.errors import DataError
from penstock.core.objective import Evaluation
from penstock.data.encoding import read_text
from penstock.data.examples import Examples, InMemory
from penstock.data.pairs import MOST, Pairs
from penstock.data.paths import on_disk
from penstock.data.ragged import Ragged, Stored
from penstock.data.sources import Transform
from penstock.data.tokens import BOS, EOS, Tokenizer, TokenKind
from penstock.kinds.answer import Series
from penstock.kinds.graded import GradedAnswer
from penstock.kinds.kind import Kind, Material, Shown
from penstock.metrics.translation import bleu, chrf, exact_match

FEW_WORDS = 4.5
"""Words of a text, below which a typical text is a name or a number, or has no spaces: it is read by its characters."""


@dataclass(frozen=True)
class Cutting:
    """How texts are cut into tokens: of what kind, how many different ones, and how many a text may have."""

    tokens: Literal["auto"] | TokenKind = "auto"
    vocabulary: int = 8000
    longest: int = 256

    def learn(self, texts: Sequence[str]) -> Tokenizer:
        """The vocabulary of some texts."""
        return Tokenizer.train(self._kind(texts), texts, self.vocabulary)

    def cut(self, tokenizer: Tokenizer, texts: Sequence[str], places: Sequence[Any]) -> Ragged:
        """The tokens of each text, and the end. Raises DataError, with the place, for a text that is too long."""
        found = tokenizer.encode_all(texts, end=[EOS])
        too_long = np.flatnonzero((found.lengths - 1 > self.longest).numpy())
        if len(too_long):
            place, length = places[too_long[0]], int(found.lengths[too_long[0]]) - 1
            problem = f"a text of {length:,} tokens, where at most {self.longest:,} are taken"
            raise DataError(str(place), problem, "shorten it, or train with a larger --text.longest")
        return found

    def _kind(self, texts: Sequence[str]) -> TokenKind:
        if self.tokens != "auto":
            return self.tokens
        sample = texts[:: max(len(texts) // 1000, 1)]
        return "characters" if sum(len(text.split()) for text in sample) < FEW_WORDS * len(sample) else "bpe"


class SourceKind(Kind):
    """Tokens (B, S) int64 with an end, and how many of them are real (B,)."""

    word = "source"
    default_model = "gru"
    inputs = ("source", "source_length")

    def __init__(self, tokenizer: Tokenizer, longest: int, encoding: str) -> None:
        self.tokenizer, self.longest, self.encoding = tokenizer, longest, encoding

    def sizes(self) -> dict[str, Any]:
        """How many different tokens are read."""
        return {"vocabulary": self.tokenizer.size}

    def transform(self, *, training: bool) -> Transform | None:
        """Nothing: texts are cut once."""
        return None

    def cut(self, texts: Sequence[str], places: Sequence[Any]) -> Ragged:
        """See `Cutting.cut`."""
        return Cutting(longest=self.longest).cut(self.tokenizer, texts, places)

    def read(self, given: Sequence[object]) -> tuple[list[str], Examples]:
        """Texts, and the lines of text files that are not blank."""
        texts: list[str] = []
        places: list[str] = []
        for item in given:
            if not isinstance(item, str | Path):
                problem = f"cannot read {type(item).__name__} as text"
                raise DataError("input", problem, "give a text, or a file with a text on each line")
            lines = list(_lines(item, self.encoding))
            texts += [text for _, text in lines]
            places += [place for place, _ in lines]
        return texts, InMemory({"source": self.cut(texts, places)})

    def to_json(self) -> dict[str, Any]:
        """The vocabulary, how long a text may be, and the encoding of files."""
        tokenizer = self.tokenizer.to_json()
        return {"kind": self.word, "tokenizer": tokenizer, "longest": self.longest, "encoding": self.encoding}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> SourceKind:
        """The reverse of `to_json`."""
        return cls(Tokenizer.from_json(value["tokenizer"]), int(value["longest"]), str(value["encoding"]))


class PairMaterial(Material):
    """Pairs of texts in memory; the labels are what the sources become."""

    word: ClassVar[str] = "pairs"

    def __init__(self, pairs: Pairs, cutting: Cutting, encoding: str) -> None:
        self.name, self.origin, self.given = pairs.name, pairs.origin, pairs.splits
        self.labels = pd.Series(pairs.target, index=pairs.places, name="target", dtype=object)
        self.cutting = cutting
        self._pairs, self._encoding = pairs, encoding
        self._kind: SourceKind | None = None

    def fit(self, rows: np.ndarray) -> SourceKind:
        """The vocabulary of the sources of these rows."""
        tokenizer = self.cutting.learn([self._pairs.source[row] for row in rows])
        self._kind = SourceKind(tokenizer, self.cutting.longest, self._encoding)
        return self._kind

    def examples(self, kind: Kind, columns: Mapping[str, Stored]) -> Examples:
        """All sources as tokens, in memory."""
        assert isinstance(kind, SourceKind)
        return InMemory({"source": kind.cut(self._pairs.source, self._pairs.places), **columns})

    def facts(self) -> dict[str, Any]:
        """How long the sources are, and what they are cut into."""
        assert self._kind is not None
        return {"notes": {"source": described(self._kind.tokenizer, self._pairs.source)}}

    def audit(self, task: str, splits: Mapping[str, np.ndarray]) -> list[str]:
        """Pairs that are in training and in the test."""
        train = {(self._pairs.source[row], self._pairs.target[row]) for row in splits["train"]}
        known = sum((self._pairs.source[row], self._pairs.target[row]) in train for row in splits["test"])
        if not known:
            return []
        said = "1 pair of the test is" if known == 1 else f"{known:,} pairs of the test are"
        share = known / len(splits["test"])
        return [f"{said} ({share:.1%}) in the training split too: that part of the test is easier than new texts"]

    def show(self, row: int) -> Shown:
        """The source."""
        return {"place": self._pairs.places[row], "picture": None, "row": {"source": self._pairs.source[row]}}

    def fingerprint(self) -> str:
        """Over all texts, and the split that came along."""
        splits = () if self.given is None else map(str, self.given)
        words = [*self._pairs.source, *self._pairs.target, *splits]
        return hashlib.sha256("\x1f".join(words).encode("utf-8", "surrogatepass")).hexdigest()[:16]


class TargetAnswer(GradedAnswer):
    """A text, written token by token. `longest` is the number of tokens of the longest text in training."""

    word = "text"

    def __init__(self, tokenizer: Tokenizer, cutting: Cutting, longest: int, commonest: str) -> None:
        self.tokenizer, self.cutting, self.longest, self.commonest = tokenizer, cutting, longest, commonest
        self.outputs = tokenizer.size

    @classmethod
    def fit(cls, labels: Series[Any], rows: np.ndarray, cutting: Cutting | None = None) -> Self:
        """The vocabulary of the targets of these rows."""
        cutting = cutting if cutting is not None else Cutting()
        texts = labels.iloc[rows].tolist()
        tokenizer = cutting.learn(texts)
        longest = int(cutting.cut(tokenizer, texts, labels.index[rows].tolist()).lengths.max()) - 1
        return cls(tokenizer, cutting, longest, Counter(texts).most_common(1)[0][0])

    def encode(self, labels: Series[Any]) -> Stored:
        """Tokens from the beginning to the end."""
        texts = labels.tolist()
        self.cutting.cut(self.tokenizer, texts, labels.index.tolist())
        return self.tokenizer.encode_all(texts, begin=[BOS], end=[EOS])

    def facts(self, labels: Series[Any], splits: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """How long the targets are, and what they are written in."""
        detail = described(self.tokenizer, labels.tolist())
        return {"target": {"name": str(labels.name), "kind": self.word, "detail": detail}, "classes": None}

    def misfit(self, output: object, examples: int) -> tuple[str, str] | None:
        """Logits are (B, T, V)."""
        shape = tuple(getattr(output, "shape", ()))
        if len(shape) == 3 and shape[0] == examples and shape[2] == self.outputs:
            return None
        wanted = f"the data need ({examples}, steps, {self.outputs})"
        return f"it gives {shape} for {examples} examples, {wanted}", f"make its last layer {self.outputs} wide"

    def baseline(self, labels: Series[Any]) -> dict[str, Any]:
        """Always the same text."""
        truths = labels.tolist()
        found = [self.commonest] * len(truths)
        metrics = {
            "exact_match": exact_match(found, truths),
            "bleu": bleu(found, truths),
            "chrf": chrf(found, truths),
        }
        return {"name": f"always {self.commonest!r}, the commonest text", "metrics": metrics}

    def findings(self, evaluation: Evaluation) -> dict[str, Any]:
        """Nothing beside the mistakes: see `looks`."""
        return {}

    def looks(self, evaluation: Evaluation, source: Tokenizer) -> list[dict[str, Any]]:
        """Of the first examples: tokens read, tokens written, and where the model looked to write each, (T, S)."""
        records = evaluation.records
        if "looks" not in records:
            return []
        read_names, written_names = (_names(tokenizer) for tokenizer in (source, self.tokenizer))
        found = []
        for read, written, looks in zip(records["source"], records["written"], records["looks"], strict=False):
            tokens = [*(token for token in written.tolist() if token), EOS]
            steps = int((read != 0).sum())
            found.append(
                {
                    "read": [read_names[token] for token in read[:steps].tolist()],
                    "written": [written_names[token] for token in tokens],
                    "looks": [[round(value, 3) for value in row[:steps]] for row in looks[: len(tokens)].tolist()],
                }
            )
        return found

    def mistakes(self, evaluation: Evaluation, limit: int) -> list[tuple[int, dict[str, Any]]]:
        """The wrong texts of which the model was surest."""
        records = evaluation.records
        found, truths = (
            [self.tokenizer.decode(line) for line in records[name].tolist()] for name in ("written", "target")
        )
        wrong = [row for row in range(len(truths)) if found[row] != truths[row]]
        confidence = records["confidence"].tolist()
        worst = sorted(wrong, key=lambda row: -confidence[row])[:limit]
        return [(row, {"truth": truths[row], "predicted": found[row], "confidence": confidence[row]}) for row in worst]

    def say(self, outputs: Any) -> list[dict[str, Any]]:
        """The text, and the mean probability of its tokens."""
        return [
            {
                "prediction": self.tokenizer.decode(one.tokens),
                "probability": float(np.exp(one.logprob / (len(one.tokens) + 1))),
            }
            for one in outputs
        ]

    def to_json(self) -> dict[str, Any]:
        """The vocabulary, and how long texts may be."""
        return {
            "kind": self.word,
            "tokenizer": self.tokenizer.to_json(),
            "limit": self.cutting.longest,
            "longest": self.longest,
            "commonest": self.commonest,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TargetAnswer:
        """The reverse of `to_json`."""
        cutting = Cutting(longest=int(value["limit"]))
        return cls(Tokenizer.from_json(value["tokenizer"]), cutting, int(value["longest"]), str(value["commonest"]))


def described(tokenizer: Tokenizer, texts: Sequence[str]) -> str:
    """How long texts are, and what they are cut into."""
    lengths = [len(text) for text in texts]
    kind = {"bpe": "joined bytes (bpe)", "unigram": "likeliest parts (unigram)"}.get(tokenizer.kind, tokenizer.kind)
    middle = f"{min(lengths):,} to {max(lengths):,} characters, half of them up to {np.median(lengths):,.0f}"
    return f"{middle}; {tokenizer.size:,} different tokens: {kind}"


def _names(tokenizer: Tokenizer) -> list[str]:
    """How each token is shown."""
    return ["·" if piece == " " else "end" if at == EOS else piece for at, piece in enumerate(tokenizer.pieces())]


def _lines(item: str | Path, encoding: str) -> list[tuple[str, str]]:
    """The places and texts of a file's lines, or the text itself."""
    path = Path(item)
    if not on_disk(path, file=True):
        return [("input", str(item))]
    lines = enumerate(read_text(path, encoding, MOST).splitlines(), 1)
    return [(f"{path}:{number}", line.strip()) for number, line in lines if line.strip()]
