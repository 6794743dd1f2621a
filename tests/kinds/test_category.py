from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from penstock.core.errors import DataError
from penstock.core.objective import Evaluation
from penstock.kinds.category import CategoryAnswer

NAMES = ["狗", "猫", "鸟"]
LABELS = pd.Series(
    [NAMES[i] for i in (0, 1, 1, 2, 1, 0, 1, 2, 0, 1)], index=[f"t.csv:{i}" for i in range(10)], name="y"
)


def answer() -> CategoryAnswer:
    return CategoryAnswer.fit(LABELS, np.arange(6))


def evaluation(rows: int = 200) -> Evaluation:
    generator = torch.Generator().manual_seed(0)
    probability = torch.rand(rows, 3, generator=generator, dtype=torch.float64).softmax(1)
    target = torch.randint(0, 3, (rows,), generator=generator)
    return Evaluation({}, {"probability": probability, "target": target})


def test_classes_and_counts_are_of_training() -> None:
    found = answer()
    assert found.classes.names == NAMES
    assert found.counts == [2, 3, 1]
    assert found.outputs == 3
    assert found.encode(LABELS).tolist() == [0, 1, 1, 2, 1, 0, 1, 2, 0, 1]
    weights = found.class_weights()
    assert weights.tolist() == pytest.approx([6 / (3 * n) for n in (2, 3, 1)])
    with pytest.raises(DataError, match="'马'"):
        found.encode(pd.Series(["马"], index=["t.csv:1"], name="y"))


def test_facts_count_every_split() -> None:
    facts = answer().facts(LABELS, {"train": np.arange(6), "test": np.arange(6, 10)})
    assert facts["classes"] == [
        {"name": "狗", "train": 2, "test": 1},
        {"name": "猫", "train": 3, "test": 2},
        {"name": "鸟", "train": 1, "test": 1},
    ]
    assert facts["target"] == {"name": "y", "kind": "category", "detail": "3 classes"}


def test_the_baseline_is_the_commonest_class_of_training() -> None:
    found = answer().baseline(pd.Series(["狗", "狗", "狗", "猫"], index=list("abcd"), name="y"))
    assert "'猫'" in found["name"]
    assert found["metrics"] == {"accuracy": 0.25, "error": 0.75}


def test_findings_against_scikit_learn() -> None:
    records = evaluation().records
    found = answer().findings(evaluation())["classification"]
    predicted = records["probability"].argmax(1).numpy()
    assert found["classes"] == NAMES
    assert found["confusion"] == confusion_matrix(records["target"], predicted).tolist()
    for at, name in enumerate(("precision", "recall", "f1", "support")):
        expected = precision_recall_fscore_support(records["target"], predicted)[at]
        assert [row[name] for row in found["per_class"]] == pytest.approx(expected)
    assert sum(row["count"] for row in found["reliability"]["bins"]) == 200


def test_the_surest_mistakes_come_first() -> None:
    records = evaluation().records
    found = answer().mistakes(evaluation(), 5)
    probability, target = records["probability"].numpy(), records["target"].numpy()
    wrong = np.flatnonzero(probability.argmax(1) != target)
    expected = wrong[np.argsort(-probability.max(1)[wrong], kind="stable")][:5]
    assert [row for row, _ in found] == expected.tolist()
    for row, said in found:
        assert said["truth"] == NAMES[target[row]]
        assert said["predicted"] == NAMES[probability[row].argmax()]
        assert said["confidence"] == pytest.approx(probability[row].max())
    perfect = Evaluation({}, {"probability": torch.eye(3), "target": torch.arange(3)})
    assert answer().mistakes(perfect, 5) == []


def test_said_and_saved() -> None:
    again = CategoryAnswer.from_json(json.loads(json.dumps(answer().to_json())))
    (said,) = again.say(torch.tensor([[0.2, 0.7, 0.1]]))
    assert (said["prediction"], said["probability"]) == ("猫", pytest.approx(0.7))
    assert said["probabilities"] == pytest.approx(dict(zip(NAMES, (0.2, 0.7, 0.1))))
    assert again.counts == [2, 3, 1]
