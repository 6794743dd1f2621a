"""The search beside a plain one of one game, node by node; and what it must see."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest

from penstock.core.errors import RecipeError
from penstock.rl.boards.game import BoardGame, Floats, Positions
from penstock.rl.boards.go import Go
from penstock.rl.boards.lines import connect_four, tic_tac_toe
from penstock.rl.boards.players import AtRandom, noise_for
from penstock.rl.boards.search import Search, among, undecided


def opinion(positions: Positions) -> tuple[Floats, Floats]:
    """Logits and values that depend on the board in some arbitrary way."""
    numbers = positions.board @ np.arange(1, positions.board.shape[1] + 1) * positions.player
    logits = np.sin(numbers[:, None] * (1 + np.arange(positions.legal.shape[1]))).astype(np.float32)
    return logits, np.cos(numbers).astype(np.float32)


@dataclass
class Node:
    position: Positions
    prior: list[float] = field(default_factory=list)
    children: dict[int, Node] = field(default_factory=dict)
    visits: list[int] = field(default_factory=list)
    total: list[float] = field(default_factory=list)


def visit(game: BoardGame, node: Node, exploration: float) -> float:
    """What the position is worth to the player to move, after one more simulation."""
    position = node.position
    if position.over[0]:
        return float(position.gain[0])
    if not node.prior:
        logits, value = opinion(position)
        node.prior = among(logits, position.legal)[0].tolist()
        node.visits, node.total = [0] * game.actions, [0.0] * game.actions
        return float(value[0])
    scale = exploration * math.sqrt(1 + sum(node.visits))

    def score(action: int) -> float:
        times = node.visits[action]
        mean = node.total[action] / times if times else 0.0
        return mean + scale * node.prior[action] / (1 + times)

    action = max((a for a in range(game.actions) if position.legal[0, a]), key=score)
    if action not in node.children:
        node.children[action] = Node(game.play(position, np.array([action])))
    value = -visit(game, node.children[action], exploration)
    node.visits[action] += 1
    node.total[action] += value
    return value


@pytest.mark.parametrize("game", [tic_tac_toe(), connect_four(), Go(3)])
def test_each_of_many_games_is_searched_as_it_would_be_alone(game: BoardGame) -> None:
    draws, positions = np.random.default_rng(3), game.begin(12)
    for _ in range(3):
        positions = game.play(positions, AtRandom().choose(game, positions, draws))
    positions = positions.take(~positions.over)
    found = Search(simulations=60, exploration=1.2)(game, positions, opinion)
    for row in range(len(positions)):
        root = Node(positions.take([row]))
        worth = [visit(game, root, 1.2) for _ in range(61)]
        assert found.visits[row].tolist() == root.visits
        assert found.value[row] == pytest.approx(sum(worth) / 61, abs=1e-5)
        assert found.prior[row] == pytest.approx(root.prior, abs=1e-6)
        assert found.expected[row] == pytest.approx(worth[0])
    assert found.policy.sum(1) == pytest.approx(np.ones(len(positions)), abs=1e-6)


def test_it_wins_where_it_can_and_prevents_that_it_loses() -> None:
    game = connect_four()
    won = game.after("1 2 1 2 1 2")
    lost = game.after("1 2 1 2 1")
    for positions, value in ((won, 1.0), (lost, 0.0)):
        found = Search(simulations=120)(game, positions, undecided)
        assert found.visits.argmax() == 0
        assert found.value[0] == pytest.approx(value, abs=0.25)


def test_what_is_not_allowed_is_never_looked_into() -> None:
    game = tic_tac_toe()
    positions = game.after("a1 b2")
    found = Search(simulations=40)(game, positions, opinion, noise_for(positions.legal, 0.3, np.random.default_rng(0)))
    assert (found.visits[~positions.legal] == 0).all()
    assert found.visits.sum() == 40


def test_noise_makes_it_look_elsewhere() -> None:
    game = connect_four()
    noise = np.eye(7, dtype=np.float32)[[5]]
    plain, tried = (Search(simulations=30, share=0.9)(game, game.begin(1), undecided, given) for given in (None, noise))
    assert tried.visits.argmax() == 5
    assert plain.visits.max() < tried.visits.max()
    assert tried.prior[0] == pytest.approx(np.full(7, 1 / 7))


def test_noise_is_a_dirichlet_distribution_over_what_is_legal() -> None:
    legal = np.repeat(np.array([[True, False, True, True]]), 4000, 0)
    noise = noise_for(legal, 0.7, np.random.default_rng(0))
    assert (noise[:, 1] == 0).all()
    assert noise.sum(1) == pytest.approx(np.ones(4000), abs=1e-5)
    variance = (1 / 3) * (2 / 3) / (3 * 0.7 + 1)
    assert noise[:, 0].mean() == pytest.approx(1 / 3, abs=5 * math.sqrt(variance / 4000))
    assert noise[:, 0].var() == pytest.approx(variance, rel=0.1)


def test_a_search_looks_at_something() -> None:
    with pytest.raises(RecipeError, match="simulations is 0"):
        Search(simulations=0)
