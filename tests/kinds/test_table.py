from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from penstock.core.errors import CheckpointError, DataError, RecipeError
from penstock.data.opened import ImageData, ReadOptions, TableData
from penstock.kinds.table import TableKind, TableMaterial, table_material

FRAME = pd.DataFrame(
    {
        "年龄": [1.5 * i for i in range(30)],
        "city": ["a", "b", "c"] * 10,
        "part": ["train"] * 20 + ["val"] * 5 + ["test"] * 5,
        "y": ["猫", "狗"] * 15,
    },
    index=[f"t.csv:{i + 2}" for i in range(30)],
)


def material(
    frame: pd.DataFrame = FRAME,
    target: str | None = "y",
    kinds: dict[str, str] | None = None,
    split_column: str | None = "part",
    splits: np.ndarray | None = None,
) -> TableMaterial:
    data = TableData("t", "t.csv", frame, None, splits)
    reading = ReadOptions(missing=("-",))
    found = table_material(
        data, target=target, kinds=kinds or {}, split_column=split_column, scaling="standard", reading=reading
    )
    assert not isinstance(found, ImageData)
    return found


def test_target_and_split_are_no_features() -> None:
    found = material()
    assert [column.name for column in found.columns] == ["年龄", "city"]
    assert list(found.labels) == list(FRAME["y"])
    assert found.given is not None
    assert list(found.given) == list(FRAME["part"])
    assert [column["kind"] for column in found.facts()["columns"]] == ["number", "category"]
    by_hand = material(kinds={"年龄": "skip", "y": "number", "part": "category"})
    assert by_hand.fit(np.arange(20)).inputs == ("numbers", "categories")
    assert by_hand.fit(np.arange(20)).sizes() == {"numbers": 0, "cardinalities": [5]}


def test_names_that_do_not_exist() -> None:
    with pytest.raises(
        RecipeError, match=r"which column of t is to be predicted\?; give --target, choose one of: 年龄"
    ):
        material(target=None)
    with pytest.raises(DataError, match=r"t\.csv: there is no column 'Y' to predict; did you mean 'y'"):
        material(target="Y")
    with pytest.raises(RecipeError, match=r"split\.column: there is no column 'parts'; did you mean 'part'"):
        material(split_column="parts")
    with pytest.raises(RecipeError, match=r"--columns\.citi: .*did you mean 'city'"):
        material(kinds={"citi": "category"})


def test_fitted_on_the_training_rows_only() -> None:
    rows = np.arange(0, 20, 2)
    found = material()
    kind = found.fit(rows)
    encoded = found.examples(kind, {"target": torch.arange(30)})[torch.arange(30)]
    values = FRAME["年龄"].to_numpy()
    expected = (values - values[rows].mean()) / values[rows].std()
    assert encoded["numbers"][:, 0].numpy() == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert torch.equal(encoded["target"], torch.arange(30))
    assert kind.transform(training=True) is None


def test_saved_and_read_back_it_encodes_the_same(tmp_path: Path) -> None:
    found = material()
    kind = found.fit(np.arange(20))
    again = TableKind.from_json(json.loads(json.dumps(kind.to_json())))
    (tmp_path / "new.csv").write_text("city,年龄,other\nb,-,1\nz,3.5,2\n", encoding="utf-8")
    for each in (kind, again):
        names, examples = each.read([tmp_path / "new.csv", '{"年龄": null, "city": "b"}', {"年龄": 3.5, "city": None}])
        assert names == ["new.csv:2", "new.csv:3", "input", "input"]
        batch = examples[torch.arange(4)]
        assert torch.equal(batch["numbers"][0], batch["numbers"][2])
        assert torch.equal(batch["numbers"][1], batch["numbers"][3])
        assert batch["categories"].flatten().tolist() == [3, 0, 3, 1]
    with pytest.raises(CheckpointError):
        TableKind.from_json(kind.to_json() | {"encoder": {}})


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ('{"年龄": 1}', "'city'"),
        ("{]", "not valid JSON"),
        ({"年龄": "old", "city": "a"}, "'old'"),
        (3, "cannot read int as rows"),
        (pd.DataFrame({"年龄": [1.0]}), "'city'"),
    ],
)
def test_rows_that_cannot_be_read(given: object, problem: str) -> None:
    kind = material().fit(np.arange(20))
    with pytest.raises(DataError, match=problem):
        kind.read([given])


def test_a_row_for_people() -> None:
    frame = FRAME.copy()
    frame.loc["t.csv:3", "city"] = None
    assert material(frame).show(1) == {"place": "t.csv:3", "picture": None, "row": {"年龄": "1.5", "city": None}}


def test_the_fingerprint_knows_cells_labels_and_splits() -> None:
    def changed(column: str, value: object) -> pd.DataFrame:
        frame = FRAME.copy()
        frame.loc["t.csv:4", column] = value
        return frame

    first = material().fingerprint()
    assert material(FRAME.copy()).fingerprint() == first
    others = [material(changed("年龄", 2.5)), material(changed("y", "狗")), material(changed("part", "test"))]
    others += [material(FRAME.iloc[::-1]), material(split_column=None, splits=np.array(["train"] * 30))]
    found = [each.fingerprint() for each in others]
    assert first not in found
    assert len(set(found)) == len(found)


def test_suspicions_come_through() -> None:
    frame = FRAME.assign(tell=FRAME["y"].map({"猫": "x", "狗": "z"}))
    found = material(frame).audit("classify", {"train": np.arange(30)})
    assert any("'tell'" in finding for finding in found)
