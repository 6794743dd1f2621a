"""What all tasks share that learn answers from examples: inputs of some kind in, an answer of some kind out."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, cast

from pydantic import Field

from penstock.core.errors import DataError, RecipeError
from penstock.core.ranks import ALONE, Ranks
from penstock.core.settings import Settings
from penstock.recipes.recipe import Recipe
from penstock.recipes.settings import OptimSettings, SplitSettings

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import torch
    from torch import nn

    from penstock.core.objective import Evaluation
    from penstock.data.examples import Examples
    from penstock.data.sources import InOrder
    from penstock.data.splits import Splits
    from penstock.kinds.answer import Answer
    from penstock.kinds.kind import Kind, Material
    from penstock.objectives.predicting import Predicting
    from penstock.recipes.answering import Answering
    from penstock.recipes.job import Job, Supplied
    from penstock.recipes.trained import Trained


class Supervised(Recipe):
    """A recipe that learns from examples with answers."""

    examples_seen: ClassVar[int] = 1_000_000
    """How many training examples are gone through where the number of epochs is not given, within 10 to 40 epochs."""
    least_steps: ClassVar[int] = 800
    """And how many steps are made at least, for small data."""

    model: str = "auto"
    batch_size: Annotated[
        int | None, Field(ge=1, le=10**9, description="examples a step; by the number of examples if not given")
    ] = None
    drop_last: Annotated[bool, Field(description="leave out the last batch of an epoch where it is smaller")] = False
    net: Settings
    optim: OptimSettings = OptimSettings()
    split: SplitSettings = SplitSettings()

    @abstractmethod
    def read_material(self, supplied: object = None, kind: Kind | None = None) -> Material:
        """The data that `data` names, or the object given in its place; `kind` is that of a model there already."""

    @abstractmethod
    def fit_answer(self, material: Material, rows: Any) -> Answer:
        """The way out, fitted on the training rows."""

    @abstractmethod
    def network(self, name: str, kind: Kind, answer: Answer, net: Any) -> nn.Module:
        """The network of that name. Raises RecipeError where data and settings do not go together."""

    @abstractmethod
    def objective(self, kind: Kind, answer: Answer, network: nn.Module) -> Predicting:
        """What the network is trained for."""

    @property
    def trained_type(self) -> type[Answering]:
        """What a training makes."""
        from penstock.recipes.answering import Answering

        return Answering

    def fit_kind(self, material: Material, rows: Any) -> Kind:
        """The way in, fitted on the training rows."""
        return material.fit(rows)

    def usual_model(self, kind: Kind) -> str:
        """The model where none is named."""
        return kind.default_model

    @abstractmethod
    def check(self, trained: Answering, source: InOrder) -> None:
        """Raises RecipeError for a model that does not take the examples, or a metric that is not measured."""

    @abstractmethod
    def judged(
        self, trained: Answering, evaluation: Evaluation, material: Material, rows: np.ndarray, split: str
    ) -> dict[str, Any]:
        """An evaluation as the report shows it; `rows` are those of the material, in the order of its records."""

    def usable(self, material: Material) -> Any:
        """The rows of some material that can be examples: all."""
        import numpy as np

        return np.arange(len(material.labels))

    def strata(self, material: Material) -> Any:
        """What a random split is to divide alike, or None."""
        return None

    def decisions(self, material: Material, model: str, examples: int) -> dict[str, Any]:
        """Settings that were left open and that the task decides, given the name of the model."""
        return {}

    def refuse_foreign(self, material: Material) -> None:
        """Raises RecipeError for a setting that is not as it is by default and has no meaning for these data."""

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
        from penstock.recipes.job import Job
        from penstock.recipes.looking_back import look_back

        import torch  # isort: skip

        splits = self.divide(material)
        kind, answer = self.fit_kind(material, splits["train"]), self.fit_answer(material, splits["train"])
        recipe = self.resolved(material, kind, len(splits["train"]), supplied)
        model = recipe.make_model(kind, answer, supplied).to(device)
        named = None if supplied.model is not None else recipe.model
        trained = self.trained_type(recipe.objective(kind, answer, model), kind, answer, named, recipe.net)
        examples = labelled(trained, material)
        assert recipe.batch_size is not None
        source = Shuffled(
            examples,
            torch.from_numpy(splits["train"]),
            batch_size=recipe.batch_size,
            seed=self.seed,
            transform=kind.transform(training=True),
            drop_last=self.drop_last,
            lengths=examples.lengths,
            ranks=ranks,
        )
        rest = {part: held_out(trained, examples, splits[part]) for part in ("validation", "test")}
        self.check(trained, rest["validation"])
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

        def judge(evaluation: Evaluation, split: str) -> dict[str, Any]:
            found = recipe.judged(trained, evaluation, material, splits[split], split)
            return found | look_back(trained.network, trained.objective.inputs, trained.moved(rest[split]))

        optimizers = {"model": self.optim.build()}
        return Job(recipe, trained, source, rest, optimizers, facts, judge, material.skipped, close=material.close)

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

    def resolved(self, material: Material, kind: Kind, examples: int, supplied: Supplied) -> Self:
        """The same recipe with what was left open decided by rule, so that its record says all."""
        model = self.usual_model(kind) if self.model == "auto" and supplied.model is None else self.model
        batch = self.batch_size or min(max(1 << (examples // 20).bit_length(), 16), 256)
        choices: dict[str, Any] = {"model": model, "batch_size": batch, "optim": self.optim.resolved()}
        if self.epochs is None and self.steps is None and self.minutes is None:
            enough_steps = self.least_steps / -(-examples // batch)
            usual = max(min(max(self.examples_seen / examples, 10), 40), enough_steps)
            choices["epochs"] = float(round(usual))
        choices |= self.decisions(material, model, examples)
        for group, values in material.decided.items():
            choices[group] = getattr(self, group).model_copy(update=dict(values))
        return self.model_copy(update=choices)

    def make_model(self, kind: Kind, answer: Answer, supplied: Supplied) -> nn.Module:
        """The user's own module, or the named one, with weights that follow from the seed."""
        from penstock.core.random import seed_all

        seed_all(self.seed)
        if supplied.model is not None:
            if self.model != "auto":
                raise RecipeError("model", "both a name and a module were given", "give one of them")
            return supplied.model
        return self.network(self.model, kind, answer, self.net)

    def load(self, folder: Path, model: nn.Module | None = None) -> Answering:
        """See `Answering.load`."""
        return self.trained_type.load(folder, self.network, self.objective, model, type(self.net))

    def examine(self, trained: Trained, supplied: object, fingerprint: object, other: object) -> dict[str, Any]:
        """Of other data that bring a test split along, that is used, and else all rows."""
        import numpy as np

        trained = cast("Answering", trained)
        if other is None:
            material = self.read_material(supplied)
            if fingerprint != material.fingerprint():
                raise DataError(material.origin, "the data have changed since this run", "restore them, or give --data")
            rows, split = self.divide(material)["test"], "test"
        else:
            named = {"data": str(other)} if _is_place(other) else {}
            material = self.model_copy(update=named).read_material(None if named else other, trained.kind)
            parts = np.full(len(material.labels), "") if material.given is None else material.given.astype(str)
            rows, split = np.flatnonzero(np.char.lower(parts) == "test"), "test"
            if not len(rows):
                rows, split = self.usable(material), "all rows"
        with contextlib.closing(material):
            source = held_out(trained, labelled(trained, material), rows)
            evaluation = trained.evaluate(source, self.precision)
        return self.judged(trained, evaluation, material, rows, split)


def labelled(trained: Answering, material: Material) -> Examples:
    """All rows of some material as the model takes them, with their targets, on the model's device."""
    return material.examples(trained.kind, trained.answer.fields(material)).to(trained.device)


def held_out(trained: Answering, examples: Examples, rows: np.ndarray, *, batch_size: int = 512) -> InOrder:
    """Some of the examples, in order."""
    from penstock.data.sources import InOrder

    import torch  # isort: skip

    transform = trained.kind.transform(training=False)
    return InOrder(examples, torch.from_numpy(rows), batch_size=batch_size, transform=transform)


def _is_place(data: object) -> bool:
    from pathlib import Path

    return isinstance(data, str | Path)
