"""Tags as answers: numbers and back, and what is found in an evaluation."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch

from penstock.core.errors import DataError
from penstock.core.objective import Evaluation
from penstock.kinds.tags import TagAnswer

LABELS = pd.Series(
    [["B-x", "I-x", "O"], ["O"], ["O", "O"], ["B-y", "O"]],
    index=["a:1", "a:5", "a:7", "a:10"],
    name="tag",
    dtype=object,
)
ROWS = np.array([0, 1, 2])


def test_tags_are_numbers_and_outside_comes_first() -> None:
    answer = TagAnswer.fit(LABELS, ROWS)
    assert answer.tags == ["O", "B-x", "I-x", "B-y"]
    assert answer.counts == [4, 1, 1, 0]
    padded, lengths = answer.encode(LABELS).padded(torch.tensor([0, 1]))
    assert padded.tolist() == [[1, 2, 0], [0, -100, -100]]
    assert lengths.tolist() == [3, 1]
    again = TagAnswer.from_json(json.loads(json.dumps(answer.to_json())))
    assert again.to_json() == answer.to_json()


def test_labels_that_cannot_be() -> None:
    answer = TagAnswer.fit(LABELS, ROWS)
    with pytest.raises(DataError, match="b:2: 'B-xx' is none of the 4 tags of training; did you mean 'B-x'"):
        answer.encode(pd.Series([["O", "B-xx"]], index=["b:2"], dtype=object))
    with pytest.raises(DataError, match="every word has the same tag, 'O'"):
        TagAnswer.fit(LABELS.iloc[[1, 2]], np.array([0]))
    many = pd.Series([[str(i) for i in range(1001)]], index=["a:1"], dtype=object)
    with pytest.raises(DataError, match="1,001 different tags"):
        TagAnswer.fit(many, np.array([0]))


def test_facts_count_spans_where_tags_mark_them() -> None:
    facts = TagAnswer.fit(LABELS, ROWS).facts(LABELS, {"train": ROWS, "test": np.array([3])})
    assert facts["classes"] == [{"name": "x", "train": 1, "test": 0}, {"name": "y", "train": 0, "test": 1}]
    plain = LABELS.map(lambda tags: ["N" if tag == "O" else "V" for tag in tags])
    facts = TagAnswer.fit(plain, ROWS).facts(plain, {"train": ROWS, "test": np.array([3])})
    assert facts["classes"] == [{"name": "N", "train": 4, "test": 1}, {"name": "V", "train": 2, "test": 1}]


def test_what_does_not_fit() -> None:
    answer = TagAnswer.fit(LABELS, ROWS)
    assert answer.misfit(torch.zeros(2, 5, 4), 2) is None
    found = answer.misfit(torch.zeros(2, 4), 2)
    assert found is not None
    assert "(2, words, 4)" in found[0]


def test_the_trivial_answer() -> None:
    found = TagAnswer.fit(LABELS, ROWS).baseline(LABELS)
    assert found["name"] == "always 'O', the commonest tag"
    assert found["metrics"] == {"accuracy": 5 / 8, "error": 3 / 8, "f1": 0.0, "exact_match": 0.5}


def evaluation() -> Evaluation:
    """The first sentence lacks the end of its span; the last has one word wrong, less surely."""
    records = {
        "predicted": torch.tensor([1, 0, 0, 0, 0, 0, 1, 0]),
        "target": torch.tensor([1, 2, 0, 0, 0, 0, 3, 0]),
        "probability": torch.tensor([0.9, 0.8, 0.9, 0.9, 0.9, 0.9, 0.6, 0.9]),
        "length": torch.tensor([3, 1, 2, 2]),
    }
    return Evaluation({}, records)


def test_findings_and_mistakes() -> None:
    answer = TagAnswer.fit(LABELS, ROWS)
    found = answer.findings(evaluation())["classification"]
    assert found["classes"] == answer.tags
    assert found["confusion"] == [[5, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]]
    assert [(row["name"], row["recall"], row["support"]) for row in found["per_class"]] == [("x", 0, 1), ("y", 0, 1)]
    mistakes = answer.mistakes(evaluation(), 9)
    assert [row for row, _ in mistakes] == [0, 3]
    assert mistakes[0][1] == {
        "truth": "I-x",
        "predicted": "O",
        "confidence": pytest.approx(0.8),
        "tags": ["B-x", "O", "O"],
        "true_tags": ["B-x", "I-x", "O"],
    }
    assert len(answer.mistakes(evaluation(), 1)) == 1


def test_what_is_said_of_a_sentence() -> None:
    answer = TagAnswer.fit(LABELS, ROWS)
    (said,) = answer.say([(torch.tensor([1, 2, 0]), torch.tensor([0.5, 0.75, 1.0]))])
    assert said["prediction"] == "B-x I-x O"
    assert said["tags"] == ["B-x", "I-x", "O"]
    assert said["confidences"] == [0.5, 0.75, 1.0]
    assert said["spans"] == [{"kind": "x", "first": 0, "end": 2}]
