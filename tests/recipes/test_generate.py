"""Generation as a recipe: every model, what is refused, the examiner, sheets, and what comes out of a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import penstock as api
from penstock.core.errors import DataError, RecipeError
from penstock.metrics.generation import frechet
from penstock.models.cnn import CNN
from penstock.objectives.penalties import R1, ClipWeights, GradientPenalty
from penstock.recipes.blueprint import GAMES, METHODS, make_objective
from penstock.recipes.creating import Creating, pixels_of
from penstock.recipes.examiner import ClassifierExaminer, CoarseExaminer
from penstock.recipes.generate import Generate
from penstock.recipes.grown import sheets_in
from penstock.recipes.job import Supplied
from penstock.recipes.sheets import film
from penstock.recipes.usual import resolved
from penstock.run.execute import resume
from penstock.run.report.page import render
from penstock.run.report.records import read_run

Command = Callable[..., Any]
Writer = Callable[..., Path]
SMALL = "--steps 2 --threads 1 --batch-size 8 --net.width 4 --net.code 6 --net.widths 8 --net.hidden 8"
SMALL += " --measure.validation 4 --measure.test 4 --optim.lr 0.02"
QUICK = {"diffusion": "--diffusion.sampling 2", "energy": "--energy.chain 2"}


@pytest.mark.parametrize("model", [*GAMES, *METHODS])
def test_every_model_trains_samples_and_comes_back(
    model: str, penstock: Command, here: Path, pictures: Writer, tmp_path: Path
) -> None:
    pictures(here / "图片", size=16)
    line = (
        f"train generate --data 图片 --model {model} {SMALL} {QUICK.get(model, '')} --measure.examiner pixels --name r"
    )
    outcome = penstock(line)
    assert outcome.code == 0, outcome.err
    outcome = penstock("sample r --count 5 --seed 3 --output s.png")
    assert outcome.code == 0, outcome.err
    run = api.load("runs/generate/r")
    made = run.sample(5, seed=3)
    assert made.array.shape == (5, 3, 16, 16)
    assert np.array_equal(made.array, run.sample(5, seed=3).array)
    apart = [run.trained.made(5, seed=seed) for seed in (3, 4)]  # as it was hardly trained, hardly so in whole pixels
    assert not torch.equal(*apart)
    assert run.trained.between(1, 2, 3).array.shape == (3, 3, 16, 16)
    if model in (*GAMES, "vae-gan"):
        near = run.sample(5, seed=3, truncation=1e-3).array.astype(int)
        assert abs(near - near[:1]).max() < 30
        assert np.array_equal(run.sample(5, seed=3, truncation=10.0).array, made.array)
    else:
        penstock("sample r --truncation 0.5").refused(2, "truncation", f"{model} draws no normal codes")
    found = json.loads((here / "runs/generate/r/evaluation.json").read_text())
    assert {"loss", "frechet"} <= found["metrics"].keys()
    again = run.evaluate()
    assert again["frechet"] == pytest.approx(found["metrics"]["frechet"], rel=1e-3)


def built(**settings: Any) -> Any:
    recipe = Generate.parse({"data": "digits", "net": {"width": 4}, **settings})
    return recipe.build(Supplied()).trained.objective


def test_settings_reach_the_game() -> None:
    made = built(gan={"gradient_penalty": 3.0, "r1": 2.0, "clip": 0.5, "turns": 3, "loss": "wasserstein"})
    assert made.penalties == (GradientPenalty(weight=3.0), R1(weight=2.0))
    assert made.constraint == ClipWeights(bound=0.5)
    assert made.turns == 3
    assert type(made.criterion).__name__ == "Wasserstein"
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in made.discriminator.modules())
    assert not [name for name, _ in made.discriminator.named_parameters() if "parametrizations" in name]


def test_a_discriminator_that_nothing_else_bounds_has_its_batches_normalised() -> None:
    for gan in ({}, {"r1": 1.0}, {"spectral": True}):
        made = built(gan=gan)
        assert len(made.penalties) == ("r1" in gan)
        assert any(isinstance(layer, nn.BatchNorm2d) for layer in made.discriminator.modules()) == (not gan)


def test_players_that_are_told_of_classes_begin_with_a_larger_side() -> None:
    for classes, side in ((0, 4), (10, 7)):
        made: Any = make_objective(
            resolved(Generate.parse({"conditional": bool(classes)}), 1000), (1, 28, 28), classes, 1000
        )
        assert made.generator.body.shape[1:] == (side, side)


def test_open_choices_follow_the_model() -> None:
    found = {model: resolved(Generate.parse({"model": model}), 1000) for model in (*GAMES, *METHODS)}
    assert found["sagan"].optim.discriminator_lr == found["sagan"].optim.lr == found["dcgan"].optim.lr == 2e-3
    assert found["dcgan"].gan.augment == "translation"
    assert found["dcgan"].ema is not None
    assert found["glo"].ema is None
    assert resolved(Generate.parse({"model": "glo", "ema": 0.9}), 1000).ema == 0.9
    assert resolved(Generate.parse({"optim": {"lr": 1e-3}, "model": "sagan"}), 9).optim.discriminator_lr == 1e-3
    assert resolved(Generate.parse({}), 50_000).gan.augment == "off"


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"conditional": True, "model": "glo"}, RecipeError, "glo cannot be told of classes"),
        ({"data": "wine"}, DataError, "these data are no pictures"),
        ({"diffusion": {"noise": 9, "sampling": 10}, "model": "diffusion"}, RecipeError, "10 steps of sampling"),
        ({"monitor": "accuracy"}, RecipeError, "not measured"),
        (
            {"energy": {"chain": 3}},
            RecipeError,
            "^energy.chain: it has no meaning for dcgan; leave it out, or use energy",
        ),
        ({"gan": {"likeness": 3}, "model": "dense"}, RecipeError, "^gan.likeness: it has no meaning for dense"),
        ({"gan": {"turns": 3}, "model": "diffusion"}, RecipeError, "^gan.turns: it has no meaning for diffusion"),
        (
            {"image": {"size": 4}, "model": "sagan"},
            RecipeError,
            "^DCGANGenerator: size is 4; give pictures of at least 8",
        ),
    ],
)
def test_what_does_not_go_together_is_said(settings: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        Generate.parse({"net": {"width": 4}, **settings}).build(Supplied())


def test_without_classes_there_are_none_to_ask_for_and_no_examiner(penstock: Command, here: Path) -> None:
    (here / "p").mkdir()
    for i in range(24):
        Image.fromarray(np.random.default_rng(i).integers(0, 255, (10, 12), dtype=np.uint8)).save(here / f"p/{i}.png")
    assert penstock(f"train generate --data p --size 8 {SMALL} --name r").code == 0
    assert not (here / "runs/generate/r/parts").exists()
    penstock("sample r --label x").refused(2, "label")
    penstock("sample r --prompt x").refused(2, "--prompt")
    penstock("predict r p").refused(2, "penstock sample")
    penstock(f"train generate --data p --size 8 {SMALL} --conditional").refused(3, "no classes")


def test_the_examiner_is_trained_first_kept_and_used_again(penstock: Command, here: Path, pictures: Writer) -> None:
    pictures(here / "图片", each=20)
    line = f"train generate --data 图片 --conditional {SMALL} --measure.epochs 2 --evaluate-every 0.2 --name r"
    outcome = penstock(line)
    assert outcome.code == 0, outcome.err
    folder, examiner = here / "runs/generate/r", here / "runs/generate/r/parts/classify/examiner"
    found = json.loads((folder / "evaluation.json").read_text())
    accuracy = json.loads((examiner / "evaluation.json").read_text())["metrics"]["accuracy"]
    assert found["making"]["examiner"] == {
        "name": "a classifier of the same data",
        "accuracy": accuracy,
        "classes": ["cat", "dog"],
    }
    assert sum(item["share"] for item in found["making"]["classes"]) == pytest.approx(1)
    weights = (examiner / "model" / "weights.safetensors").stat().st_mtime_ns
    resume(folder)
    assert (examiner / "model" / "weights.safetensors").stat().st_mtime_ns == weights
    run = api.load(folder)
    assert isinstance(run.trained, Creating)
    assert isinstance(run.trained.examiner, ClassifierExaminer)
    names = [name for name, _ in run.trained.objective.named_parameters()]
    assert not any("examiner" in name for name in names)
    dogs = run.sample(6, label="dog").array
    assert dogs.shape == (6, 3, 8, 8)
    with pytest.raises(RecipeError, match="did you mean 'dog'"):
        run.sample(6, label="dogg")
    page = render(read_run(folder))
    for anchor in ("samples", "balance", "variety", "neighbours"):
        assert f'id="{anchor}"' in page
    assert "data:image/gif;base64,R0lGOD" in page


def test_features_of_the_classifier_are_what_its_last_layer_reads() -> None:
    torch.manual_seed(0)
    network = CNN(channels=1, height=8, width=8, outputs=3, widths=(4, 6)).eval()
    from penstock.data.pixels import PixelScaling

    scaling, pixels = PixelScaling([100.0], [50.0]), torch.randint(256, (5, 1, 8, 8), dtype=torch.uint8)
    examiner = ClassifierExaminer(network, scaling, ["a", "b", "c"], None).eval()
    signed = pixels.float() / 127.5 - 1
    torch.testing.assert_close(network.head(examiner(signed)), network(scaling(pixels)), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        examiner.probabilities(signed), network(scaling(pixels)).softmax(1), rtol=1e-4, atol=1e-5
    )
    assert np.array_equal(pixels_of(signed), pixels.numpy())


def test_coarse_pixels_are_means() -> None:
    x = torch.randn(3, 2, 16, 16)
    coarse = CoarseExaminer()(x).view(3, 2, 8, 8)
    torch.testing.assert_close(coarse[1, 1, 2, 3], x[1, 1, 4:6, 6:8].mean())
    assert CoarseExaminer()(torch.randn(2, 1, 5, 9)).shape == (2, 40)
    assert frechet(CoarseExaminer()(x).double(), CoarseExaminer()(x).double()) == pytest.approx(0, abs=1e-6)


def test_sheets_have_fixed_codes_and_stop_where_a_run_goes_on(penstock: Command, here: Path, pictures: Writer) -> None:
    pictures(here / "图片")
    line = f"train generate --data 图片 --measure.examiner pixels --evaluate-every 0.5 {SMALL} --optim.lr 1e-12"
    assert penstock(f"{line} --name r").code == 0
    sheets = sheets_in(here / "runs/generate/r")
    assert [step for step, _ in sheets] == [1, 2]
    first, last = (np.asarray(Image.open(path)).astype(int) for _, path in sheets)
    assert abs(first - last).max() <= 12  # next to nothing was learned, and the codes are the same
    (here / "runs/generate/r/samples/step-0000009.png").write_bytes(sheets[0][1].read_bytes())
    resume(here / "runs/generate/r")
    assert [step for step, _ in sheets_in(here / "runs/generate/r")] == [1, 2]
    with Image.open(here / "runs/generate/r/training.gif") as found:
        assert found.n_frames in (1, 2)  # equal frames may be one
    assert film([path for _, path in sheets]).startswith(b"GIF89a")


def test_glo_has_a_code_for_every_training_example_and_none_else(pictures: Writer, tmp_path: Path) -> None:
    pictures(tmp_path / "p", each=20)
    recipe = Generate.parse({"data": str(tmp_path / "p"), "model": "glo", "net": {"width": 4}})
    job = recipe.build(Supplied())
    train = job.facts["splits"]["train"]
    assert len(job.trained.objective.codes) == train
    seen = torch.cat([next(job.source)["index"] for _ in range(job.source.epoch_steps)])
    assert sorted(seen.tolist()) == list(range(train))


def test_unequal_sides_are_for_diffusion_alone() -> None:
    for model in ("dcgan", "diffusion"):
        recipe = resolved(Generate.parse({"model": model, "net": {"widths": [8], "width": 4}}), 100)
        if model == "dcgan":
            with pytest.raises(RecipeError, match="8 x 12"):
                make_objective(recipe, (1, 8, 12), 0, 10)
        else:
            assert make_objective(recipe, (1, 8, 12), 0, 10).sample(torch.arange(2)).shape == (2, 1, 8, 12)
