"""Pairs as material, the way in and the way out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from penstock.core.errors import DataError
from penstock.core.objective import Evaluation
from penstock.data.pairs import Pairs
from penstock.decoding.beam import Hypothesis
from penstock.kinds.pairs import Cutting, PairMaterial, SourceKind, TargetAnswer

SOURCE = ["one cat", "two cats", "one dog", "zebra"]
TARGET = ["一只猫", "两只猫", "一只狗", "斑马"]
TRAIN = np.array([0, 1, 2])


def material(**changes: object) -> PairMaterial:
    pairs = Pairs("animals", "animals.tsv", [f"animals.tsv:{i}" for i in range(1, 5)], SOURCE, TARGET)
    return PairMaterial(pairs, Cutting(**changes), "utf-8")  # type: ignore[arg-type]


def test_vocabularies_know_the_training_rows_only() -> None:
    made = material()
    kind, answer = made.fit(TRAIN), TargetAnswer.fit(made.labels, TRAIN, made.cutting)
    assert "z" not in kind.tokenizer.pieces()
    assert "斑" not in answer.tokenizer.pieces()
    assert "猫" in answer.tokenizer.pieces()
    assert answer.longest == 3


def test_sources_end_and_targets_begin_and_end() -> None:
    made = material()
    kind, answer = made.fit(TRAIN), TargetAnswer.fit(made.labels, TRAIN, made.cutting)
    batch = made.examples(kind, {"target": answer.encode(made.labels)})[torch.arange(4)]
    assert batch["source_length"].tolist() == [8, 9, 8, 6]
    assert batch["source"][range(4), batch["source_length"] - 1].tolist() == [3] * 4
    assert batch["source"][3, 0] == 1  # z is unknown
    assert (batch["target"][:, 0] == 2).all()
    assert batch["target_length"].tolist() == [5, 5, 5, 4]
    assert [answer.tokenizer.decode(row) for row in batch["target"][:3].tolist()] == TARGET[:3]


def test_what_a_token_is_follows_from_the_texts() -> None:
    long = ["a sentence of quite a few words"] * 4
    assert Cutting().learn(long).kind == "bpe"
    assert Cutting().learn(SOURCE).kind == "characters"
    assert Cutting().learn(["这是一句没有空格的中文句子，但是很长很长"]).kind == "characters"
    assert Cutting(tokens="words").learn(SOURCE).kind == "words"


def test_a_text_that_is_too_long_is_named_with_both_numbers() -> None:
    made = material(longest=7)
    with pytest.raises(DataError, match=r"animals.tsv:2: a text of 8 tokens, where at most 7"):
        made.examples(made.fit(TRAIN), {})
    answer = material(longest=2)
    with pytest.raises(DataError, match=r"animals.tsv:1: a text of 3 tokens, where at most 2"):
        TargetAnswer.fit(answer.labels, TRAIN, answer.cutting)


def test_texts_and_lines_of_files_are_read(tmp_path) -> None:
    kind = material().fit(TRAIN)
    (tmp_path / "文.txt").write_bytes(b"one dog\n\n two cats \r\n")
    names, examples = kind.read(["one cat", tmp_path / "文.txt", str(tmp_path / "文.txt")])
    assert names == ["one cat", "one dog", "two cats", "one dog", "two cats"]
    batch = examples[torch.tensor([0, 4])]
    assert [kind.tokenizer.decode(row) for row in batch["source"].tolist()] == ["one cat", "two cats"]
    with pytest.raises(DataError, match="cannot read dict as text"):
        kind.read([{"a": 1}])


def test_what_was_saved_is_the_same() -> None:
    made = material()
    kind, answer = made.fit(TRAIN), TargetAnswer.fit(made.labels, TRAIN, made.cutting)
    assert SourceKind.from_json(kind.to_json()).to_json() == kind.to_json()
    again = TargetAnswer.from_json(answer.to_json())
    assert again.to_json() == answer.to_json()
    assert again.encode(made.labels).values.tolist() == answer.encode(made.labels).values.tolist()  # type: ignore[union-attr]


def test_the_answer_in_words_and_its_mistakes() -> None:
    made = material()
    kind, answer = made.fit(TRAIN), TargetAnswer.fit(made.labels, TRAIN, made.cutting)
    target, _ = answer.encode(made.labels.iloc[:3]).padded(torch.arange(3))  # type: ignore[union-attr]
    written = target[:, 1:4].clone()
    written[1:] = written[0]
    read = made.examples(kind, {})[torch.arange(2)]["source"]
    looks = torch.rand(2, 4, read.shape[1])
    records = {"written": written, "target": target, "confidence": torch.tensor([0.9, 0.5, 0.7])}
    evaluation = Evaluation({}, records | {"source": read, "looks": looks})
    assert answer.mistakes(evaluation, 5) == [
        (2, {"truth": "一只狗", "predicted": "一只猫", "confidence": pytest.approx(0.7)}),
        (1, {"truth": "两只猫", "predicted": "一只猫", "confidence": pytest.approx(0.5)}),
    ]
    first, second = answer.looks(evaluation, kind.tokenizer)
    assert first["written"] == ["一", "只", "猫", "end"]
    assert first["read"] == ["o", "n", "e", "·", "c", "a", "t", "end"]
    assert first["looks"][1][2] == pytest.approx(float(looks[0, 1, 2]), abs=1e-3)
    assert [len(second["looks"]), len(second["looks"][0])] == [4, 9]
    said = answer.say([Hypothesis(tuple(written[0].tolist()), -2.0, -1.0)])
    assert said == [{"prediction": "一只猫", "probability": pytest.approx(np.exp(-0.5))}]


def test_the_commonest_text_is_the_baseline() -> None:
    labels = pd.Series(["a b", "c", "c", "d"], name="target")
    answer = TargetAnswer.fit(labels, np.arange(4))
    found = answer.baseline(labels)
    assert "'c'" in found["name"]
    assert found["metrics"]["exact_match"] == 0.5


def test_pairs_of_the_test_that_training_has_are_told() -> None:
    pairs = Pairs("p", "p", list("1234"), ["a", "b", "a", "a"], ["A", "B", "A", "C"])
    made = PairMaterial(pairs, Cutting(), "utf-8")
    splits = {"train": np.array([0]), "validation": np.array([1]), "test": np.array([2, 3])}
    (said,) = made.audit("translate", splits)
    assert said.startswith("1 pair of the test is (50.0%)")
    assert made.audit("translate", {**splits, "test": np.array([1, 3])}) == []
