"""Groups of settings of the recipe `selfplay`, and what suits each game."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from penstock.core.settings import Settings
from penstock.recipes.settings import OptimSettings

NETWORKS = ("cnn", "mlp")
LINES = ("tic-tac-toe", "connect-four")
GO = "go-"
OPPONENTS = ("random", "one_ply", "search", "perfect")
"""Who is played against to judge: the last one only where the game is small enough to be solved."""


class SearchSettings(Settings):
    """How moves are searched for."""

    simulations: Annotated[
        int | None, Field(ge=1, le=10**6, description="positions that are looked at before a move; by the game")
    ] = None
    exploration: Annotated[
        float, Field(gt=0, description="weight of what the network holds likely, beside what the search has found")
    ] = 1.5
    noise: Annotated[
        float, Field(ge=0, le=1, description="share of chance in the first probabilities, in training only")
    ] = 0.25
    concentration: Annotated[
        float | None, Field(gt=0, description="evenness of that noise (Dirichlet); 10 over the actions if not given")
    ] = None
    drawn: Annotated[
        int | None, Field(ge=0, description="moves at the beginning that are drawn by the visits; by the game")
    ] = None


class PlaySettings(Settings):
    """What is played and kept between two stretches of learning."""

    games: Annotated[int | None, Field(ge=1, le=10**5, description="games side by side; by the game")] = None
    moves: Annotated[int | None, Field(ge=1, le=10**5, description="moves in each of them at a time; by the game")] = (
        None
    )
    rounds: Annotated[
        float | None, Field(gt=0, le=1000, description="how often a position is learned from, on average; by the game")
    ] = None
    capacity: Annotated[int | None, Field(ge=1, le=10**8, description="positions that are kept; by the game")] = None
    value_weight: Annotated[float, Field(ge=0, description="weight of the values' squared error in the loss")] = 1.0
    komi: Annotated[float, Field(ge=-1000, le=1000, description="points that the second player begins with (go)")] = 7.5


class SelfplayNet(Settings):
    """The sizes of the network."""

    width: Annotated[
        int | None, Field(ge=1, le=4096, description="channels (cnn), or units of a layer (mlp); by the game")
    ] = None
    layers: Annotated[
        int | None, Field(ge=1, le=100, description="residual blocks (cnn), or hidden layers (mlp); by the game")
    ] = None


class SelfplayOptim(OptimSettings):
    """The optimizer and its learning-rate schedule."""

    lr: Annotated[float | None, Field(gt=0, description="peak learning rate; by the game if not given")] = None


class JudgedSettings(Settings):
    """How many games are played against each opponent to judge, without noise."""

    validation: Annotated[int, Field(ge=1, le=10**6, description="games that judge it while it learns")] = 20
    test: Annotated[int, Field(ge=1, le=10**6, description="games of the test")] = 100


@dataclass(frozen=True, kw_only=True)
class UsualPlay:
    """What a game has where nothing else is given."""

    positions: int
    simulations: int
    drawn: int
    games: int
    moves: int
    rounds: float
    capacity: int
    batch_size: int
    lr: float
    width: int
    layers: int


_LARGE = UsualPlay(
    positions=120_000,
    simulations=48,
    drawn=12,
    games=128,
    moves=16,
    rounds=4,
    capacity=40_000,
    batch_size=256,
    lr=3e-3,
    width=32,
    layers=3,
)
USUAL: Mapping[str, UsualPlay] = {
    "tic-tac-toe": UsualPlay(
        positions=40_000,
        simulations=32,
        drawn=5,
        games=128,
        moves=6,
        rounds=4,
        capacity=12_000,
        batch_size=256,
        lr=5e-3,
        width=32,
        layers=2,
    ),
    "connect-four": _LARGE,
    "go": replace(_LARGE, drawn=8),
}


def usual_play(game: str) -> UsualPlay:
    """By the name of a game, of whatever size."""
    return USUAL["go" if game.startswith(GO) else game]
