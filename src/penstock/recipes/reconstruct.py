"""Reconstruction: which few numbers say what an example is?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, cast

from pydantic import AfterValidator, Field

from penstock.core.errors import DataError, RecipeError
from penstock.core.ranks import Ranks
from penstock.recipes.architectures import one_of
from penstock.recipes.code_settings import (
    BinaryPictureSettings,
    CoderSettings,
    ContractiveSettings,
    DenoisingSettings,
    HearingSettings,
    LikelihoodSettings,
    QuantisedSettings,
    SparseSettings,
    VariationalSettings,
)
from penstock.recipes.coders import CODERS, Method, build_coder, usual_code
from penstock.recipes.recipe import Where
from penstock.recipes.settings import TableSettings
from penstock.recipes.supervised import Supervised

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn

    from penstock.core.objective import Evaluation
    from penstock.data.sources import InOrder
    from penstock.data.splits import Splits
    from penstock.kinds.answer import Answer
    from penstock.kinds.kind import Kind, Material
    from penstock.kinds.likeness import LikenessAnswer
    from penstock.objectives.coding import Coding
    from penstock.recipes.answering import Answering
    from penstock.recipes.job import Job, Supplied

METHODS = ("denoising", "sparse", "contractive", "variational", "quantised")
"""Those that have a group of settings of their own name."""


class Reconstruct(Supervised):
    """Code pictures, sounds or rows in few numbers, and make them again from these."""

    task: ClassVar[str] = "reconstruct"
    summary: ClassVar[str] = "code examples in few numbers, and make them again from these (autoencoders)"
    example: ClassVar[str] = "penstock train reconstruct --data photos/ --method variational --net.code 20"
    activity: ClassVar[str] = "reconstruction"
    headline: ClassVar[Sequence[str]] = ("rmse", "loss")
    use: ClassVar[str] = "penstock reconstruct {run} FILE --output OUT"
    python_use: ClassVar[str] = 'run.reconstruct("FILE")'
    least_steps: ClassVar[int] = 1500

    data: Where = "digits"
    target: Annotated[
        str | None, Field(description="a column that is not coded, but says what an example is (tables)")
    ] = None
    columns: Annotated[dict[str, str], Field(description="the kind of a column, set by hand")] = Field(
        default_factory=dict
    )
    only: Annotated[
        list[str], Field(description="train on these alone, as COLUMN=VALUE; a class folder is class=NAME")
    ] = Field(default_factory=list)
    without: Annotated[
        list[str], Field(description="train on all but these, as COLUMN=VALUE; they are tested apart")
    ] = Field(default_factory=list)
    told: Annotated[
        str | None,
        Field(
            description="a column that the decoder is told, such as who speaks, and that can be changed afterwards; "
            "of class folders, these"
        ),
    ] = None
    method: Annotated[Method, Field(description="what is asked of the code; each has a group of settings below")] = (
        "plain"
    )
    model: Annotated[
        str,
        Field(description=f"auto (pictures and sounds conv, tables dense), {', '.join(CODERS)}"),
        AfterValidator(one_of(CODERS)),
    ] = "auto"
    usual: Annotated[
        float, Field(gt=0, le=1, description="share of the validation examples below the threshold of what is unusual")
    ] = 0.99
    net: CoderSettings = CoderSettings()
    likelihood: LikelihoodSettings = LikelihoodSettings()
    denoising: DenoisingSettings = DenoisingSettings()
    sparse: SparseSettings = SparseSettings()
    contractive: ContractiveSettings = ContractiveSettings()
    variational: VariationalSettings = VariationalSettings()
    quantised: QuantisedSettings = QuantisedSettings()
    table: TableSettings = TableSettings()
    image: BinaryPictureSettings = BinaryPictureSettings()
    audio: HearingSettings = HearingSettings()

    @property
    def trained_type(self) -> type[Answering]:
        """One that also makes examples."""
        from penstock.recipes.reconstructing import Reconstructing

        return Reconstructing

    def read_material(self, supplied: object = None, kind: Kind | None = None) -> Material:
        """The examples that `data` names, or the object given in its place; labels are not needed."""
        from penstock.data.opened import ImageData, SoundData, TableData
        from penstock.data.opening import open_data
        from penstock.data.sounds import Vary
        from penstock.kinds.audio import AudioMaterial, ReadSounds
        from penstock.kinds.pictures import ImageMaterial
        from penstock.kinds.table import TableKind, TableMaterial, table_material, without_target

        table, sounds = self.table, self.audio
        reading = table.options()
        found: Any = open_data(self.data, reading, supplied, labelled=False)
        if isinstance(found, TableData):
            found, target = without_target(found, self.target)
            found = table_material(
                found,
                target=target,
                kinds=self.columns,
                split_column=self.split.column if kind is None else None,
                used=kind.encoder.columns if isinstance(kind, TableKind) else None,
                scaling=table.scaling,
                reading=reading,
            )
        if isinstance(found, SoundData):
            heard = ReadSounds(sounds.rate, memory=sounds.memory, skip_bad=sounds.skip_bad, again=True)
            return AudioMaterial(found, heard, Vary())
        if isinstance(found, ImageData):
            return ImageMaterial(found, *self.image.objects())
        if not isinstance(found, TableMaterial):
            raise DataError(found.origin, "these are texts, and there is no autoencoder of texts", "use other data")
        return found

    def refuse_foreign(self, material: Material) -> None:
        """Raises RecipeError for settings of other data, and of a method that was not chosen."""
        from penstock.recipes.foreign import refuse_foreign, refuse_unused

        refuse_foreign(self, material)
        refuse_unused(self, self.method, {method: (method,) for method in METHODS})
        if self.likelihood.deviation is not None and self.method != "variational":
            remedy = "leave it out, or add --method variational"
            raise RecipeError("likelihood.deviation", f"the method {self.method!r} has no use for it", remedy)
        if self.likelihood.form == "bernoulli" and material.word != "image":
            problem = f"it is for brightness, and {material.name} has none"
            raise RecipeError("likelihood.form", problem, "leave it out")

    def fit_kind(self, material: Material, rows: Any) -> Kind:
        """Pictures are brought to 0..1, whatever they are like."""
        from penstock.data.pixels import PixelScaling
        from penstock.kinds.image import ImageKind

        kind = material.fit(rows)
        if isinstance(kind, ImageKind):
            return ImageKind(kind.shape, PixelScaling.unit(kind.shape[0], binary=self.image.binary), kind.augment)
        return kind

    def fit_answer(self, material: Material, rows: Any) -> Answer:
        """The classes of the examples, where there are some, and how long a sound usually is."""
        from penstock.kinds.audio import AudioMaterial
        from penstock.kinds.likeness import LikenessAnswer
        from penstock.kinds.told import Told

        sounds = isinstance(material, AudioMaterial)
        samples = int(cast("AudioMaterial", material).lengths[rows].median()) if sounds else None
        told = None if self.told is None else Told.fit(self.told, material, rows)
        return replace(LikenessAnswer.fit(material.labels, rows, samples), told=told)

    def usual_model(self, kind: Kind) -> str:
        """Convolutions, but for rows of a table."""
        return "dense" if "numbers" in kind.sizes() else "conv"

    def network(self, name: str, kind: Kind, answer: Answer, net: CoderSettings) -> nn.Module:
        """An autoencoder by name."""
        from torch import nn

        limited = self.method == "sparse" and self.sparse.how == "activation"
        activation = nn.Sigmoid() if limited else None
        told = cast("LikenessAnswer", answer).told
        classes = None if told is None else len(told.classes.names)
        return build_coder(name, kind.sizes(), self.method, net, self.quantised, activation, classes)

    def objective(self, kind: Kind, answer: Answer, network: nn.Module) -> Coding:
        """What the method asks for."""
        from penstock.recipes.methods import coding

        return coding(self, kind, cast("LikenessAnswer", answer), network)

    def check(self, trained: Answering, source: InOrder) -> None:
        """Raises RecipeError for a model that cannot make its examples again, or a metric that is not measured."""
        from penstock.recipes.answering import trying
        from penstock.recipes.trained import check_measured

        with trying(trained, source) as batch:
            check_measured(trained.objective, batch, self.monitor)

    def resolved(self, material: Material, kind: Kind, examples: int, supplied: Supplied) -> Self:
        """With the length of a code decided, too."""
        recipe = super().resolved(material, kind, examples, supplied)
        code = usual_code(kind.sizes()) if self.net.code is None else self.net.code
        net: dict[str, Any] = {"code": code}
        if self.net.anonymous is None and "features" in kind.sizes():
            net["anonymous"] = self.told is not None
        if self.method == "contractive" and kind.word == "image":  # all slopes are found at once, which that forbids
            recipe = recipe.model_copy(update={"channels_last": False})
        return recipe.model_copy(update={"net": self.net.model_copy(update=net)})

    def kept(self, material: Material) -> np.ndarray:
        """Which examples are trained and tested on, (N,) bool; see `chosen`."""
        from penstock.kinds.chosen import chosen

        return chosen(material, self.only, self.without)

    def divide(self, material: Material) -> Splits:
        """Of the examples that are kept; classes, where they are known, are divided alike."""
        import numpy as np

        from penstock.data.splits import split
        from penstock.kinds.likeness import LikenessAnswer

        kept = np.flatnonzero(self.kept(material))
        classes = LikenessAnswer.fit(material.labels, kept, None).encode(material.labels).numpy()
        found = split(
            len(kept),
            seed=self.seed,
            validation=self.split.validation,
            test=self.split.test,
            strata=classes[kept],
            given=None if material.given is None else material.given[kept],
        )
        return {part: kept[rows] for part, rows in found.items()}

    def prepare(self, material: Material, device: torch.device, supplied: Supplied, ranks: Ranks) -> Job:
        """The threshold is found on the validation split, once the training has ended."""
        from penstock.recipes.reconstructing import Reconstructing

        job = super().prepare(material, device, supplied, ranks)
        trained, judge = job.trained, job.judge
        assert isinstance(trained, Reconstructing)

        def settled(evaluation: Evaluation, split: str) -> dict[str, Any]:
            trained.settle(job.held_out["validation"], self.usual)
            return judge(evaluation, split)

        kept = self.kept(material)
        notes = dict(job.facts.get("notes", {}))
        if not kept.all():
            notes["left out"] = f"{int((~kept).sum()):,} examples, by --only and --without; the test tells them apart"
        facts = {**job.facts, "examples": int(kept.sum()), **({"notes": notes} if notes else {})}
        return replace(job, judge=settled, facts=facts)

    def judged(
        self, trained: Answering, evaluation: Evaluation, material: Material, rows: np.ndarray, split: str
    ) -> dict[str, Any]:
        """What examples look like again, how far off they are, and how far those that were left out."""
        import numpy as np

        from penstock.kinds.chosen import knows
        from penstock.recipes.judged_reconstructions import judged
        from penstock.recipes.reconstructing import Reconstructing

        assert isinstance(trained, Reconstructing)
        own = split == "test" and knows(material, [*self.only, *self.without])
        outside = np.flatnonzero(~self.kept(material)) if own else np.zeros(0, dtype=np.int64)
        samples = self.variational.importance if self.method == "variational" else 0
        return judged(trained, evaluation, material, rows, outside, split, samples)
