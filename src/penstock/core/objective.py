"""The contract between a family of networks and the engine: updates, objectives, sources, evaluations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor, nn

from penstock.core.batch import Batch


@dataclass(frozen=True, slots=True)
class Update:
    """Take one optimizer step on `loss`, for `role`.

    `loss` is a scalar, a mean over `weight` examples (or tokens, or frames): by the weights, parts of a batch add up to
    its exact mean.
    """

    loss: Tensor
    role: str = "model"
    weight: float = 1.0


@dataclass(frozen=True)
class Evaluation:
    """What was found on a held-out source.

    `metrics` are numbers by name; `records` are tensors with one row an example, for the report.
    """

    metrics: dict[str, float]
    records: dict[str, Tensor] = field(default_factory=dict)


class Objective(nn.Module):
    """Owns models; turns a batch into updates, and a held-out source into an evaluation.

    A subclass sets `self.model` and writes `loss`, or writes `step` where updates alternate.
    """

    progress: float = 0.0
    """Set by the engine, from 0 at the start to 1 at the end."""
    separable: bool = True
    """False where the loss couples the examples of a batch, so that it cannot be accumulated over parts."""

    def roles(self) -> Mapping[str, nn.Module | list[nn.Parameter]]:
        """Disjoint named sets of parameters, each with its own optimizer."""
        return {"model": self.get_submodule("model")}

    def loss(self, batch: Batch) -> Update:
        """The one update of a batch, free of side effects."""
        raise NotImplementedError(
            f"{type(self).__name__} must define loss(batch), or step(batch) where updates alternate"
        )

    def step(self, batch: Batch) -> Iterator[Update]:
        """The updates of a batch: each yield asks for one optimizer step; the code after it sees new weights."""
        yield self.loss(batch)

    def stepped(self) -> None:
        """Called once after each engine step: target networks, codebooks."""

    def noted(self) -> dict[str, float]:
        """What the last batch showed beside its losses, by name: for the rows of the log."""
        return {}

    def evaluate(self, source: Iterable[Batch]) -> Evaluation:
        """Metrics over a held-out source, and records for the report."""
        raise NotImplementedError(f"{type(self).__name__} must define evaluate(source) to be given a validation source")


class Source(Protocol):
    """An endless iterator of batches that saves and loads its position."""

    @property
    def epoch_steps(self) -> int:
        """How many batches make an epoch."""
        ...

    def __next__(self) -> Batch: ...

    def state_dict(self) -> dict[str, Any]:
        """The position, as JSON values."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Listening(ABC):
    """A source whose next batch depends on what was found for this one: carried states, priorities, rollouts.

    Its batches are drawn one at a time, and what it keeps is part of a checkpoint.
    """

    @property
    @abstractmethod
    def epoch_steps(self) -> int:
        """How many batches make an epoch."""

    @abstractmethod
    def __next__(self) -> Batch: ...

    @abstractmethod
    def hear(self, said: Mapping[str, Tensor]) -> None:
        """What the objective told the batch that was drawn last, once its step has been made."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """What it keeps, by name; drawing a batch does not change it."""

    @abstractmethod
    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `tensors` gave. Raises CheckpointError where it does not fit."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """The position, as JSON values."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to a position."""


class Stacking(ABC):
    """What a source is besides, if it can give several batches at once for less than the price of each."""

    @abstractmethod
    def together(self, count: int) -> dict[str, Tensor] | None:
        """The next `count` batches, stacked: (count, B, ...) a field. They stay the next ones.

        None where their sizes differ, or where it would have to fetch them one by one.
        """

    @abstractmethod
    def skip(self, count: int) -> None:
        """Go on to the batch after so many."""
