"""Stretches of series with labels: cut, fitted, split, trained on and predicted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from penstock.core.errors import DataError, RecipeError
from penstock.data.opening import ReadOptions, TableData
from penstock.kinds.stretch import StretchKind, StretchMaterial, stretch_material

Command = Callable[..., Any]


def write_motion(path: Path, stretches: int = 60, rows: int = 12, seed: int = 0) -> Path:
    """Somebody who walks or runs, 24 rows at a time: the same swing, faster; two people, told apart by a column."""
    random = np.random.default_rng(seed)
    lines = ["人,time,x,y,part,gait"]
    for number in range(stretches):
        gait = random.choice(["走", "跑"])
        phase = random.uniform(0, 6)
        for row in range(rows):
            swing = (0.5 if gait == "走" else 1.5) * row + phase
            moment = np.datetime64("2024-01-01") + np.timedelta64(number // 2 * rows + row, "m")
            x, y = np.sin(swing) + 0.1 * random.normal(), 100 + 20 * np.cos(swing)
            part = "test" if number >= stretches * 0.8 else "train"
            lines.append(f"{'甲乙'[number % 2]},{moment},{x:.3f},{y:.2f},{part},{gait}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def material(frame: pd.DataFrame, **settings: Any) -> StretchMaterial:
    usual = {"target": "label", "split_column": None, "rows": 3, "by": None, "used": None}
    frame.index = pd.Index([f"t.csv:{row + 2}" for row in range(len(frame))], dtype=object)
    return stretch_material(TableData("t", "t.csv", frame), reading=ReadOptions(), **usual | settings)


def small() -> pd.DataFrame:
    who = ["a", "b", "a", "a", "b", "b", "a", "b", "a", "a"]
    return pd.DataFrame({"who": who, "x": range(10), "label": list("0123456789")})


def test_stretches_do_not_overlap_nor_go_from_one_series_to_another() -> None:
    whole = material(small(), used=["x"])
    assert whole.values[..., 0].tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert whole.labels.tolist() == ["2", "5", "8"]
    assert list(whole.labels.index) == ["t.csv:4", "t.csv:7", "t.csv:10"]
    apart = material(small(), by="who")
    assert apart.values[..., 0].tolist() == [[0, 2, 3], [6, 8, 9], [1, 4, 5]]
    assert apart.labels.tolist() == ["3", "9", "5"]
    assert apart.facts()["columns"][0]["name"] == "x"


def test_scales_are_those_of_the_rows_given() -> None:
    found = material(small(), by="who")
    kind = found.fit(np.array([0, 2]))
    seen = np.array([0, 2, 3, 1, 4, 5])
    assert (kind.scales[0].mean, kind.scales[0].std) == (pytest.approx(seen.mean()), pytest.approx(seen.std()))
    batch = found.examples(kind, {"target": torch.arange(3)})[torch.tensor([1])]
    assert batch["series"].flatten().tolist() == pytest.approx(((np.array([6, 8, 9]) - 2.5) / seen.std()).tolist())
    again = StretchKind.from_json(json.loads(json.dumps(kind.to_json())))
    assert again.to_json() == kind.to_json()
    names, examples = again.read([small().drop(columns="label")])
    assert len(names) == 3
    assert torch.equal(examples[torch.arange(3)]["series"], found.examples(kind, {})[torch.arange(3)]["series"])


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"target": "lable"}, DataError, "'label'"),
        ({"target": None}, RecipeError, "which column"),
        ({"by": "woh"}, RecipeError, "'who'"),
        ({"split_column": "prat"}, RecipeError, "no column 'prat'"),
        ({"rows": 11}, DataError, "no series has 11 rows .the longest 10"),
    ],
)
def test_what_is_wrong_is_named(settings: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        material(small(), **settings)


def test_gaits_are_told_apart(penstock: Command, here: Path) -> None:
    write_motion(here / "运动.csv", 120)
    flags = "--target gait --series.rows 12 --series.by 人 --split.column part --steps 120 --net.width 12"
    outcome = penstock(f"train classify --data 运动.csv {flags} --lr 0.02 --batch-size 16 --threads 1 --name r")
    assert outcome.code == 0, outcome.err
    assert "120 stretches of 12 rows" in outcome.err
    folder = here / "runs/classify/r"
    assert json.loads((folder / "evaluation.json").read_text())["metrics"]["accuracy"] > 0.9
    assert json.loads((folder / "recipe.json").read_text())["net"]["bidirectional"] is True
    assert "How far back it looks" in (folder / "report.html").read_text(encoding="utf-8")
    rows = penstock("predict r 运动.csv").out.splitlines()
    assert len(rows) == 1 + 120
    assert rows[0] == "input,prediction,probability 走,probability 跑"
    assert penstock("evaluate r --data 运动.csv").code == 0
    pd.read_csv(here / "运动.csv")[:5].to_csv(here / "few.csv", index=False)
    penstock("predict r few.csv").refused(3, "few.csv", "5 rows", "of 12")


def test_settings_for_series_have_no_meaning_for_pictures(penstock: Command, here: Path) -> None:
    penstock("train classify --data digits --series.rows 3").refused(2, "series.rows", "it is for series")
    write_motion(here / "m.csv")
    penstock("train classify --data m.csv --target gait --series.by 人").refused(2, "series.by", "it is for series")
    words = "train classify --data m.csv --target gait --series.rows 12 --series.by 人"
    penstock(f"{words} --image.flip").refused(2, "image.flip", "m is series")
    penstock(f"{words} --model mlp").refused(2, "mlp", "series")
