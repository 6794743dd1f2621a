"""A model together with its way in and its way out: raw inputs in, labels, numbers or words out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from penstock.core.batch import Batch
from penstock.core.errors import DataError, RecipeError
from penstock.core.settings import Settings
from penstock.data.sources import InOrder
from penstock.kinds.answer import Answer
from penstock.kinds.kind import Kind
from penstock.objectives.predicting import Predicting
from penstock.recipes.settings import NetSettings
from penstock.recipes.trained import Trained, configuration, load_weights, module_of

KINDS: Mapping[str, str] = {
    "image": "penstock.kinds.image:ImageKind",
    "table": "penstock.kinds.table:TableKind",
    "source": "penstock.kinds.pairs:SourceKind",
    "series": "penstock.kinds.series:SeriesKind",
    "stretch": "penstock.kinds.stretch:StretchKind",
    "text": "penstock.kinds.text:TextKind",
    "audio": "penstock.kinds.audio:AudioKind",
    "words": "penstock.kinds.words:WordsKind",
}
"""Where the way in of each kind of input is."""
ANSWERS: Mapping[str, str] = {
    "category": "penstock.kinds.category:CategoryAnswer",
    "number": "penstock.kinds.number:NumberAnswer",
    "text": "penstock.kinds.pairs:TargetAnswer",
    "tags": "penstock.kinds.tags:TagAnswer",
    "transcript": "penstock.kinds.transcript:TranscriptAnswer",
    "future": "penstock.kinds.future:FutureAnswer",
    "likeness": "penstock.kinds.likeness:LikenessAnswer",
}
"""Where the way out of each kind of answer is."""

MakeNetwork = Callable[[str, Kind, Answer, Any], nn.Module]
MakeObjective = Callable[[Kind, Answer, nn.Module], Predicting]


class Answering(Trained):
    """Reads inputs by their `kind`, and says what the model finds by the kind of the `answer`."""

    objective: Predicting

    def __init__(self, objective: Predicting, kind: Kind, answer: Answer, model: str | None, net: Settings) -> None:
        super().__init__(objective, model)
        self.kind, self.answer, self.net = kind, answer, net

    def config(self) -> dict[str, Any]:
        """The sizes of the network, the preprocessing, and the way out."""
        return {
            "net": self.net.model_dump(mode="json"),
            "kind": self.kind.to_json(),
            "answer": self.answer.to_json(),
        }

    def predict(self, given: Sequence[object], *, batch_size: int = 256) -> list[dict[str, Any]]:
        """One prediction an example of the inputs: its "input" by name, its "prediction", and probabilities if classes.

        Raises DataError where an input cannot be read.
        """
        if not given:
            raise DataError("predict", "no input was given", "give files, rows or arrays")
        names, examples = self.kind.read(given)
        source = InOrder(
            examples, torch.arange(len(names)), batch_size=batch_size, transform=self.kind.transform(training=False)
        )
        self.objective.eval()
        said: list[dict[str, Any]] = []
        with torch.no_grad():
            for batch in self.moved(source):
                said += self.answer.say(self.objective.predict(batch))
        return [{"input": name} | one for name, one in zip(names, said, strict=True)]

    @classmethod
    def load(
        cls,
        folder: Path,
        network: MakeNetwork,
        objective: MakeObjective,
        model: nn.Module | None = None,
        sizes: type[Settings] = NetSettings,
    ) -> Answering:
        """Read a model's folder back. Files never name code: `model` is needed where the model was a user's own.

        Raises CheckpointError for files that are missing, damaged, of another version, or do not fit the model.
        """
        with configuration(folder) as config:
            kind: Kind = _found(KINDS, config["kind"])
            answer: Answer = _found(ANSWERS, config["answer"])
            net, name = sizes.model_validate(config["net"]), config["model"]
            module = module_of(folder, model, name, lambda name: network(name, kind, answer, net))
        load_weights(folder, module)
        return cls(objective(kind, answer, module).eval(), kind, answer, name, net)


def _found(table: Mapping[str, str], value: Mapping[str, Any]) -> Any:
    module, _, name = table[value["kind"]].partition(":")
    return getattr(import_module(module), name).from_json(value)


@contextlib.contextmanager
def trying(trained: Answering, source: InOrder) -> Iterator[Batch]:
    """A few examples of a source to try the model on. Raises RecipeError where it does not take them."""
    few = InOrder(source.examples, source.indices[:8], batch_size=8, transform=source.transform)
    batch = next(iter(few)).to(trained.device)
    try:
        with torch.no_grad():
            yield batch
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        shapes = ", ".join(f"{field} {tuple(batch[field].shape)}" for field in trained.kind.inputs)
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        problem = f"it cannot take a batch of {shapes} ({reason})"
        raise RecipeError(f"model {trained.architecture}", problem, "give it another input size") from error
