"""A stopwatch for epochs."""

from __future__ import annotations

import time


class Laps:
    """Notes when each epoch ends; the first `warm_up` epochs, where things are compiled, are counted apart."""

    def __init__(self, warm_up: int, epochs: int) -> None:
        self.warm_up, self.epochs = warm_up, epochs
        self._began = time.perf_counter()
        self._ends: list[float] = []

    @property
    def total(self) -> int:
        """All epochs to be trained."""
        return self.warm_up + self.epochs

    def lap(self) -> None:
        """An epoch is over."""
        self._ends.append(time.perf_counter())

    def seconds(self) -> tuple[float, float]:
        """What building and the warm-up took, and what the epochs after it took."""
        assert len(self._ends) == self.total, f"{len(self._ends)} epochs were trained instead of {self.total}"
        warm = self._ends[self.warm_up - 1] if self.warm_up else self._began
        return warm - self._began, self._ends[-1] - warm
