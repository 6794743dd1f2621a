"""What a training has made: saved as a folder, loaded back, and put to use."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from penstock.core.batch import Batch
from penstock.core.errors import CheckpointError, RecipeError, suggest
from penstock.core.files import read_json, write_json
from penstock.core.manifest import check_manifest, write_manifest
from penstock.core.objective import Evaluation, Objective
from penstock.core.tensors import copy_all_checked, load_tensors, save_tensors, size_of
from penstock.engine.device import precision_of

FORMAT = 2
WEIGHTS, CONFIG = "weights.safetensors", "config.json"
FILES = (WEIGHTS, CONFIG)


class Trained(ABC):
    """An objective with all that its model needs to be used. `model` names the architecture; None: a user's module."""

    def __init__(self, objective: Objective, model: str | None) -> None:
        self.objective, self.model = objective, model

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """What its class needs beside the weights to make it again, as JSON values."""

    @abstractmethod
    def predict(self, given: Sequence[object], *, batch_size: int = 256) -> list[dict[str, Any]]:
        """An answer for each of the raw inputs: its "input" by name, its "prediction", and what else there is to say.

        Raises DataError where an input cannot be read, RecipeError where the task has nothing to predict.
        """

    @property
    def network(self) -> nn.Module:
        """What the weights are of."""
        return self.objective.get_submodule("model")

    @property
    def architecture(self) -> str:
        """What to call the network."""
        return self.model or type(self.network).__name__

    @property
    def parameters(self) -> int:
        """How many numbers the network has learned."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    @property
    def size(self) -> int:
        """Bytes of the weights."""
        return size_of(self.network.state_dict())

    def evaluate(self, source: Iterable[Batch], precision: str = "float32") -> Evaluation:
        """Metrics and records on held-out examples, in the precision of the training."""
        self.objective.eval()
        with torch.no_grad(), precision_of(precision, self.device):
            return self.objective.evaluate(self.moved(source))

    def moved(self, source: Iterable[Batch]) -> Iterator[Batch]:
        """The batches where the network is."""
        return (batch.to(self.device) for batch in source)

    def save(self, folder: Path) -> None:
        """Write weights, configuration and their manifest into an existing folder. Raises ResourceError."""
        save_tensors(folder / WEIGHTS, self.network.state_dict())
        write_json(folder / CONFIG, {"model": self.model, **self.config()})
        write_manifest(folder, FILES, FORMAT)


@contextlib.contextmanager
def configuration(folder: Path) -> Iterator[dict[str, Any]]:
    """What `save` wrote of a model, to make it again within.

    Raises CheckpointError for files that are missing or damaged, and where nothing can be made of them.
    """
    check_manifest(folder, FILES, FORMAT, "restore it, or write it again: penstock resume RUN")
    config = read_json(folder / CONFIG)
    if not isinstance(config, dict):
        raise CheckpointError(folder / CONFIG, "not the configuration of a model", "restore it")
    try:
        yield config
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError, RecipeError) as error:
        problem = f"it is damaged ({type(error).__name__}: {error})"
        raise CheckpointError(folder / CONFIG, problem, "restore it") from error


def module_of(folder: Path, given: nn.Module | None, name: str | None, build: Callable[[str], nn.Module]) -> nn.Module:
    """The module that was given, or that of a name. Raises CheckpointError where there is neither."""
    if given is not None:
        return given
    if name is None:
        problem = "the model was a module of your own, and files never name code"
        raise CheckpointError(folder / CONFIG, problem, "pass it: load(path, model=m)")
    return build(name)


def load_weights(folder: Path, network: nn.Module) -> None:
    """Fill a network from a model's folder. Raises CheckpointError where the weights do not fit."""
    copy_all_checked(network.state_dict(), load_tensors(folder / WEIGHTS), str(folder / WEIGHTS))


def check_measured(objective: Objective, batch: Batch, monitor: str) -> None:
    """Evaluate a few examples. Raises RecipeError unless `monitor` is among the metrics."""
    with torch.no_grad():
        metrics = objective.eval().evaluate([batch]).metrics
    if monitor not in metrics:
        raise RecipeError("monitor", f"{monitor!r} is not measured in this task", suggest(monitor, metrics))
