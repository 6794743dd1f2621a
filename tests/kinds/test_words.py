"""Words of tagged sentences: their vocabulary, their letters, and how raw text is cut."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from penstock.core.errors import DataError
from penstock.data.examples import InMemory
from penstock.data.ragged import Ragged
from penstock.data.tagged import Columns, Tagged
from penstock.kinds.words import LETTERS, WordsKind, WordsMaterial

SENTENCES = [["to", "the", "gate"], ["the", "水", "gate"], ["New", "水"], ["once", "the"]]


def kind(most: int = 100) -> WordsKind:
    return WordsKind.fit(SENTENCES, most, Columns(), "utf-8")


def material() -> WordsMaterial:
    index = [f"a.conll:{row}" for row in range(4)]
    words = pd.Series(SENTENCES, index, dtype=object)
    tags = pd.Series([["O"] * len(words) for words in SENTENCES[:3]] + [["rare", "O"]], index, name="tag", dtype=object)
    return WordsMaterial(Tagged("a", "a.conll", words, tags), 100, Columns(), "utf-8")


def test_words_that_come_twice_are_known_by_themselves() -> None:
    found = kind()
    assert found.words == ["the", "gate", "水"]
    assert found.letters == "aeghot水"
    assert found.sizes() == {"vocabulary": 5, "letters": 9}
    assert kind(1).words == ["the"]
    row = found.numbers([["gate", "New"]])[0]
    assert row.shape == (2, 1 + LETTERS)
    letters = [found.letters.index(letter) + 2 for letter in "gate"]
    assert row[0].tolist() == [3, *letters, *[0] * (LETTERS - 4)]
    assert row[1].tolist() == [1, 1, found.letters.index("e") + 2, 1, *[0] * (LETTERS - 3)]


def test_long_words_are_looked_at_from_both_ends() -> None:
    found = kind()
    one, other = (found.numbers([["t" * 8 + middle + "e" * 8]])[0] for middle in ("a", "hhhh"))
    assert one.tolist() == other.tolist()


def test_raw_text_is_cut_as_training_was(tmp_path: Path) -> None:
    found = kind()
    assert found.split("to the-gate, 水门ab!") == ["to", "the", "-", "gate", ",", "水", "门", "ab", "!"]
    (tmp_path / "a.conll").write_text("the O\ngate O\n\n水 O\n", encoding="utf-8")
    (tmp_path / "b.txt").write_text("the\ngate\n", encoding="utf-8")
    names, examples = found.read(["to the", str(tmp_path / "a.conll"), tmp_path / "b.txt", ["a b", "c"]])
    assert names == ["to the", "the gate", "水", "the gate", "a b c"]
    assert isinstance(examples, InMemory)
    words = examples.columns["words"]
    assert isinstance(words, Ragged)
    assert words.lengths.tolist() == [2, 2, 1, 2, 2]


@pytest.mark.parametrize("item", [" ", 3, []])
def test_what_is_no_sentence(item: object) -> None:
    with pytest.raises(DataError):
        kind().read([item])


def test_saved_and_read_back() -> None:
    found = kind()
    again = WordsKind.from_json(json.loads(json.dumps(found.to_json())))
    assert again.to_json() == found.to_json()
    assert again.numbers(SENTENCES).values.tolist() == found.numbers(SENTENCES).values.tolist()


def test_material_knows_the_training_rows_only() -> None:
    found = material()
    fitted = found.fit(np.array([0, 1]))
    assert fitted.words == ["gate", "the"]
    examples = found.examples(fitted, {})
    assert isinstance(examples, InMemory)
    assert examples.lengths is not None
    assert examples.lengths.tolist() == [3, 3, 2, 2]
    assert "50.0% of all by their letters alone" in found.facts()["notes"]["sentences"]
    findings = found.audit("tag", {"train": np.array([0, 1]), "validation": np.array([2]), "test": np.array([3])})
    assert findings == ["no training sentence has the tag 'rare': it cannot be learnt"]
    findings = found.audit("tag", {"train": np.array([0, 3]), "validation": np.array([2]), "test": np.array([0])})
    assert findings == ["1 sentence of the test is (100.0%) in the training split too: that part of the test is easier"]
    assert found.show(2)["words"] == ["New", "水"]
    assert material().fingerprint() == found.fingerprint()
