"""Small worlds that are wholly known: a table of what each action leads to in each state. S states, A actions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from penstock.core.errors import RecipeError
from penstock.rl.canvas import BLUE, FAINT, GREEN, GREY, INK, ORANGE, RED, Canvas
from penstock.rl.environment import Pixels
from penstock.rl.spaces import Box, Discrete
from penstock.rl.tensor_environment import Outcome, State, TensorEnvironment

_PLACE = "place"
HERE = "@"
FIELDS = {"#": INK, "G": GREEN, "X": RED, "C": ORANGE, "S": GREY}
"""The colours of a drawing's letters; others are floor."""
_FIELD = 28
"""Pixels a side."""


@final
@dataclass(frozen=True)
class Table:
    """A Markov decision process: next states' probabilities (S, A, S), rewards on the way there (S, A, S) and the
    probabilities of beginning somewhere (S,), all float64; and where it ends (S,) bool.

    `rows` are a drawing of the states, a letter each, row by row, if they lie in a plane. Raises RecipeError where
    these are no probabilities.
    """

    next: Tensor
    reward: Tensor
    start: Tensor
    ends: Tensor
    rows: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        states, actions = self.next.shape[:2]
        square = (states, actions, states)
        shapes: dict[str, tuple[int, ...]] = {"next": square, "reward": square}
        shapes |= {"start": (states,), "ends": (states,)}
        for name, shape in shapes.items():
            if (given := tuple(getattr(self, name).shape)) != shape:
                raise RecipeError(
                    "Table", f"{name} is {given}, not {shape}", "give one entry for each state and action"
                )
        for name in ("next", "start"):
            value: Tensor = getattr(self, name)
            if (value < 0).any() or not torch.allclose(value.sum(-1), torch.ones((), dtype=value.dtype)):
                raise RecipeError("Table", f"{name} are no probabilities", "let them be positive and add up to 1")


@final
class Tabular(TensorEnvironment):
    """Moves through a table; the number of the state (N,) is what is seen. It is drawn where the table has `rows`."""

    speed = 5.0

    def __init__(
        self, table: Table, *, count: int, limit: int | None = None, device: torch.device | str = "cpu"
    ) -> None:
        states, actions = table.next.shape[:2]
        super().__init__(
            observation=Discrete(states), action=Discrete(actions), count=count, limit=limit, device=device
        )
        self.table = table
        self._next = table.next.cumsum(2).to(self.device)
        self._start = table.start.cumsum(0).to(self.device)
        self._reward, self._ends = table.reward.to(self.device), table.ends.to(self.device)

    def begin(self, count: int) -> State:
        return {_PLACE: self._drawn(self._start.expand(count, -1))}

    def advance(self, state: State, action: Tensor) -> Outcome:
        place = state[_PLACE]
        after = self._drawn(self._next[place, action])
        return Outcome({_PLACE: after}, self._reward[place, action, after].float(), self._ends[after])

    def observe(self, state: State) -> Tensor:
        return state[_PLACE]

    def draw(self, state: State) -> Pixels:
        rows = self.table.rows
        if not rows:
            raise self._unseen()
        wide, place = len(rows[0]), int(state[_PLACE])
        canvas = Canvas(0, wide, -len(rows), 0, size=(_FIELD * wide, _FIELD * len(rows)))
        for number, letter in enumerate("".join(rows)):
            left, top = number % wide, -(number // wide)
            canvas.box(left + 0.03, left + 0.97, top - 0.97, top - 0.03, FIELDS.get(letter, FAINT))
        canvas.disc((place % wide + 0.5, -(place // wide) - 0.5), 0.35 * _FIELD, BLUE)
        return canvas.pixels()

    def write(self, state: State) -> str | None:
        if not (rows := self.table.rows):
            return None
        wide, place = len(rows[0]), int(state[_PLACE])
        fields = "".join(rows)
        shown = fields[:place] + HERE + fields[place + 1 :]
        return "\n".join(" ".join(shown[at : at + wide]) for at in range(0, len(shown), wide))

    def _drawn(self, cumulative: Tensor) -> Tensor:
        """The first state whose cumulative probability (N, S) lies above a number at random: (N,)."""
        size = (len(cumulative), 1)
        uniform = torch.rand(size, generator=self.generator, device=self.device, dtype=torch.float64)
        # never the states after the last possible one, even where rounding has left its sum below 1
        return (uniform * cumulative[:, -1:] >= cumulative).sum(1)


@final
class Bandit(TensorEnvironment):
    """One action an episode, rewarded by its mean and noise of the deviation `noise`.

    `means` (S, A) are those of A arms in S situations, each as likely as the others; what is seen is the situation,
    a one among zeros (N, S).
    """

    def __init__(self, means: Tensor, *, count: int, noise: float = 1.0, device: torch.device | str = "cpu") -> None:
        situations, arms = means.shape
        seen = Box((situations,), 0.0, 1.0)
        super().__init__(observation=seen, action=Discrete(arms), count=count, device=device)
        self.means, self.noise = means.to(self.device), noise
        self._ends = torch.ones(count, dtype=torch.bool, device=self.device)

    def begin(self, count: int) -> State:
        return {_PLACE: torch.randint(len(self.means), (count,), generator=self.generator, device=self.device)}

    def advance(self, state: State, action: Tensor) -> Outcome:
        noise = torch.randn(self.count, generator=self.generator, device=self.device)
        return Outcome(state, self.means[state[_PLACE], action].float() + self.noise * noise, self._ends)

    def observe(self, state: State) -> Tensor:
        return torch.nn.functional.one_hot(state[_PLACE], len(self.means)).float()
