"""What a kind of data must be able to do: as raw labelled material, and as the fitted way into a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from penstock.data.examples import Examples
from penstock.data.ragged import Stored
from penstock.data.sources import Transform

Shown = dict[str, Any]
"""One example for people: its "place", its "picture" as a data URI or None, its "row" of columns or None."""


class Kind(ABC):
    """The preprocessing of one kind of input, fitted on training examples. It travels with the model."""

    word: ClassVar[str]
    default_model: ClassVar[str]
    inputs: tuple[str, ...]
    """The fields of a batch that the model takes, in order."""

    @abstractmethod
    def sizes(self) -> dict[str, Any]:
        """The plain sizes from which a model for this input is built."""

    @abstractmethod
    def transform(self, *, training: bool) -> Transform | None:
        """What a source does to its batches."""

    @abstractmethod
    def read(self, given: Sequence[object]) -> tuple[list[str], Examples]:
        """Raw inputs that no data set held, for a prediction: a name for each, and the examples.

        Raises DataError for what cannot be read.
        """

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Everything needed to do the same again."""


class Material(ABC):
    """Raw data with labels, as a user has them. `labels` is indexed by the place of each example."""

    word: ClassVar[str]
    name: str
    origin: str
    labels: pd.Series[Any]
    given: np.ndarray | None
    """The split that the data bring along, a name for each example."""
    about: pd.DataFrame | None = None
    """What else is known of each example, by columns; of those left out, too."""
    skipped: Sequence[tuple[str, str]] = ()
    """Files left out, with reasons."""
    foreign: Sequence[str] = ()
    """Settings of a recipe, and groups of them, that have no meaning for these data."""
    decided: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    """Settings that were left open and that the data have decided, by group, once the preprocessing is fitted."""

    def close(self) -> None:  # noqa: B027 - most have nothing to give back
        """End what reads the data ahead."""

    @abstractmethod
    def fit(self, rows: np.ndarray) -> Kind:
        """The preprocessing, fitted on these rows only."""

    @abstractmethod
    def examples(self, kind: Kind, columns: Mapping[str, Stored]) -> Examples:
        """All rows through the preprocessing, with further columns of as many rows."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What was understood, for the table that is shown before training."""

    @abstractmethod
    def audit(self, task: str, splits: Mapping[str, np.ndarray]) -> list[str]:
        """What is suspicious, a sentence each."""

    @abstractmethod
    def show(self, row: int) -> Shown:
        """One example for people."""

    @abstractmethod
    def fingerprint(self) -> str:
        """A digest of the data, by which a resumed run notices that they have changed."""
