"""A model together with its way in and its way out: what is saved, loaded back, and predicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from penstock.core.batch import Batch
from penstock.core.errors import CheckpointError, DataError, RecipeError, suggest
from penstock.core.files import read_json, write_json
from penstock.core.manifest import check_manifest, write_manifest
from penstock.core.objective import Evaluation
from penstock.core.tensors import copy_all_checked, load_tensors, save_tensors, size_of
from penstock.data.sources import InOrder
from penstock.engine.device import precision_of
from penstock.kinds.answer import Answer
from penstock.kinds.category import CategoryAnswer
from penstock.kinds.image import ImageKind
from penstock.kinds.kind import Kind
from penstock.kinds.number import NumberAnswer
from penstock.kinds.table import TableKind
from penstock.objectives.supervised import Classification, Regression, Supervised
from penstock.recipes.architectures import build_model
from penstock.recipes.settings import NetSettings

FORMAT = 2
WEIGHTS, CONFIG = "weights.safetensors", "config.json"
FILES = (WEIGHTS, CONFIG)
KINDS: Mapping[str, Any] = {"image": ImageKind, "table": TableKind}
ANSWERS: Mapping[str, Any] = {"category": CategoryAnswer, "number": NumberAnswer}


def no_options(answer: Answer) -> Mapping[str, Any]:
    """An objective as it is by default."""
    return {}


class Trained:
    """Raw inputs in, labels or numbers out. `model` names the architecture, or is None for a module of the user's."""

    def __init__(self, objective: Supervised, kind: Kind, answer: Answer, model: str | None, net: NetSettings) -> None:
        self.objective, self.kind, self.answer, self.model, self.net = objective, kind, answer, model, net

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
        with torch.no_grad():
            outputs = torch.cat([self._outputs(batch) for batch in self._moved(source)])
        return [{"input": name} | said for name, said in zip(names, self.answer.say(outputs.cpu()), strict=True)]

    def evaluate(self, source: InOrder, precision: str = "float32") -> Evaluation:
        """Metrics and records on labelled examples, in the precision of the training."""
        self.objective.eval()
        with torch.no_grad(), precision_of(precision, self.device):
            return self.objective.evaluate(self._moved(source))

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.objective.model.parameters()).device

    def _moved(self, source: InOrder) -> Iterator[Batch]:
        return (batch.to(self.device) for batch in source)

    def _outputs(self, batch: Any) -> torch.Tensor:
        assert isinstance(self.objective, Classification | Regression)
        return self.objective.predict(batch)

    @property
    def size(self) -> int:
        """Bytes of the weights."""
        return size_of(self.objective.model.state_dict())

    def save(self, folder: Path) -> None:
        """Write weights, configuration and their manifest into an existing folder. Raises ResourceError."""
        save_tensors(folder / WEIGHTS, self.objective.model.state_dict())
        write_json(
            folder / CONFIG,
            {
                "model": self.model,
                "net": self.net.model_dump(mode="json"),
                "kind": self.kind.to_json(),
                "answer": self.answer.to_json(),
            },
        )
        write_manifest(folder, FILES, FORMAT)

    @classmethod
    def load(
        cls,
        folder: Path,
        model: nn.Module | None = None,
        options: Callable[[Answer], Mapping[str, Any]] = no_options,
    ) -> Trained:
        """Read a model's folder back. Files never name code: `model` is needed where the model was a user's own.

        `options` are what the recipe adds to its objective, so that a loss is measured as it was in training.
        Raises CheckpointError for files that are missing, damaged, of another version, or do not fit the model.
        """
        check_manifest(folder, FILES, FORMAT, "restore it, or write it again: penstock resume RUN")
        config, where = read_json(folder / CONFIG), folder / CONFIG
        try:
            kind: Kind = KINDS[config["kind"]["kind"]].from_json(config["kind"])
            answer: Answer = ANSWERS[config["answer"]["kind"]].from_json(config["answer"])
            net, name = NetSettings.model_validate(config["net"]), config["model"]
            if model is None and name is None:
                raise CheckpointError(
                    where,
                    "the model was a module of your own, and files never name code",
                    "pass it: load(path, model=m)",
                )
            module = model if model is not None else build_model(name, kind.sizes(), answer.outputs, net)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError, RecipeError) as error:
            raise CheckpointError(where, f"it is damaged ({type(error).__name__}: {error})", "restore it") from error
        copy_all_checked(module.state_dict(), load_tensors(folder / WEIGHTS), str(folder / WEIGHTS))
        objective = objective_for(answer, module, kind.inputs, **options(answer)).eval()
        return cls(objective, kind, answer, name, net)


def objective_for(answer: Answer, model: nn.Module, inputs: Sequence[str], **options: Any) -> Supervised:
    """The objective that the kind of the answer asks for."""
    if isinstance(answer, NumberAnswer):
        return Regression(model, inputs, centre=answer.scale.mean, scale=answer.scale.std, **options)
    return Classification(model, inputs, **options)


def check_model(trained: Trained, source: InOrder, monitor: str) -> None:
    """Try the model on a few examples of a source. Raises RecipeError unless it takes them, gives as many numbers an
    example as there are answers, and `monitor` is among the metrics."""
    few = InOrder(source.examples, source.indices[:8], batch_size=8, transform=source.transform)
    batch = next(iter(few)).to(trained.device)
    _check_outputs(trained, batch)
    with torch.no_grad():
        metrics = trained.objective.evaluate([batch]).metrics
    if monitor not in metrics:
        raise RecipeError("monitor", f"{monitor!r} is not measured in this task", suggest(monitor, metrics))


def _check_outputs(trained: Trained, batch: Batch) -> None:
    model = trained.objective.model
    name = trained.model or type(model).__name__
    model.eval()
    try:
        with torch.no_grad():
            output = trained.objective(batch)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        shapes = ", ".join(f"{field} {tuple(batch[field].shape)}" for field in trained.kind.inputs)
        reason = str(error).strip().splitlines()[0]
        raise RecipeError(
            f"model {name}", f"it cannot take a batch of {shapes} ({reason})", "give it another input size"
        ) from error
    count = len(batch["target"])
    wanted = trained.answer.outputs
    given = output.numel() // count if isinstance(output, torch.Tensor) and output.numel() % count == 0 else None
    fits = given == wanted and (wanted == 1 or tuple(output.shape) == (count, wanted))
    if not fits:
        shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise RecipeError(
            f"model {name}",
            f"it gives {shape} for {count} examples, the data need ({count}, {wanted})",
            f"make its last layer {wanted} wide",
        )
