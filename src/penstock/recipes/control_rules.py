"""What the recipe `control` decides by rule, where it is left open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.core.settings import Settings
from penstock.recipes.control_settings import GROUPS, ON_POLICY, USUAL, Usual
from penstock.recipes.controllers import check_spaces, usual_network
from penstock.recipes.foreign import refuse_unused
from penstock.recipes.worlds import TRADING
from penstock.rl.spaces import Box, Discrete, Space

if TYPE_CHECKING:
    from penstock.recipes.control import Control

S = TypeVar("S", bound=Settings)

EVALUATIONS = 12
"""How often a policy is judged while it learns."""
EPISODES, EPISODES_AT_ONCE = 20, 50
"""By which it is then judged; of our own environments, which are played together, more cost hardly more. Of prices all
episodes are the same days."""
BATCHES_AN_EPOCH = 1000
"""Of those that learn from what is kept, for which nothing else makes an epoch."""


def resolved(
    recipe: Control, seen: Space, done: Space, *, own: bool, world: Mapping[str, Any], together: int = 1
) -> Control:
    """The same recipe with every choice made, so that its record says all; `own` is an environment of ours, `world`
    what usually is set of it. So many agents act `together`: environments make whole games.

    Raises RecipeError for a setting that has no meaning for the algorithm.
    """
    algorithm = usual_algorithm(seen, done) if recipe.algorithm == "auto" else recipe.algorithm
    check_spaces(algorithm, seen, done)
    refuse_unused(recipe, algorithm, GROUPS)
    usual, gathers = USUAL[algorithm], algorithm in ON_POLICY
    numbers = not own and isinstance(seen, Box) and len(seen.shape) == 1
    environments = -(-(recipe.environments or usual.environments) // together) * together
    group = "rollout" if gathers else "replay"
    choices: dict[str, Any] = {
        "algorithm": algorithm,
        "model": usual_network(algorithm, seen) if recipe.model == "auto" else recipe.model,
        "environments": environments,
        "optim": recipe.optim.model_copy(update=_optim(recipe, usual)),
        "world": _filled(recipe.world, {"normalise": numbers, "normalise_rewards": numbers and gathers, **world}),
        "net": _filled(recipe.net, {"activation": usual.activation, "layer_norm": usual.layer_norm}),
        "measure": _filled(
            recipe.measure, {"validation": EPISODES_AT_ONCE if own and recipe.env != TRADING else EPISODES}
        ),
        group: _filled(getattr(recipe, group), {**usual.group, **_places(usual, environments)}),
    }
    choices["net"] = choices["net"].model_copy(update={"hidden": recipe.net.hidden or list(usual.hidden)})
    if "clip_norm" not in recipe.model_fields_set:
        choices["clip_norm"] = usual.clip_norm
    found = recipe.model_copy(update=choices)
    batch = usual.batch_size
    if gathers:
        batch = min(batch or found.gathered, found.gathered)
    found = found.model_copy(update={"batch_size": recipe.batch_size or batch})
    return found.model_copy(update=_length(found, usual.frames, given=recipe.model_fields_set))


def _places(usual: Usual, environments: int) -> dict[str, int]:
    """Room for a step of all environments, in what is kept."""
    return {"capacity": max(usual.group["capacity"], environments)} if "capacity" in usual.group else {}


def usual_algorithm(seen: Space, done: Space) -> str:
    """By what is seen and what can be done."""
    if not isinstance(done, Discrete):
        return "sac"
    return "q-learning" if isinstance(seen, Discrete) else "ppo"


def frames_of(recipe: Control, steps: int) -> int:
    """How many frames so many batches stand for, of a resolved recipe; the warm-up is not counted."""
    assert recipe.environments is not None
    if recipe.algorithm in ON_POLICY:
        return round(steps / _batches_a_gathering(recipe) * recipe.gathered)
    assert recipe.replay.batches is not None
    return round(steps / recipe.replay.batches * recipe.environments)


def _optim(recipe: Control, usual: Usual) -> dict[str, Any]:
    """Of tables, one step of plain descent is one of the tabular algorithms."""
    found: dict[str, Any] = {"lr": recipe.optim.lr or usual.lr, "weight_decay": recipe.optim.weight_decay or 0.0}
    if "name" not in recipe.optim.model_fields_set:
        found |= {"name": usual.optim} | ({"momentum": 0.0} if usual.optim == "sgd" else {})
    return found


def _length(recipe: Control, frames: int, *, given: set[str]) -> dict[str, Any]:
    """How long to train, and when to evaluate."""
    choices: dict[str, Any] = {}
    wanted = recipe.frames
    if recipe.epochs is None and recipe.steps is None and recipe.minutes is None and wanted is None:
        wanted = frames
    if wanted is not None:
        steps = _steps_for(recipe, wanted)
        choices["steps"] = min(steps, recipe.steps or steps)
    epoch = _batches_a_gathering(recipe) if recipe.algorithm in ON_POLICY else BATCHES_AN_EPOCH
    limits = [choices.get("steps") or recipe.steps, recipe.epochs and recipe.epochs * epoch]
    total = min((limit for limit in limits if limit), default=None)
    if "evaluate_every" not in given and total is not None:
        choices["evaluate_every"] = max(total / EVALUATIONS, 1) / epoch
    return choices


def _batches_a_gathering(recipe: Control) -> int:
    assert recipe.batch_size is not None
    assert recipe.rollout.rounds is not None
    return -(-recipe.gathered // recipe.batch_size) * recipe.rollout.rounds


def _steps_for(recipe: Control, frames: int) -> int:
    """Batches for so many frames."""
    assert recipe.environments is not None
    if recipe.algorithm in ON_POLICY:
        return -(-frames // recipe.gathered) * _batches_a_gathering(recipe)
    assert recipe.replay.batches is not None
    return max(-(-frames // recipe.environments) - recipe.warmup_steps, 1) * recipe.replay.batches


def _filled(group: S, usual: Mapping[str, Any]) -> S:
    """A group of settings with its open ones taken from `usual`."""
    return group.model_copy(update={name: value for name, value in usual.items() if getattr(group, name) is None})
