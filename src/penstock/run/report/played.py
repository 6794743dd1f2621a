"""What was made of prices and of board games in a test, as typed records."""

from __future__ import annotations

from pydantic import Field, model_validator

from penstock.run.report.record import Metrics, Record


class Trader(Record):
    """What one has made of the days of the test: `equity`, from 1 on, what was `held` at its days, and how it went."""

    name: str
    metrics: Metrics = Field(default_factory=dict)
    equity: list[float] = Field(default_factory=list)
    held: list[float] = Field(default_factory=list)


class Traders(Record):
    """Traders on the same days; `day` tells which of them equity and positions are of."""

    day: list[int] = Field(default_factory=list)
    traders: list[Trader] = Field(default_factory=list)


class Match(Record):
    """Games against one opponent, beginning (`first`) or answering; their mean length in moves."""

    opponent: str
    first: bool = True
    wins: int = 0
    draws: int = 0
    losses: int = 0
    length: float | None = None


class Opened(Record):
    """A position, and what network and search hold of each action there. Stones are 1, -1 and 0 for none."""

    board: list[list[int]] = Field(default_factory=list)
    prior: list[float] = Field(default_factory=list)
    visits: list[float] = Field(default_factory=list)
    expected: float | None = None
    value: float | None = None

    @model_validator(mode="after")
    def _fitting(self) -> Opened:
        """A move is a column, or a point; and perhaps one may pass."""
        width, points = len(self.board[0]) if self.board else 0, sum(map(len, self.board))
        if not width or len(self.visits) not in (width, points, points + 1) or points != width * len(self.board):
            raise ValueError(f"{len(self.visits)} moves do not fit a board of {points} points")
        return self


class BoardGames(Record):
    """What was played to judge, and how a game begins."""

    name: str = ""
    opponents: list[str] = Field(default_factory=list)
    opening: list[Opened] = Field(default_factory=list)
    matches: list[Match] = Field(default_factory=list)
