"""Generation: new pictures like those that there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from penstock.core.errors import DataError, RecipeError, suggest
from penstock.core.ranks import ALONE, Ranks
from penstock.recipes.blueprint import CONDITIONAL, GAMES, LABEL, METHODS, make_objective
from penstock.recipes.blueprint import make_optimizers as optimizers_of
from penstock.recipes.generate_settings import (
    DiffusionSettings,
    EnergySettings,
    GanSettings,
    MakingNet,
    MakingOptim,
    MeasureSettings,
)
from penstock.recipes.recipe import Recipe, Where
from penstock.recipes.settings import PictureSettings, SplitSettings
from penstock.recipes.usual import FEW, USUAL, resolved

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from torch import nn

    from penstock.core.objective import Evaluation
    from penstock.data.examples import Examples
    from penstock.data.features import Classes
    from penstock.data.splits import Splits
    from penstock.kinds.pictures import ImageMaterial
    from penstock.recipes.creating import Creating
    from penstock.recipes.job import Job, Supplied
    from penstock.recipes.trained import Trained


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
    batch_size: Annotated[int, Field(ge=1, le=10**6, description="examples a step")] = 64
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
        from penstock.recipes.examined import examiners
        from penstock.recipes.job import Job
        from penstock.recipes.judged_samples import held_out, some
        from penstock.recipes.sheets import COUNT, SheetFiles
        from penstock.recipes.sheets import FEW as FEW_SHOWN

        import torch  # isort: skip

        splits = self.divide(material)
        kind = symmetric(material.fit(splits["train"]))
        classes = self._classes(material, splits)
        recipe = resolved(self, len(splits["train"]))
        seed_all(self.seed)
        known = 0 if classes is None else len(classes.names)
        objective = make_objective(recipe, kind.shape, known, len(splits["train"])).to(device)
        trained = Creating(objective, kind, classes, recipe.model, examples=len(splits["train"]))
        examples = self._examples(material, trained)
        measured = {part: some(splits[part], most) for part, most in recipe.measured().items()}
        rest = {part: held_out(trained, examples, rows) for part, rows in measured.items()}
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
            parts=examiners(recipe, trained, material, len(splits["train"])),
        )

    def read(self, supplied: object = None) -> ImageMaterial:
        """The pictures that `data` names, or the object given in its place."""
        from penstock.data.opened import ImageData, ReadOptions
        from penstock.data.opening import open_data
        from penstock.kinds.pictures import ImageMaterial

        found = open_data(self.data, ReadOptions(), supplied, labelled=False)
        if not isinstance(found, ImageData):
            remedy = "give a folder of pictures, an array of them, or a named set of pictures"
            raise DataError(found.origin, "these data are no pictures", remedy)
        return ImageMaterial(found, *self.image.objects())

    def divide(self, material: ImageMaterial) -> Splits:
        """The split that the data bring along, or a random one that follows from the seed."""
        from penstock.data.features import Classes
        from penstock.data.splits import split
        from penstock.recipes.examined import are_classes

        labelled = are_classes(material)
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
        from penstock.recipes.examined import EXAMINER, classifier, examine_by

        trained = Creating.load(folder, partial(make_objective, self))
        run = folder.parent / "parts" / "classify" / EXAMINER
        if (run / "model" / MANIFEST).exists():
            examine_by(trained, classifier(self, 0), run)
        return trained

    def examine(self, trained: Trained, supplied: object, fingerprint: object, other: object) -> dict[str, Any]:
        """Of other pictures, all are compared with."""
        import contextlib

        import numpy as np

        from penstock.recipes.creating import Creating
        from penstock.recipes.judged_samples import held_out, some

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
            rows = some(splits["test"], self.measured()["test"])
            evaluation = trained.evaluate(held_out(trained, examples, rows), self.precision)
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
        from penstock.recipes.judged_samples import judged

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
        from penstock.recipes.examined import are_classes

        if not self.conditional:
            return None
        if self.model not in ("auto", *CONDITIONAL):
            problem = f"{self.model} cannot be told of classes"
            raise RecipeError("conditional", problem, f"use one of {', '.join(CONDITIONAL)}")
        if not are_classes(material):
            raise DataError(
                material.origin, "there are no classes", "make one folder a class, or leave --conditional out"
            )
        return Classes.fit(material.labels.iloc[splits["train"]])

    def _examples(self, material: ImageMaterial, trained: Creating) -> Examples:
        columns = {} if trained.classes is None else {LABEL: trained.classes.encode(material.labels)}
        return material.examples(trained.kind, columns).to(trained.device)

    def _check(self, trained: Creating, source: Any) -> None:
        """Try the networks on a few examples."""
        from penstock.data.sources import InOrder
        from penstock.recipes.trained import check_measured

        few = InOrder(source.examples, source.indices[:2], batch_size=2, transform=source.transform)
        check_measured(trained.objective, next(iter(few)).to(trained.device), self.monitor)

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
