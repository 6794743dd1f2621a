"""What classification and regression share: labelled data in, a model that answers out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, Field

from penstock.core.errors import RecipeError
from penstock.core.ranks import ALONE, Ranks
from penstock.recipes.architectures import MODELS, build_model, known_model
from penstock.recipes.recipe import Recipe
from penstock.recipes.settings import ImageSettings, NetSettings, OptimSettings, SplitSettings, TableSettings

if TYPE_CHECKING:
    import torch

    from penstock.data.splits import Splits
    from penstock.kinds.answer import Answer
    from penstock.kinds.kind import Kind, Material
    from penstock.recipes.job import Job, Supplied

EXAMPLES_SEEN = 1_000_000
"""How many training examples are gone through where the number of epochs is not given, within 10 to 40 epochs."""
LEAST_STEPS = 800
"""And how many steps are made at least, for small data."""
ENOUGH_FOR_PERIODIC = 2000
"""Training rows from which a table's numbers are given to an mlp as waves; with fewer it overfits."""


class Supervised(Recipe):
    """A recipe for labelled tables and pictures."""

    target: Annotated[str | None, Field(description="the column to predict (tables)")] = None
    columns: Annotated[dict[str, str], Field(description="the kind of a column, set by hand")] = Field(
        default_factory=dict
    )
    model: Annotated[
        str,
        Field(description=f"auto (cnn for pictures, mlp for tables), {', '.join(MODELS)}"),
        AfterValidator(known_model),
    ] = "auto"
    batch_size: Annotated[
        int | None, Field(ge=1, le=10**9, description="examples a step; by the number of examples if not given")
    ] = None
    drop_last: Annotated[bool, Field(description="leave out the last batch of an epoch where it is smaller")] = False
    net: NetSettings = NetSettings()
    optim: OptimSettings = OptimSettings()
    split: SplitSettings = SplitSettings()
    table: TableSettings = TableSettings()
    image: ImageSettings = ImageSettings()

    @abstractmethod
    def objective_options(self, answer: Answer) -> dict[str, Any]:
        """What the task adds to its objective."""

    @abstractmethod
    def fit_answer(self, material: Material, rows: Any) -> Answer:
        """The way out, fitted on the training rows."""

    @abstractmethod
    def strata(self, material: Material) -> Any:
        """What a random split is to divide alike, or None."""

    def build(self, supplied: Supplied, ranks: Ranks = ALONE) -> Job:
        """Read, understand and split the data; fit the preprocessing; make model, objective and sources."""
        from penstock.engine.device import pick_device

        device = pick_device(self.device, ranks=ranks)  # before the data are read: a wrong one need not wait for that
        material = self.read_material(supplied.data)
        self.refuse_foreign(material)
        try:
            return self.prepare(material, device, supplied, ranks)
        except BaseException:
            material.close()
            raise

    def prepare(self, material: Material, device: torch.device, supplied: Supplied, ranks: Ranks) -> Job:
        """As `build`, from data that have been read."""
        from penstock.data.sources import Shuffled
        from penstock.recipes.job import Job, held_out, labelled
        from penstock.recipes.trained import Trained, check_model, objective_for

        import torch  # isort: skip

        splits = self.divide(material)
        kind, answer = material.fit(splits["train"]), self.fit_answer(material, splits["train"])
        recipe = self.resolved(material, kind, len(splits["train"]), supplied)
        model = recipe.make_model(kind, answer, supplied).to(device)
        objective = objective_for(answer, model, kind.inputs, **self.objective_options(answer))
        named = None if supplied.model is not None else recipe.model
        trained = Trained(objective, kind, answer, named, recipe.net)
        examples = labelled(trained, material)
        assert recipe.batch_size is not None
        source = Shuffled(
            examples,
            torch.from_numpy(splits["train"]),
            batch_size=recipe.batch_size,
            seed=self.seed,
            transform=kind.transform(training=True),
            drop_last=self.drop_last,
            ranks=ranks,
        )
        rest = {part: held_out(trained, examples, splits[part]) for part in ("validation", "test")}
        check_model(trained, rest["validation"], self.monitor)
        facts = {
            "name": material.name,
            "origin": material.origin,
            "kind": material.word,
            "examples": len(material.labels),
            **material.facts(),
            **answer.facts(material.labels, splits),
            "splits": {part: len(rows) for part, rows in splits.items()},
            "suspicions": material.audit(self.task, splits),
            "fingerprint": material.fingerprint(),
            "supplied": supplied.names(),
        }
        return Job(recipe, trained, material, splits, source, rest, {"model": self.optim.build()}, facts)

    def divide(self, material: Material) -> Splits:
        """The split that the data bring along, or a random one that follows from the seed."""
        from penstock.data.splits import split

        return split(
            len(material.labels),
            seed=self.seed,
            validation=self.split.validation,
            test=self.split.test,
            strata=self.strata(material),
            given=material.given,
        )

    def refuse_foreign(self, material: Material) -> None:
        """Raises RecipeError for a setting that is not as it is by default and has no meaning for these data."""
        ours, usual = (_dotted(recipe.model_dump()) for recipe in (self, type(self)(data=self.data)))
        wanted, there = ("pictures", "a table") if material.word == "table" else ("tables", "pictures")
        for name, value in ours.items():
            if value != usual.get(name) and any(f"{name}.".startswith(f"{foreign}.") for foreign in material.foreign):
                raise RecipeError(name, f"it is for {wanted}, and {material.name} is {there}", "leave it out")

    def read_material(self, supplied: object = None, kind: Kind | None = None) -> Material:
        """The labelled data that `data` names, or the object given in its place.

        For a model that there is already, `kind` says what it takes: other columns are left alone, pictures brought to
        its size, and a split column is not looked for.
        """
        from penstock.data.opening import ImageData, ReadOptions, TableData, open_data
        from penstock.kinds.image import ImageMaterial, ReadImages
        from penstock.kinds.table import TableKind, TableMaterial, table_material

        table = self.table
        reading = ReadOptions(table.delimiter, table.encoding, tuple(table.missing), tuple(table.present))
        found: TableData | TableMaterial | ImageData = open_data(self.data, reading, supplied)
        if isinstance(found, TableData):
            found = table_material(
                found,
                target=self.target,
                kinds=self.columns,
                split_column=self.split.column if kind is None else None,
                used=kind.encoder.columns if isinstance(kind, TableKind) else None,
                scaling=table.scaling,
                reading=reading,
            )
        if isinstance(found, ImageData):
            pictures = self.image
            how = ReadImages(pictures.size, pictures.skip_bad, pictures.memory, pictures.workers)
            return ImageMaterial(found, how, pictures.shift, pictures.flip)
        assert isinstance(found, TableMaterial)
        return found

    def resolved(self, material: Material, kind: Kind, examples: int, supplied: Supplied) -> Self:
        """The same recipe with what was left open decided by rule, so that its record says all."""
        choices: dict[str, Any] = {"target": str(material.labels.name)} if material.word == "table" else {}
        if self.model == "auto" and supplied.model is None:
            choices["model"] = kind.default_model
        batch = self.batch_size or min(max(1 << (examples // 20).bit_length(), 16), 256)
        choices |= {"batch_size": batch, "optim": self.optim.resolved()}
        if self.epochs is None and self.steps is None and self.minutes is None:
            enough_steps = LEAST_STEPS / -(-examples // batch)
            choices["epochs"] = float(round(max(min(max(EXAMPLES_SEEN / examples, 10), 40), enough_steps)))
        if self.net.numbers == "auto":
            waves = choices.get("model", self.model) == "mlp" and examples >= ENOUGH_FOR_PERIODIC
            chosen = "periodic" if waves else "plain"
            choices["net"] = self.net.model_copy(update={"numbers": chosen})
        for group, values in material.decided.items():
            choices[group] = getattr(self, group).model_copy(update=dict(values))
        return self.model_copy(update=choices)

    def make_model(self, kind: Kind, answer: Answer, supplied: Supplied) -> Any:
        """The user's own module, or the named one, with weights that follow from the seed."""
        from penstock.core.random import seed_all

        seed_all(self.seed)
        if supplied.model is not None:
            if self.model != "auto":
                raise RecipeError("model", "both a name and a module were given", "give one of them")
            return supplied.model
        return build_model(self.model, kind.sizes(), answer.outputs, self.net)


def _dotted(settings: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested settings as one level, with dots in their names."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _dotted(value, f"{above}{name}.") if isinstance(value, Mapping) else {above + name: value}
    return flat
