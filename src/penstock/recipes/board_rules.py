"""Games, networks and sources of the recipe `selfplay`, and what it decides by rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from penstock.core.errors import DataError, RecipeError, suggest
from penstock.models.policy_value import PolicyValue, flat, residual
from penstock.objectives.policy_value import PolicyAndValue
from penstock.recipes.selfplay_settings import GO, LINES, OPPONENTS, usual_play
from penstock.rl.acting import Actor
from penstock.rl.boards.game import BoardGame
from penstock.rl.boards.go import Go
from penstock.rl.boards.lines import connect_four, tic_tac_toe
from penstock.rl.boards.players import AtRandom, OnePly, Perfect, Player, Searching, solvable
from penstock.rl.boards.search import Search
from penstock.rl.boards.selfplay import SelfPlay, Trying

if TYPE_CHECKING:
    from penstock.recipes.selfplay import Selfplay

EVALUATIONS = 8
"""How often a player is judged while it learns."""


def game_of(recipe: Selfplay) -> BoardGame:
    """Raises DataError for a name that is no game's, RecipeError for a komi where there is none."""
    name, komi = recipe.data, recipe.play.komi
    if name.startswith(GO) and name.removeprefix(GO).isdecimal():
        return Go(int(name.removeprefix(GO)), komi=komi)
    if name not in LINES:
        raise DataError(name, "no game is called so", suggest(name, [*LINES, *(f"go-{n}" for n in (5, 7, 9))]))
    if komi != type(recipe.play).model_fields["komi"].default:
        raise RecipeError("play.komi", f"it has no meaning for {name}", "leave it out, or play go")
    return tic_tac_toe() if name == "tic-tac-toe" else connect_four()


def resolved(recipe: Selfplay) -> Selfplay:
    """The same recipe with every choice made, so that its record says all."""
    usual = usual_play(recipe.data)
    actions = game_of(recipe).actions
    groups: dict[str, dict[str, Any]] = {
        "search": {
            "simulations": usual.simulations,
            "drawn": usual.drawn,
            "concentration": round(10 / actions, 3),
        },
        "play": {"games": usual.games, "moves": usual.moves, "rounds": usual.rounds, "capacity": usual.capacity},
        "net": {"width": usual.width, "layers": usual.layers},
        "optim": {"lr": usual.lr},
    }
    choices: dict[str, Any] = {"model": "cnn" if recipe.model == "auto" else recipe.model}
    for name, settings in groups.items():
        group = getattr(recipe, name)
        filled = {key: value for key, value in settings.items() if getattr(group, key) is None}
        choices[name] = group.model_copy(update=filled)
    choices["batch_size"] = recipe.batch_size or usual.batch_size
    found = recipe.model_copy(update=choices)
    return found.model_copy(update=_length(found, usual.positions))


def batches_of(recipe: Selfplay) -> int:
    """Batches between playing and playing again, of a resolved recipe."""
    assert recipe.batch_size is not None
    assert recipe.play.rounds is not None
    return max(round(recipe.gathered * recipe.play.rounds / recipe.batch_size), 1)


def _length(recipe: Selfplay, positions: int) -> dict[str, Any]:
    """How long to train, and when to evaluate: after whole stretches of learning."""
    choices: dict[str, Any] = {}
    wanted = recipe.positions
    if recipe.epochs is None and recipe.steps is None and recipe.minutes is None and wanted is None:
        wanted = positions
    epoch = batches_of(recipe)
    if wanted is not None:
        steps = -(-wanted // recipe.gathered) * epoch
        choices["steps"] = min(steps, recipe.steps or steps)
    limits = [choices.get("steps", recipe.steps), recipe.epochs and recipe.epochs * epoch]
    total = min((limit for limit in limits if limit), default=None)
    if "evaluate_every" not in recipe.model_fields_set and total is not None:
        choices["evaluate_every"] = max(-(-total // (EVALUATIONS * epoch)), 1)
    return choices


def make_network(recipe: Selfplay, game: BoardGame) -> PolicyValue:
    """That of a resolved recipe."""
    width, layers = recipe.net.width, recipe.net.layers
    assert width is not None
    assert layers is not None
    sizes = {"planes": game.planes, "height": game.height, "width": game.width, "actions": game.actions}
    if recipe.model == "mlp":
        return flat(**sizes, hidden=[width] * layers)
    return residual(**sizes, channels=width, blocks=layers)


def opponents_in(game: BoardGame) -> tuple[str, ...]:
    """Who can be played against, by name."""
    return OPPONENTS if solvable(game) else OPPONENTS[:-1]


def make_objective(recipe: Selfplay, game: BoardGame) -> PolicyAndValue:
    """That of a resolved recipe."""
    network = make_network(recipe, game)
    return PolicyAndValue(network, opponents=opponents_in(game), value_weight=recipe.play.value_weight)


def make_search(recipe: Selfplay) -> Search:
    """That of a resolved recipe."""
    search = recipe.search
    assert search.simulations is not None
    return Search(simulations=search.simulations, exploration=search.exploration, share=search.noise)


def make_source(
    recipe: Selfplay, game: BoardGame, objective: PolicyAndValue, seed: int, device: torch.device
) -> SelfPlay:
    """What plays and keeps, of a resolved recipe. Raises RecipeError for batches that cannot be."""
    play, search = recipe.play, recipe.search
    assert play.games is not None
    assert play.moves is not None
    assert play.capacity is not None
    assert search.concentration is not None
    assert search.drawn is not None
    assert recipe.batch_size is not None
    return SelfPlay(
        game,
        make_search(recipe),
        Actor(objective, objective.tell),
        Trying(concentration=search.concentration, moves=search.drawn),
        games=play.games,
        moves=play.moves,
        batches=batches_of(recipe),
        batch_size=recipe.batch_size,
        capacity=play.capacity,
        seed=seed,
        device=device,
    )


def make_opponents(recipe: Selfplay, game: BoardGame) -> list[Player]:
    """In the order of `opponents_in`; the one that searches without a network does so as long as the player."""
    assert recipe.search.concentration is not None
    blind = Searching(make_search(recipe), concentration=recipe.search.concentration)
    found: list[Player] = [AtRandom(), OnePly(), blind]
    return [*found, Perfect(game)] if solvable(game) else found
