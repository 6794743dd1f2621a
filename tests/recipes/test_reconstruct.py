"""Autoencoders as a recipe: every method on every kind of data, the threshold, the filter, and what is made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from penstock.core.errors import RecipeError
from penstock.recipes.job import Job, Supplied
from penstock.recipes.making import MadePictures, MadeRows, MadeSounds
from penstock.recipes.reconstruct import Reconstruct
from penstock.recipes.reconstructing import Reconstructing
from penstock.run.execute import make_engine

Command = Callable[..., Any]
Writer = Callable[..., Path]
METHODS = ("plain", "denoising", "sparse", "contractive", "variational", "quantised")


def job(data: object = "digits", **changes: Any) -> Job:
    settings = {"steps": 2, "batch_size": 8, "threads": 1, "precision": "float32"} | changes
    named = {"data": str(data)} if isinstance(data, str | Path) else {}
    return Reconstruct.parse(named | settings).build(Supplied(data=None if named else data))


def trained(found: Job) -> Reconstructing:
    make_engine(found).run()
    made = found.trained
    assert isinstance(made, Reconstructing)
    made.settle(found.held_out["validation"], 0.9)
    return made


def pixels(count: int = 40, size: int = 8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size), dtype=np.uint8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("model", ["conv", "dense"])
def test_pictures(method: str, model: str, tmp_path: Path) -> None:
    sizes: dict[str, Any] = {"code": 3} | ({"hidden": [8]} if model == "dense" else {})
    if model == "conv":
        sizes |= {"width": 4} if method == "quantised" else {"widths": [4, 4]}
    found = job(pixels(), method=method, model=model, net=sizes)
    made = trained(found)
    names, codes = made.encode([pixels(5)])
    assert codes.shape == (5, 128 if method == "quantised" else 3)
    again = made.reconstruct([pixels(5)])
    assert isinstance(again, MadePictures)
    assert again.array.shape == (5, 1, 8, 8)
    assert len(names) == 5
    strip = made.between(pixels(2)[0], pixels(2)[1], 4)
    ends = made.reconstruct([pixels(2)])
    assert np.array_equal(strip.array[[0, 3]], ends.array)
    made.save(tmp_path)
    loaded = found.recipe.load(tmp_path)
    assert loaded.predict([pixels(5)]) == made.predict([pixels(5)])
    if method == "variational":
        assert np.array_equal(made.sample(3, seed=2).array, made.sample(5, seed=2).array[:3])
        assert np.ptp(made.sample(3, seed=2, truncation=1e-6).array.astype(int), axis=0).max() <= 1
        assert not np.array_equal(made.sample(3, seed=2).array, made.sample(3, seed=3).array)
    else:
        with pytest.raises(RecipeError, match=r"^sample: .*; train with --method variational"):
            made.sample(3)


@pytest.mark.parametrize("method", METHODS)
def test_rows(method: str, table: Writer, tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv")
    found = job(path, target="animal", method=method, net={"hidden": [8]})
    made = trained(found)
    again = made.reconstruct([str(path)])
    assert isinstance(again, MadeRows)
    given = pd.read_csv(path)
    assert set(again.frame.columns) == set(given.columns) - {"animal"}
    assert len(again.frame) == len(given)
    strip = made.between(given.iloc[[0]], given.iloc[[1]], 3)
    assert len(strip.array) == 3
    if method == "variational":
        assert len(made.sample(4).array) == 4
    judged = found.judge(made.evaluate(found.held_out["test"]), "test")
    json.dumps(judged)
    assert judged["metrics"]["rmse"] > 0
    assert (
        judged["reconstruction"]["map"]["names"] == sorted(given["animal"].unique()) or judged["reconstruction"]["map"]
    )


@pytest.mark.parametrize("method", ["plain", "variational", "quantised"])
def test_sounds(method: str, sounds: Writer, tmp_path: Path) -> None:
    listing = sounds(tmp_path)
    found = job(listing, method=method, net={"width": 8, "code": 4})
    made = trained(found)
    files = sorted(str(file) for file in tmp_path.rglob("*.wav"))[:2]
    again = made.reconstruct(files)
    assert isinstance(again, MadeSounds)
    _, examples = made.kind.read(files)
    assert examples.lengths is not None
    assert [len(wave) for wave in again.waves] == examples.lengths.tolist()
    for wave, original in zip(again.waves, (examples[torch.tensor([at])]["audio"][0] for at in range(2))):
        assert np.sqrt(np.mean(wave**2)) == pytest.approx(float(original.square().mean().sqrt()), rel=1e-3)
    walk = made.between(files[0], files[1], 3)
    assert isinstance(walk, MadeSounds)
    lengths = [len(wave) for wave in walk.waves]
    assert lengths[0] == len(again.waves[0])
    assert lengths[2] == len(again.waves[1])
    if method == "variational":
        assert len(made.sample(2).array) == 2
    found.judge(made.evaluate(found.held_out["test"]), "test")


def test_the_threshold_is_a_quantile_of_the_validation_errors() -> None:
    found = job(steps=60, batch_size=64, usual=0.9)
    make_engine(found).run()
    made = found.trained
    assert isinstance(made, Reconstructing)
    assert made.answer.threshold is None
    judged = found.judge(made.evaluate(found.held_out["test"]), "test")
    errors = made.evaluate(found.held_out["validation"]).records["error"].double().numpy()
    assert made.answer.threshold == pytest.approx(np.quantile(errors, 0.9))
    noise = np.random.default_rng(1).integers(0, 256, (20, 8, 8), dtype=np.uint8)
    said = made.predict([noise])
    assert all(row["prediction"] == "unusual" and row["error"] > row["threshold"] for row in said)
    batch = next(iter(found.held_out["test"]))
    usual = made.predict([batch["image"][:60, 0].numpy()])
    with torch.no_grad():
        means = made.objective.reconstruct(batch)[:60]
    expected = (means - batch["image"][:60]).square().mean((1, 2, 3))
    np.testing.assert_allclose([row["error"] for row in usual], expected, rtol=1e-4)
    assert 0.7 < np.mean([row["prediction"] == "usual" for row in usual]) <= 1
    assert judged["reconstruction"]["errors"]["threshold"] == made.answer.threshold


def test_what_is_left_out_is_told_apart() -> None:
    found = job(steps=150, batch_size=64, without=["class=0", "class=1"])
    classes = pd.Series(found.recipe.read_material().labels.astype(str))
    for rows in (found.source.indices, *(part.indices for part in found.held_out.values())):
        assert not set(classes.iloc[rows.numpy()]) & {"0", "1"}
    assert found.facts["examples"] == sum(found.facts["splits"].values()) == int((~classes.isin(["0", "1"])).sum())
    made = trained(found)
    judged = found.judge(made.evaluate(found.held_out["test"]), "test")
    assert judged["metrics"]["auc"] > 0.7
    errors = judged["reconstruction"]["errors"]
    assert sum(errors["apart"]) == int(classes.isin(["0", "1"]).sum())
    assert errors["apart_above"] > errors["counts_above"]


def test_only_some(pictures: Writer, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "图片")
    names = sorted(entry.name for entry in folder.iterdir())
    found = job(folder, only=[f"animal={names[0]}"])  # what the names of folders are is the user's to say
    assert {row["name"] for row in found.facts.get("classes", []) if row["train"]} <= {names[0]}
    assert found.facts["examples"] == len(list((folder / names[0]).iterdir()))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"only": ["class"]}, r"^only: 'class' does not say what is what; write COLUMN=VALUE"),
        ({"without": ["class=11"]}, r"^without: no example has '11' for 'class'"),
        ({"only": ["class=1"], "without": ["class=1"]}, "none is left"),
        ({"sparse": {"weight": 1.0}}, r"^sparse.weight: it has no meaning for plain; leave it out, or use sparse"),
        ({"likelihood": {"deviation": 1.0}}, r"^likelihood.deviation: .*variational"),
        ({"audio": {"rate": 8000}}, r"^audio.rate: it is for sounds, and digits is pictures"),
        ({"net": {"hidden": [4]}}, r"^net.hidden: conv has no such choice"),
        ({"model": "linear", "net": {"hidden": [4]}}, r"^net.hidden: linear has no such choice"),
        ({"data": "wine", "model": "conv"}, r"^model: 'conv' takes pictures and sounds"),
        ({"data": "wine", "likelihood": {"form": "bernoulli"}}, r"^likelihood.form: it is for brightness"),
        ({"method": "quantised", "net": {"halvings": 0}}, r"^net.halvings: "),
        ({"monitor": "elbo"}, r"^monitor: "),
    ],
)
def test_settings_that_do_not_fit(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        job(**settings)


def test_pictures_need_no_classes(tmp_path: Path) -> None:
    for at, one in enumerate(pixels(30)):
        Image.fromarray(one).save(tmp_path / f"{at}.png")
    found = job(tmp_path)
    assert "classes" not in found.facts
    made = trained(found)
    assert found.judge(made.evaluate(found.held_out["test"]), "test")["reconstruction"]["map"]["names"] == []


def test_binary_pictures_are_black_and_white() -> None:
    found = job(method="variational", image={"binary": True})
    batch = next(iter(found.held_out["test"]))
    assert set(batch["image"].unique().tolist()) == {0.0, 1.0}
    assert found.trained.config()["kind"]["scaling"]["binary"] is True


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def test_verbs(penstock: Command, here: Path, pictures: Writer) -> None:
    folder = pictures(here / "图片")
    words = "train reconstruct --data 图片 --steps 2 --name a --net.widths 4 --net.code 3 --threads 1"
    assert penstock(f"{words} --method variational").code == 0
    one, other = sorted(map(str, folder.rglob("*.png")))[:2]
    assert penstock("encode a --output codes.csv").code == 0
    codes = pd.read_csv(here / "codes.csv")
    assert list(codes.columns) == ["input", "class", "z1", "z2", "z3"]
    assert len(codes) == len(list(folder.rglob("*.png")))
    assert size_of(here / "codes.png")[0] > 300
    assert penstock("encode a --output codes.npy", one).code == 0
    assert np.load(here / "codes.npy").shape == (1, 3)
    assert penstock("reconstruct a --output out.png", one).code == 0
    assert size_of(here / "out.png") == size_of(Path(one))
    assert penstock("interpolate a --steps 3 --output strip.png", one, other).code == 0
    assert penstock("sample a --count 4 --output sheet.png").code == 0
    said = penstock("predict a", one, other).out.splitlines()
    assert said[0] == "input,prediction,error,threshold"
    assert len(said) == 3
    assert penstock("evaluate a").code == 0
    assert "Originals and reconstructions" in (here / "runs/reconstruct/a/report.html").read_text(encoding="utf-8")
    penstock("encode a --output codes.txt").refused(2, "codes.txt", ".npy")
    penstock("reconstruct a nothing.png --output out.png").refused(3, "nothing.png")
    penstock("reconstruct a --output out.csv", one).refused(2, "--output", ".png")
    penstock("interpolate a --output strip.png", one, folder).refused(3, "give one example for each end")
    penstock("interpolate a --steps 1 --output strip.png", one, other).refused(2, "steps")


def test_verbs_of_another_model(penstock: Command, here: Path) -> None:
    assert penstock("train classify --steps 2 --name c --threads 1").code == 0
    for line in ("encode c --output c.csv", "reconstruct c x.png --output o.png", "interpolate c 1 2 --output o.png"):
        penstock(line).refused(2, "a model for the task 'classify' cannot do that", "use: penstock predict")
