"""The examiner of a run of `generate`: a classifier of the same data, trained before it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from penstock.core.errors import DataError
from penstock.core.files import read_json
from penstock.recipes.classify import Classify
from penstock.recipes.examiner import examiner_from
from penstock.recipes.job import Part
from penstock.recipes.settings import ImageSettings

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.kinds.pictures import ImageMaterial
    from penstock.recipes.creating import Creating
    from penstock.recipes.generate import Generate
    from penstock.recipes.recipe import Recipe

EXAMINED = 150_000
"""Training examples that the examiner goes through, within 2 to 30 epochs."""
EXAMINER = "examiner"
ELSEWHERE = ("name", "runs", "device", "threads")
"""Settings of a run that say where it is trained, not what is."""


def examiners(recipe: Generate, trained: Creating, material: ImageMaterial, examples: int) -> list[Part]:
    """The examiner, where there are labels to train it by."""
    choice = recipe.measure.examiner
    if choice == "classifier" and not are_classes(material):
        raise DataError(material.origin, "there are no classes", "leave --measure.examiner out")
    if choice == "pixels" or not are_classes(material):
        return []

    def take(folder: Path) -> None:
        examine_by(trained, chosen, folder)

    chosen = classifier(recipe, examples)
    words = "a classifier of the same data, by which samples will be measured"
    return [Part(EXAMINER, chosen, take, words, _kept(chosen, material.fingerprint()))]


def classifier(recipe: Generate, examples: int) -> Recipe:
    """What the examiner is trained by."""
    epochs = recipe.measure.epochs or float(round(min(max(EXAMINED / max(examples, 1), 2), 30)))
    pictures = recipe.image.model_dump(exclude={"shift"})
    return Classify(
        data=recipe.data,
        name=EXAMINER,
        model="cnn",
        epochs=epochs,
        device=recipe.device,
        threads=recipe.threads,
        seed=recipe.seed,
        image=ImageSettings(**pictures),
        split=recipe.split,
    )


def _kept(recipe: Recipe, fingerprint: str) -> Path:
    """Where such a classifier of such data is kept; another version of this program trains its own."""
    from penstock import __version__
    from penstock.data.named import cache_folder

    told = {key: value for key, value in recipe.dump().items() if key not in ELSEWHERE}
    digest = hashlib.sha256(json.dumps([__version__, fingerprint, told], sort_keys=True).encode())
    return cache_folder() / "examiners" / digest.hexdigest()[:32]


def examine_by(trained: Creating, recipe: Recipe, run: Path) -> None:
    """Measure samples by the classifier that a run has trained."""
    found = run / "evaluation.json"
    accuracy = read_json(found)["metrics"].get("accuracy") if found.exists() else None
    trained.examine_by(examiner_from(recipe.load(run / "model"), accuracy))


def are_classes(material: ImageMaterial) -> bool:
    """Whether the labels are classes: two or more, each of several pictures on average."""
    labels = material.labels
    return not labels.isna().any() and 1 < labels.nunique() <= max(len(labels) // 2, 2)
