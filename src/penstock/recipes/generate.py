"""Generation: new pictures like those that there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field

from penstock.core.errors import DataError, RecipeError, suggest
from penstock.core.ranks import ALONE, Ranks
from penstock.recipes.blueprint import CONDITIONAL, FEW, GAMES, LABEL, LITTLE, METHODS, USUAL, make_objective
from penstock.recipes.blueprint import make_optimizers as optimizers_of
from penstock.recipes.generate_settings import (
    DiffusionSettings,
    EnergySettings,
    GanSettings,
    MakingNet,
    MakingOptim,
    MeasureSettings,
    PictureSettings,
)
from penstock.recipes.recipe import Recipe, Where
from penstock.recipes.settings import SplitSettings

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from torch import nn

    from penstock.core.objective import Evaluation
    from penstock.data.examples import Examples
    from penstock.data.features import Classes
    from penstock.data.splits import Splits
    from penstock.kinds.image import ImageMaterial
    from penstock.recipes.creating import Creating
    from penstock.recipes.job import Job, Part, Supplied
    from penstock.recipes.trained import Trained

EXAMPLES_SEEN = 1_500_000
"""How many training examples are gone through where the length is not given, within 10 to 200 epochs."""
LEAST_STEPS = 3000
EVALUATIONS = 24
LEAST_BETWEEN = 100
"""Steps between two evaluations, at least."""
EXAMINED = 200_000
"""Training examples that the examiner goes through, within 2 to 30 epochs."""
EXAMINER = "examiner"


def _known(name: str) -> str:
    """Raises ValueError, which says the nearest name, where no model is called so."""
    if name not in (names := ("auto", *GAMES, *METHODS)):
        raise ValueError(suggest(name, names))
    return name


class Generate(Recipe):
    """Learn from pictures to make new ones."""

    task: ClassVar[str] = "generate"
    summary: ClassVar[str] = "learn from pictures to make new ones"
    example: ClassVar[str] = "penstock train generate --data fashion-mnist --model dcgan --conditional --minutes 30"
    activity: ClassVar[str] = "generation"
    headline: ClassVar[Sequence[str]] = ("frechet", "loss")
    use: ClassVar[str] = "penstock sample {run}"
    python_use: ClassVar[str] = 'run.sample(64).write("sheet.png")'

    data: Where = "digits"
    model: Annotated[
        str, Field(description=f"auto (dcgan), {', '.join((*GAMES, *METHODS))}"), AfterValidator(_known)
    ] = "auto"
    conditional: Annotated[bool, Field(description="learn the classes too, so that one can be asked for")] = False
    batch_size: Annotated[int, Field(ge=2, le=10**6, description="examples a step")] = 64
    drop_last: Annotated[bool, Field(description="leave out the last batch of an epoch where it is smaller")] = False
    monitor: Annotated[str, Field(description="the validation metric that chooses the best weights")] = "frechet"
    ema: Annotated[
        float | None,
        Field(gt=0, lt=1, description="evaluate and keep a moving average of the weights; none: do not (as glo)"),
    ] = 0.999
    gan: GanSettings = GanSettings()
    diffusion: DiffusionSettings = DiffusionSettings()
    energy: EnergySettings = EnergySettings()
    net: MakingNet = MakingNet()
    optim: MakingOptim = MakingOptim()
    image: PictureSettings = PictureSettings()
    split: SplitSettings = SplitSettings()
    measure: MeasureSettings = MeasureSettings()

    def build(self, supplied: Supplied, ranks: Ranks = ALONE) -> Job:
        """Read and divide the pictures; make networks, objective and sources. The examiner is trained later."""
        from penstock.engine.device import pick_device

        device = pick_device(self.device, ranks=ranks)
        if supplied.model is not None:
            problem = "a module by itself is no pair of players"
            raise RecipeError("model", problem, f"name one of {', '.join((*GAMES, *METHODS))}")
        material = self.read(supplied.data)
        try:
            return self._prepare(material, device, supplied, ranks)
        except BaseException:
            material.close()
            raise

    def _prepare(self, material: ImageMaterial, device: Any, supplied: Supplied, ranks: Ranks) -> Job:
        from penstock.core.random import derive, seed_all
        from penstock.data.keyed import Keyed
        from penstock.data.sources import Shuffled
        from penstock.recipes.creating import Creating, symmetric
        from penstock.recipes.job import Job
        from penstock.recipes.sheets import COUNT, SheetFiles
        from penstock.recipes.sheets import FEW as FEW_SHOWN

        import torch  # isort: skip

        splits = self.divide(material)
        kind = symmetric(material.fit(splits["train"]))
        classes = self._classes(material, splits)
        recipe = self._resolved(len(splits["train"]))
        seed_all(self.seed)
        known = 0 if classes is None else len(classes.names)
        objective = make_objective(recipe, kind.shape, known, len(splits["train"])).to(device)
        trained = Creating(objective, kind, classes, recipe.model, examples=len(splits["train"]))
        examples = self._examples(material, trained)
        measured = {part: _some(splits[part], most) for part, most in recipe.measured().items()}
        rest = {part: _held_out(trained, examples, rows) for part, rows in measured.items()}
        self._check(trained, rest["validation"])
        places = torch.full((len(material.labels),), -1)
        places[torch.from_numpy(splits["train"])] = torch.arange(len(splits["train"]))
        source = Shuffled(
            examples,
            torch.from_numpy(splits["train"]),
            batch_size=recipe.batch_size,
            seed=self.seed,
            transform=Keyed(kind.transform(training=True), places),
            drop_last=self.drop_last,
            ranks=ranks,
        )
        costly = USUAL[recipe.model].measured == FEW
        sheet_seed = derive(self.seed, "sheets") >> 1

        def judge(evaluation: Evaluation, split: str) -> dict[str, Any]:
            return recipe.judged(trained, evaluation, examples, measured[split], splits["train"], split)

        return Job(
            recipe,
            trained,
            source,
            rest,
            optimizers_of(recipe),
            self._facts(material, splits, classes, supplied),
            judge,
            material.skipped,
            watchers=lambda folder: [
                SheetFiles(folder, trained, seed=sheet_seed, count=FEW_SHOWN if costly else COUNT)
            ],
            close=material.close,
            parts=recipe._parts(trained, material, len(splits["train"])),
        )

    def read(self, supplied: object = None) -> ImageMaterial:
        """The pictures that `data` names, or the object given in its place."""
        from penstock.data.opened import ImageData, ReadOptions
        from penstock.data.opening import open_data
        from penstock.kinds.image import ImageMaterial, ReadImages

        found = open_data(self.data, ReadOptions(), supplied, labelled=False)
        if not isinstance(found, ImageData):
            remedy = "give a folder of pictures, an array of them, or a named set of pictures"
            raise DataError(found.origin, "these data are no pictures", remedy)
        how = ReadImages(self.image.size, self.image.skip_bad, self.image.memory, self.image.workers)
        return ImageMaterial(found, how, self.image.shift, self.image.flip)

    def divide(self, material: ImageMaterial) -> Splits:
        """The split that the data bring along, or a random one that follows from the seed."""
        from penstock.data.features import Classes
        from penstock.data.splits import split

        labelled = _are_classes(material)
        return split(
            len(material.labels),
            seed=self.seed,
            validation=self.split.validation,
            test=self.split.test,
            strata=Classes.fit(material.labels).encode(material.labels).numpy() if labelled else None,
            given=material.given,
        )

    def load(self, folder: Path, model: nn.Module | None = None) -> Trained:
        """With the examiner of its run, where that has one."""
        from functools import partial

        from penstock.core.manifest import MANIFEST
        from penstock.recipes.creating import Creating

        trained = Creating.load(folder, partial(make_objective, self))
        run = folder.parent / "parts" / "classify" / EXAMINER
        if (run / "model" / MANIFEST).exists():
            _examine_by(trained, self._classifier(0), run)
        return trained

    def examine(self, trained: Trained, supplied: object, fingerprint: object, other: object) -> dict[str, Any]:
        """Of other pictures, all are compared with."""
        import contextlib

        import numpy as np

        from penstock.recipes.creating import Creating

        assert isinstance(trained, Creating)
        named = {"data": str(other)} if other is not None and not isinstance(other, list | tuple | np.ndarray) else {}
        chosen = self.model_copy(
            update={**named, "image": self.image.model_copy(update={"size": trained.kind.shape[1]})}
        )
        material = chosen.read(supplied if other is None else None if named else other)
        with contextlib.closing(material):
            if other is None and fingerprint != material.fingerprint():
                raise DataError(material.origin, "the data have changed since this run", "restore them, or give --data")
            everything = np.arange(len(material.labels))
            splits = self.divide(material) if other is None else {"train": everything, "test": everything}
            examples = self._examples(material, trained)
            rows = _some(splits["test"], self.measured()["test"])
            evaluation = trained.evaluate(_held_out(trained, examples, rows), self.precision)
            name = "test" if other is None else "all pictures"
            return self.judged(trained, evaluation, examples, rows, splits["train"], name)

    def judged(
        self,
        trained: Creating,
        evaluation: Evaluation,
        examples: Examples,
        rows: np.ndarray,
        training: np.ndarray,
        split: str,
    ) -> dict[str, Any]:
        """An evaluation as the report shows it."""
        from penstock.recipes.likeness import judged

        count = 200 if USUAL[self.model].measured == FEW else 1000
        return judged(
            trained, evaluation, examples, rows, training, split=split, count=min(count, len(rows)), seed=self.seed >> 1
        )

    def measured(self) -> dict[str, int]:
        """How many held-out examples are compared with, of a resolved recipe."""
        assert self.measure.validation is not None
        assert self.measure.test is not None
        return {"validation": self.measure.validation, "test": self.measure.test}

    def _classes(self, material: ImageMaterial, splits: Splits) -> Classes | None:
        """Those that the networks are told of."""
        from penstock.data.features import Classes

        if not self.conditional:
            return None
        if self.model not in ("auto", *CONDITIONAL):
            problem = f"{self.model} cannot be told of classes"
            raise RecipeError("conditional", problem, f"use one of {', '.join(CONDITIONAL)}")
        if not _are_classes(material):
            raise DataError(
                material.origin, "there are no classes", "make one folder a class, or leave --conditional out"
            )
        return Classes.fit(material.labels.iloc[splits["train"]])

    def _examples(self, material: ImageMaterial, trained: Creating) -> Examples:
        columns = {} if trained.classes is None else {LABEL: trained.classes.encode(material.labels)}
        return material.examples(trained.kind, columns).to(trained.device)

    def _resolved(self, examples: int) -> Self:
        """The same recipe with what was left open decided by rule, so that its record says all."""
        model = "dcgan" if self.model == "auto" else self.model
        usual, optim, gan, measure = USUAL[model], self.optim, self.gan, self.measure
        lr = optim.lr or usual.lr
        rates: dict[str, Any] = {"lr": lr, "weight_decay": optim.weight_decay or 0.0}
        rates["discriminator_lr"] = optim.discriminator_lr or (usual.discriminator_lr or usual.lr) / usual.lr * lr
        rates["codes_lr"] = optim.codes_lr or float(self.batch_size)
        for name, value in zip(("beta1", "beta2"), usual.betas, strict=True):
            rates[name] = value if getattr(optim, name) is None else getattr(optim, name)
        bounded = gan.gradient_penalty is not None or gan.clip is not None
        game: dict[str, Any] = {
            "loss": usual.loss if gan.loss == "auto" else gan.loss,
            "spectral": (usual.spectral and not bounded) if gan.spectral is None else gan.spectral,
        }
        if gan.augment == "auto":
            game["augment"] = "translation" if examples <= LITTLE and model in GAMES else "off"
        spread = zip(("validation", "test"), usual.measured, strict=True)
        choices: dict[str, Any] = {
            "model": model,
            "optim": optim.model_copy(update=rates),
            "gan": gan.model_copy(update=game),
            "net": self.net.model_copy(update={"width": self.net.width or usual.width}),
            "measure": measure.model_copy(update={name: getattr(measure, name) or most for name, most in spread}),
        }
        if "ema" not in self.model_fields_set:
            choices["ema"] = usual.ema
        steps = -(-examples // self.batch_size)
        whole = self.epochs
        if self.epochs is None and self.steps is None and self.minutes is None:
            whole = float(round(max(min(max(EXAMPLES_SEEN / examples, 10), 200), LEAST_STEPS / steps)))
            choices["epochs"] = whole
        if "evaluate_every" not in self.model_fields_set:
            total = min(whole or 1e9, self.steps / steps if self.steps else 1e9)
            between = total / EVALUATIONS if total < 1e9 else 0.0
            choices["evaluate_every"] = max(between, LEAST_BETWEEN / steps) if between else max(1.0, 200 / steps)
        return self.model_copy(update=choices)

    def _check(self, trained: Creating, source: Any) -> None:
        """Try the networks on a few examples."""
        from penstock.data.sources import InOrder
        from penstock.recipes.trained import check_measured

        few = InOrder(source.examples, source.indices[:2], batch_size=2, transform=source.transform)
        check_measured(trained.objective, next(iter(few)).to(trained.device), self.monitor)

    def _parts(self, trained: Creating, material: ImageMaterial, examples: int) -> list[Part]:
        """The examiner, where there are labels to train it by."""
        from penstock.recipes.job import Part

        choice = self.measure.examiner
        if choice == "classifier" and not _are_classes(material):
            raise DataError(material.origin, "there are no classes", "leave --measure.examiner out")
        if choice == "pixels" or not _are_classes(material):
            return []

        def take(folder: Path) -> None:
            _examine_by(trained, recipe, folder)

        recipe = self._classifier(examples)
        return [Part(EXAMINER, recipe, take, "a classifier of the same data, by which samples will be measured")]

    def _classifier(self, examples: int) -> Recipe:
        """What the examiner is trained by."""
        from penstock.recipes.classify import Classify
        from penstock.recipes.settings import ImageSettings

        epochs = self.measure.epochs or float(round(min(max(EXAMINED / max(examples, 1), 2), 30)))
        pictures = self.image.model_dump(exclude={"shift"})
        return Classify(
            data=self.data,
            name=EXAMINER,
            model="cnn",
            epochs=epochs,
            device=self.device,
            threads=self.threads,
            seed=self.seed,
            image=ImageSettings(**pictures),
            split=self.split,
        )

    def _facts(
        self, material: ImageMaterial, splits: Splits, classes: Classes | None, supplied: Supplied
    ) -> dict[str, Any]:
        """What was understood."""
        facts: dict[str, Any] = {
            "name": material.name,
            "origin": material.origin,
            "kind": material.word,
            "examples": len(material.labels),
            **material.facts(),
        }
        if classes is not None:
            facts["notes"] = {"classes to ask for": ", ".join(classes.names)}
        return facts | {
            "splits": {part: len(rows) for part, rows in splits.items()},
            "suspicions": material.audit(self.task, splits),
            "fingerprint": material.fingerprint(),
            "supplied": supplied.names(),
        }


def _examine_by(trained: Creating, recipe: Recipe, run: Path) -> None:
    """Measure samples by the classifier that a run has trained."""
    from penstock.core.files import read_json
    from penstock.recipes.examiner import examiner_from

    found = run / "evaluation.json"
    accuracy = read_json(found)["metrics"].get("accuracy") if found.exists() else None
    trained.examine_by(examiner_from(recipe.load(run / "model"), accuracy))


def _held_out(trained: Creating, examples: Examples, rows: np.ndarray) -> Any:
    """Some of the examples, in order, with keys that are always the same."""
    from penstock.data.keyed import Keyed
    from penstock.data.sources import InOrder

    import torch  # isort: skip

    transform = Keyed(trained.kind.transform(training=False))
    return InOrder(examples, torch.from_numpy(rows), batch_size=64, transform=transform)


def _are_classes(material: ImageMaterial) -> bool:
    """Whether the labels are classes: two or more, each of several pictures on average."""
    labels = material.labels
    return not labels.isna().any() and 1 < labels.nunique() <= max(len(labels) // 2, 2)


def _some(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many, evenly spread."""
    import numpy as np

    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).round().astype(np.int64)]
