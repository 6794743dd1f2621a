"""An answer that is a text, written down as it is heard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any, Literal, Self

import numpy as np
from torch import Tensor

from penstock.core.errors import DataError
from penstock.core.objective import Evaluation
from penstock.data.cells import place, texts
from penstock.data.ragged import Ragged
from penstock.data.tokens import Tokenizer, TokenKind
from penstock.decoding.ctc import BLANK, PrefixBeam, greedy
from penstock.decoding.ngram import NGram
from penstock.kinds.answer import Series
from penstock.kinds.graded import GradedAnswer
from penstock.metrics.edits import edit_distance

SPECIAL = ("<blank>", "<unk>")
RIGHT = 4
"""Examples without a mistake that are shown, too."""


@dataclass(frozen=True)
class Decoding:
    """How outputs become text: prefix beam search where `width` is above 1, with a language of n-grams where `order` is
    above 0; see `PrefixBeam`."""

    width: int = 1
    order: int = 0
    weight: float = 0.5
    bonus: float = 0.5


class TranscriptAnswer(GradedAnswer):
    """Texts in the tokens that the training transcripts have taught."""

    word = "transcript"

    def __init__(self, tokenizer: Tokenizer, decoding: Decoding, language: NGram | None) -> None:
        self.tokenizer, self.decoding, self.language = tokenizer, decoding, language
        self.outputs = tokenizer.size

    @classmethod
    def fit(
        cls,
        labels: Series[Any],
        rows: np.ndarray,
        *,
        units: Literal["auto"] | TokenKind = "auto",
        vocabulary: int = 1000,
        decoding: Decoding = Decoding(),
    ) -> Self:
        """The tokens, and the language if there is to be one, of the training transcripts."""
        found = _written(labels.iloc[rows])
        kind: TokenKind = "characters" if units == "auto" else units
        tokenizer = Tokenizer.train(kind, found, vocabulary, SPECIAL)
        language = None
        if decoding.order:
            language = NGram.fit(map(tokenizer.encode, found), order=decoding.order, size=tokenizer.size)
        return cls(tokenizer, decoding, language)

    def encode(self, labels: Series[Any]) -> Ragged:
        """Tokens of each transcript. Raises DataError for one that is missing or empty."""
        return self.tokenizer.encode_all(_written(labels))

    def decode(self, logprob: Tensor, lengths: Tensor) -> list[list[int]]:
        """Log-probabilities (B, T, V) and lengths (B,) to tokens."""
        if self.decoding.width == 1:
            return greedy(logprob, lengths)
        how = self.decoding
        beam = PrefixBeam(width=how.width, language=self.language, weight=how.weight, bonus=how.bonus)
        return beam(logprob, lengths)

    def spell(self, tokens: Sequence[int]) -> str:
        """Tokens to text."""
        return self.tokenizer.decode(tokens)

    def facts(self, labels: Series[Any], splits: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """How long the transcripts are, and what they are made of."""
        lengths = np.array([len(text) for text in _written(labels)])
        detail = f"{lengths.min():,} to {lengths.max():,} characters; {self.outputs} tokens ({self.tokenizer.kind})"
        return {"target": {"name": str(labels.name), "kind": self.word, "detail": detail}}

    def misfit(self, output: object, examples: int) -> tuple[str, str] | None:
        """It must give (B, T, outputs)."""
        if isinstance(output, Tensor) and output.ndim == 3 and output.shape[::2] == (examples, self.outputs):
            return None
        shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        wanted = f"({examples}, steps, {self.outputs})"
        return f"it gives {shape} for {examples} sounds, the transcripts need {wanted}", f"make it give {wanted}"

    def baseline(self, labels: Series[Any]) -> dict[str, Any]:
        """The best that can be said without listening: nothing."""
        return {"name": "saying nothing", "metrics": {"cer": 1.0, "wer": 1.0, "exact_match": 0.0}}

    def findings(self, evaluation: Evaluation) -> dict[str, Any]:
        """All that is drawn stands with the examples."""
        return {}

    def mistakes(self, evaluation: Evaluation, limit: int) -> list[tuple[int, dict[str, Any]]]:
        """Those with the most wrong characters first; then a few without any, all with what was heard when."""
        said, truth = (self._texts(evaluation.records[name]) for name in ("said", "target"))
        edits = [edit_distance(one, other) for one, other in zip(said, truth, strict=True)]
        order = sorted(range(len(edits)), key=lambda row: -edits[row])
        wrong = [row for row in order if edits[row]][: limit - RIGHT]
        right = [row for row in order if not edits[row]][:RIGHT]
        path, probability = evaluation.records["path"], evaluation.records["probability"]
        return [
            (
                row,
                {
                    "truth": truth[row],
                    "predicted": said[row],
                    "residual": float(edits[row]),
                    "alignment": self._alignment(path[row], probability[row]),
                },
            )
            for row in wrong + right
        ]

    def _alignment(self, path: Tensor, probability: Tensor) -> list[dict[str, Any]]:
        """What was heard from when to when, as shares of the sound, by the likeliest path (T,), filled up with -1."""
        steps = [(token, share) for token, share in zip(path.tolist(), probability.tolist()) if token >= 0]
        pieces, at = [], 0
        for token, run in groupby(steps, key=lambda step: step[0]):
            shares = [share for _, share in run]
            if token != BLANK:
                piece = {"text": self.spell([token]), "begin": at / len(steps), "end": (at + len(shares)) / len(steps)}
                pieces.append(piece | {"probability": max(shares)})
            at += len(shares)
        return pieces

    def _texts(self, tokens: Tensor) -> list[str]:
        return [self.spell([token for token in row if token >= 0]) for row in tokens.tolist()]

    def say(self, outputs: Any) -> list[dict[str, Any]]:
        """The text of each list of tokens."""
        return [{"prediction": self.spell(tokens)} for tokens in outputs]

    def to_json(self) -> dict[str, Any]:
        """Tokens and language."""
        return {
            "kind": self.word,
            "tokenizer": self.tokenizer.to_json(),
            "decoding": asdict(self.decoding),
            "language": None if self.language is None else self.language.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TranscriptAnswer:
        """The reverse of `to_json`."""
        language = value["language"]
        found = None if language is None else NGram.from_json(language)
        return cls(Tokenizer.from_json(value["tokenizer"]), Decoding(**value["decoding"]), found)


def _written(labels: Series[Any]) -> list[str]:
    """Transcripts with single spaces. Raises DataError for one that is missing."""
    found = [" ".join((text or "").split()) for text in texts(labels)]
    for row, text in enumerate(found):
        if not text:
            raise DataError(place(labels, row), "there is no transcript", "write down what is said, or take it out")
    return found
