"""Worlds of square fields, drawn as text."""

from __future__ import annotations

import torch

from penstock.core.errors import RecipeError, suggest
from penstock.rl.tabular import Table

MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))
"""Row and column that an action adds: up, right, down, left."""
START, FLOOR, WALL, GOAL, PIT, CLIFF = "S.#GXC"
MAPS = {
    "cliff": ["............", "............", "............", "SCCCCCCCCCCG"],
    "rooms": [".....#.....", "S....#.....", "...........", ".....#.....", "##.#####.##", "...........", ".....#....G"],
    "lake": ["S...", ".X.X", "...X", "X..G"],
}
"""The cliff of Sutton and Barto 2018, "Reinforcement learning", example 6.6; two rooms over a hall; the frozen lake."""


def gridworld(
    rows: list[str] | str,
    *,
    slip: float = 0.0,
    step: float = -1.0,
    goal: float = 0.0,
    pit: float = -10.0,
    cliff: float = -100.0,
) -> Table:
    """A drawing, or the name of one of `MAPS`, as a table; states are its fields, row by row, walls included.

    `S` is a field to start from (any, each as likely), `G` a goal and `X` a pit, which end the episode, `#` a wall,
    against which one stays where one is, as at the border, and `C` a cliff, from which one is put back to a start.
    `step` is what each move gives, `goal`, `pit` and `cliff` what entering such a field gives instead. With the
    probability `slip` a move goes to one of the two sides. Raises RecipeError for a drawing that makes no world.
    """
    if isinstance(rows, str):
        if rows not in MAPS:
            raise RecipeError("gridworld", f"there is no map {rows!r}", suggest(rows, MAPS))
        rows = MAPS[rows]
    width = len(rows[0]) if rows else 0
    fields = "".join(rows)
    if not width or any(len(row) != width for row in rows):
        raise RecipeError("gridworld", "its rows are not equally long", "draw a rectangle")
    if foreign := sorted(set(fields) - set(START + FLOOR + WALL + GOAL + PIT + CLIFF)):
        raise RecipeError("gridworld", f"{foreign[0]!r} is no kind of field", f"use {START} . # G X C")
    if START not in fields:
        raise RecipeError("gridworld", "there is nowhere to start", f"draw an {START}")
    if not 0 <= slip <= 1:
        raise RecipeError("gridworld", f"slip is {slip}", "give a probability, from 0 to 1")
    states = len(fields)
    start = torch.tensor([float(field == START) for field in fields], dtype=torch.float64)
    start /= start.sum()
    gain = {GOAL: goal, PIT: pit, CLIFF: cliff}
    following = torch.zeros(states, len(MOVES), states, dtype=torch.float64)
    expected = torch.zeros_like(following)
    for state in range(states):
        for action in range(len(MOVES)):
            for turn, probability in ((0, 1 - slip), (1, slip / 2), (-1, slip / 2)):
                down, right = MOVES[(action + turn) % len(MOVES)]
                row, column = state // width + down, state % width + right
                inside = 0 <= row < len(rows) and 0 <= column < width and rows[row][column] != WALL
                reached = row * width + column if inside else state
                onto = start if fields[reached] == CLIFF else torch.eye(states, dtype=torch.float64)[reached]
                following[state, action] += probability * onto
                expected[state, action] += probability * onto * gain.get(fields[reached], step)
    reward = torch.where(following > 0, expected / following.clamp(min=1e-300), 0.0)
    ends = torch.tensor([field in (GOAL, PIT) for field in fields])
    return Table(following, reward, start, ends, tuple(rows))
