"""Transcripts: to tokens and back, what is shown of mistakes, and when each sign was heard."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from penstock.core.errors import DataError
from penstock.core.objective import Evaluation
from penstock.kinds.transcript import Decoding, TranscriptAnswer

LABELS: pd.Series[Any] = pd.Series(["ab a", "b", "ba", "ba"], index=list("wxyz"), name="said", dtype=object)


def answer(**settings: Any) -> TranscriptAnswer:
    return TranscriptAnswer.fit(LABELS, np.arange(4), **settings)


def test_to_tokens_and_back() -> None:
    found = answer()
    tokens = found.encode(LABELS)
    assert found.outputs == 5  # blank, unknown, space, a and b
    assert [found.spell(tokens[row].tolist()) for row in range(4)] == list(LABELS)
    assert all(int(tokens[row].min()) > 1 for row in range(4))
    assert found.encode(pd.Series(["zb"], dtype=object))[0][0] == 1
    assert answer(units="words").outputs == 2 + 4


@pytest.mark.parametrize("missing", [None, "", "  "])
def test_a_transcript_that_is_missing(missing: object) -> None:
    with pytest.raises(DataError, match="x: there is no transcript"):
        answer().encode(pd.Series(["a", missing], index=["w", "x"], dtype=object))


def test_it_comes_back_from_json() -> None:
    found = answer(decoding=Decoding(width=8, order=2, weight=2.0))
    again = TranscriptAnswer.from_json(json.loads(json.dumps(found.to_json())))
    logprob = torch.randn(3, 6, 5, generator=torch.Generator().manual_seed(0)).log_softmax(2)
    lengths = torch.tensor([6, 4, 2])
    assert again.decode(logprob, lengths) == found.decode(logprob, lengths)
    assert again.decode(logprob, lengths) != answer().decode(logprob, lengths)
    assert again.outputs == found.outputs


def evaluation(found: TranscriptAnswer) -> Evaluation:
    space, a, b = (found.tokenizer.encode(letter)[0] for letter in " ab")
    path = torch.tensor([[0, a, a, 0, b, 0, 0, 0], [b, b, b, b, -1, -1, -1, -1], [0, 0, 0, b, -1, -1, -1, -1]])
    return Evaluation(
        {},
        {
            "path": path,
            "probability": torch.where(path >= 0, 0.5 + path / 100, -1.0),
            "said": torch.tensor([[a, b, -1], [b, -1, -1], [b, -1, -1]]),
            "target": torch.tensor([[a, b, space, a], [b, -1, -1, -1], [b, a, -1, -1]]),
        },
    )


def test_the_worst_mistakes_come_first_and_right_ones_last() -> None:
    found = answer()
    rows = found.mistakes(evaluation(found), 24)
    assert [row for row, _ in rows] == [0, 2, 1]
    first = rows[0][1]
    assert (first["truth"], first["predicted"], first["residual"]) == ("ab a", "ab", 2.0)
    assert [(p["text"], p["begin"], p["end"]) for p in first["alignment"]] == [("a", 1 / 8, 3 / 8), ("b", 4 / 8, 5 / 8)]
    assert [(p["text"], p["begin"], p["end"]) for p in rows[2][1]["alignment"]] == [("b", 0, 1)]


def test_what_does_not_fit() -> None:
    found = answer()
    assert found.misfit(torch.zeros(2, 7, 5), 2) is None
    assert found.misfit(torch.zeros(2, 7, 4), 2) is not None
    assert found.misfit(torch.zeros(2, 5), 2) is not None
    assert found.baseline(LABELS)["metrics"]["cer"] == 1
    assert found.say([[3], []]) == [{"prediction": found.spell([3])}, {"prediction": ""}]
