"""What ends or delays a step for all ranks at once: a signal that came to one of them, and the time."""

from __future__ import annotations

from penstock.core.errors import Interrupted
from penstock.core.ranks import Ranks
from penstock.engine.clock import Clock


class Agreement:
    """A signal counts once all ranks know of it; alone, at once."""

    def __init__(self, ranks: Ranks, clock: Clock) -> None:
        self.ranks, self._clock = ranks, clock
        self.asked = 0
        """The number of the signal that came to this process, or 0."""
        self.signal = 0
        """The number of the signal that all ranks know of, or 0."""

    def ask(self, signal: int) -> None:
        """Take note of a signal. Safe in a signal handler."""
        self.asked = signal
        if self.ranks.size == 1:
            self.signal = signal

    def said(self) -> list[float]:
        """What this rank tells the others: whether it was asked to stop, and the time, which is the first one's."""
        return [float(self.asked > 0), self._clock.elapsed if self.ranks.first else 0.0]

    def heard(self, asked: float, seconds: float) -> None:
        """Take the sums of what the ranks have said."""
        self._clock.tell(seconds)
        if asked and not self.signal:
            self.signal = max(self.ranks.gather(self.asked))

    def interrupted(self) -> Interrupted:
        """The way out of the loop where a signal has asked for it."""
        where = f"step {self._clock.step}"
        return Interrupted(self.signal or self.asked, where, "stopped by a signal", "go on with: penstock resume")
