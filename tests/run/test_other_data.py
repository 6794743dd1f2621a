"""A trained model on other data, and used from arrays: the data come to the model, not the model to the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import penstock as api
from penstock.core.errors import DataError, RecipeError

FAST: dict[str, Any] = {"quiet": True, "threads": 1, "steps": 4, "net.hidden": [8]}


def painted(folder: Path, side: int, mode: str, count: int = 12) -> Path:
    """Two classes of pictures, dark and bright."""
    generator = np.random.default_rng(side)
    for name, level in (("dark", 40), ("bright", 200)):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = np.clip(generator.normal(level, 20, (side, side, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).convert(mode).save(folder / name / f"{i}.png")
    return folder


def test_pictures_of_another_size_and_mode_are_brought_to_the_model(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    run = api.train("classify", data=painted(tmp_path / "a", 12, "L"), **FAST)
    other = painted(tmp_path / "b", 30, "RGB")
    findings = run.findings(other)
    assert (findings["split"], findings["examples"]) == ("all rows", 24)
    files = sorted((other / "bright").iterdir()) + sorted((other / "dark").iterdir())
    said = [row["prediction"] for row in run.predict(files)]
    right = np.mean([a == b for a, b in zip(said, ["bright"] * 12 + ["dark"] * 12)])
    assert findings["metrics"]["accuracy"] == pytest.approx(right)
    pixels = np.zeros((24, 30, 30), dtype=np.uint8)
    with pytest.raises(DataError, match="this model takes"):
        run.evaluate((pixels, np.array(["dark", "bright"] * 12)))


def test_other_tables_need_only_what_the_model_takes(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"a": generator.normal(size=60), "note": [f"n{i}" for i in range(60)]})
    frame["part"], frame["y"] = ["train", "val", "test"] * 20, np.where(frame["a"] > 0, "up", "down")
    settings = {"split.column": "part", "columns": {"note": "skip"}, "target": "y"}
    run = api.train("classify", data=frame, **settings, **FAST)
    assert run.recipe.dump()["target"] == "y"
    assert 0 <= run.evaluate(frame[["a", "y"]])["accuracy"] <= 1
    with pytest.raises(DataError, match="'a' missing, which the model takes"):
        run.evaluate(frame[["note", "y"]])


def test_a_test_split_that_the_data_bring_along_is_used(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    x, y = np.random.default_rng(0).normal(size=(90, 3)), np.arange(90) % 2
    run = api.train("classify", data=(x, y), **FAST)
    parts = {"x_train": x[:60], "y_train": y[:60], "x_test": x[60:], "y_test": y[60:]}
    findings = run.findings(parts)
    assert (findings["split"], findings["examples"]) == ("test", 30)
    assert run.predict(x[:5])[2]["prediction"] in ("0", "1")
    assert len(run.predict(x[:5])) == 5


def test_several_tables_are_read_each_by_itself(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame({"a": np.arange(40) * 0.37 % 1, "b": np.arange(40) * 0.73 % 1})
    run = api.train("regress", data=frame.assign(y=frame["a"]), target="y", **FAST)
    with pytest.raises(DataError, match="'b' missing"):
        run.predict([frame, frame[["a"]]])
    assert len(run.predict([frame, frame[["b", "a"]]])) == 80


def test_missing_cells_are_the_same_in_every_form_of_table(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [{"c": ["u", "v", "?"][i % 3], "x": i * 0.37 % 1} for i in range(60)]
    frame = pd.DataFrame(rows)
    frame.assign(y=frame["x"]).to_csv("t.csv", index=False)
    run = api.train("regress", data="t.csv", target="y", **FAST)
    frame.to_json("t.jsonl", orient="records", lines=True)
    frame.to_parquet("t.parquet")
    frame.to_csv("u.csv", index=False)
    forms: list[Any] = ["u.csv", "t.jsonl", "t.parquet", frame, rows]
    answers = [[row["prediction"] for row in run.predict(form)] for form in forms]
    for other in answers[1:]:
        assert other == pytest.approx(answers[0], rel=1e-6)


def test_words_that_usually_mean_missing_can_be_values(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame({"x": np.arange(60) * 0.37 % 1, "y": ["none", "mild", "severe"] * 20})
    frame.to_csv("t.csv", index=False)
    with pytest.raises(DataError, match="missing in 20 of 60 rows"):
        api.train("classify", data="t.csv", target="y", **FAST)
    run = api.train("classify", data="t.csv", target="y", **FAST, **{"table.present": ["none"]})
    assert set(run.predict({"x": 0.5})[0]["probabilities"]) == {"none", "mild", "severe"}


def test_objects_must_be_given_again(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    x, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 2
    run = api.train("classify", data=(x, y), name="r", **FAST)
    with pytest.raises(RecipeError, match=r"its data was an object, .*penstock\.resume"):
        api.resume("r", quiet=True)
    assert api.resume("r", data=(x, y), quiet=True).evaluate((x, y)) == run.evaluate((x, y))
    with pytest.raises(RecipeError, match="LinearRegression is not a module"):
        api.train("classify", data=(x, y), model=type("LinearRegression", (), {}), **FAST)
