"""Networks, objectives and sources of the recipe `control`, by what an environment shows and lets one do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

from penstock.core.errors import RecipeError
from penstock.core.objective import Listening
from penstock.models.action_values import ActionValues, PairValue, ValueTable
from penstock.models.apart import Apart
from penstock.models.discriminator import FeatureTrunk
from penstock.models.observing import ATARI, BOARD, ImageTrunk, StateTrunk, VectorTrunk
from penstock.models.policy import ActorCritic, Directed, NormalHead, OneOfHead, Policy, SquashedHead
from penstock.nn.noisy import NoisyLinear
from penstock.objectives.acting import Acting
from penstock.objectives.deterministic_gradient import DeterministicGradient
from penstock.objectives.exploration import Annealed, EpsilonGreedy, Greedy
from penstock.objectives.policy_gradient import PolicyGradient
from penstock.objectives.q_learning import QLearning
from penstock.objectives.return_forms import Histogram, Mean, ReturnForm, Spread
from penstock.objectives.soft_actor_critic import SoftNumbers, SoftOneOf
from penstock.objectives.surrogates import Clipped, Plain
from penstock.objectives.target import Target
from penstock.objectives.temperature import Temperature, aim_for_numbers, aim_for_one_of
from penstock.recipes.control_settings import CONTINUOUS, ON_POLICY, TABLES, VALUES
from penstock.rl.acting import Actor
from penstock.rl.environment import Environment
from penstock.rl.marked import plain_space
from penstock.rl.replay import Priorities, Replay
from penstock.rl.rollouts import Rollouts
from penstock.rl.spaces import Box, Discrete, Space

if TYPE_CHECKING:
    from penstock.recipes.control import Control

Make = Callable[[Space], nn.Module]
"""A network, by what it sees."""
ForAll = Callable[[Make], nn.Module]
"""A network for all agents: one that they share, or one with a network for each."""
ACTIVATIONS: Mapping[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU, "silu": nn.SiLU}
USUAL_LENGTH = 100_000
"""Batches within which the weights of prioritised replay become whole, where only time ends a training."""
MOST_TOLD = 8
"""Agents, beyond which their returns are not told one by one."""
SMALL_PICTURE = 36
"""Pixels a side below which the strides of Atari's networks leave nothing."""
SMALLEST_PICTURE = 5
"""Pixels a side below which no convolutions are made."""


def check_spaces(algorithm: str, seen: Space, done: Space) -> None:
    """Raises RecipeError where an algorithm can make nothing of what is seen, or of what can be done."""
    if algorithm in VALUES and not isinstance(done, Discrete):
        raise RecipeError("algorithm", f"{algorithm} chooses one of some actions, not numbers", "use sac, td3 or ppo")
    if algorithm in TABLES and not isinstance(seen, Discrete):
        raise RecipeError("algorithm", f"{algorithm} keeps a table of states, and numbers are seen", "use dqn")
    if algorithm == "td3" and not isinstance(done, Box):
        raise RecipeError("algorithm", "td3 gives numbers, and here one of some actions is chosen", "use sac or dqn")
    if isinstance(done, Box):
        if len(done.shape) != 1:
            problem = f"actions have the shape {done.shape}, not one axis"
            raise RecipeError("env", problem, "wrap it, so that an action is a vector")
        if algorithm in CONTINUOUS and not all(bound.isfinite().all() for bound in done.bounds()):
            raise RecipeError("algorithm", f"{algorithm} needs actions with bounds", "use ppo")


def usual_network(algorithm: str, seen: Space) -> str:
    """By what is seen."""
    if algorithm in TABLES:
        return "table"
    picture = isinstance(seen, Box) and len(seen.shape) == 3 and min(seen.shape[1:]) >= SMALLEST_PICTURE
    return "cnn" if picture else "mlp"


def make_objective(recipe: Control, seen: Space, done: Space, agents: Sequence[str] = ()) -> Acting:
    """That of a resolved recipe. Raises RecipeError where algorithm, network and environment do not go together."""
    check_spaces(recipe.algorithm, seen, done)
    if (recipe.model == "table") != (recipe.algorithm in TABLES):
        remedy = "use mlp" if recipe.model == "table" else "leave --model out"
        raise RecipeError("model", f"{recipe.algorithm} does not learn by {recipe.model}", remedy)
    for_all = _for_all(recipe, seen, len(agents))
    if recipe.algorithm in ON_POLICY:
        objective: Acting = _policy_gradient(recipe, for_all, done)
    elif recipe.algorithm in VALUES:
        assert isinstance(done, Discrete)
        objective = _q_learning(recipe, for_all, done)
    else:
        objective = _actor_critic(recipe, for_all, done)
    objective.agents = agents if 1 < len(agents) <= MOST_TOLD else ()
    return objective


def _for_all(recipe: Control, seen: Space, agents: int) -> ForAll:
    """What is seen has marks that tell the agents apart; who has a network to oneself needs none."""
    if recipe.team.learners == "shared":
        return lambda make: make(seen)
    if agents <= 1:
        raise RecipeError("team.learners", f"in {recipe.env} nobody acts beside others", "leave it out")
    plain = plain_space(seen, agents)
    states = plain.count if isinstance(plain, Discrete) else None
    return lambda make: Apart(lambda: make(plain), agents=agents, states=states)


def make_source(recipe: Control, world: Environment, objective: Acting, seed: int) -> Listening:
    """What gathers experience, of a resolved recipe. Raises RecipeError for batches that cannot be."""
    actor, batch = Actor(objective, objective.act), recipe.batch_size
    assert batch is not None
    if recipe.algorithm in ON_POLICY:
        rollout, together = recipe.rollout, recipe.gathered
        assert rollout.steps is not None
        assert rollout.rounds is not None
        assert rollout.decay is not None
        if batch > together:
            problem = f"{batch} are more than the {together} training examples that are gathered at a time"
            raise RecipeError("batch_size", problem, "give a smaller one, or more environments or rollout.steps")
        return Rollouts(
            world,
            actor,
            steps=rollout.steps,
            rounds=rollout.rounds,
            parts=-(-together // batch),
            discount=recipe.discount,
            decay=rollout.decay,
            seed=seed,
        )
    replay = recipe.replay
    assert replay.capacity is not None
    assert replay.batches is not None
    assert replay.reach is not None
    return Replay(
        world,
        actor,
        capacity=replay.capacity,
        batch_size=batch,
        warmup=recipe.warmup_steps,
        batches=replay.batches,
        reach=replay.reach,
        discount=recipe.discount,
        priorities=Priorities(batches=recipe.steps or USUAL_LENGTH) if replay.prioritised else None,
        seed=seed,
    )


def _trunk(recipe: Control, seen: Space) -> FeatureTrunk:
    """What turns observations into features."""
    net = recipe.net
    if isinstance(seen, Discrete):
        return StateTrunk(seen.count)
    if recipe.model == "cnn":
        if len(seen.shape) != 3:
            raise RecipeError("model", f"a cnn needs pictures, and {seen.shape} is seen", "use mlp")
        channels, height, width = seen.shape
        layers = BOARD if min(height, width) < SMALL_PICTURE else ATARI
        return ImageTrunk(channels=channels, height=height, width=width, convolutions=layers, features=net.hidden[-1])
    assert net.activation is not None
    inputs, activation = int(torch.Size(seen.shape).numel()), ACTIVATIONS[net.activation]
    return VectorTrunk(inputs=inputs, hidden=net.hidden, activation=activation, normalise=bool(net.layer_norm))


def _policy_gradient(recipe: Control, for_all: ForAll, done: Space) -> PolicyGradient:
    def make(seen: Space) -> ActorCritic:
        trunk = _trunk(recipe, seen)
        critic = None if recipe.model == "cnn" else _trunk(recipe, seen)
        head: OneOfHead | NormalHead
        if isinstance(done, Discrete):
            head = OneOfHead(trunk.outputs, done.count)
        else:
            head = NormalHead(trunk.outputs, done.shape[0])
        return ActorCritic(trunk, head, critic=critic)

    policy = recipe.policy
    return PolicyGradient(
        for_all(make),
        surrogate=Clipped(policy.clip) if recipe.algorithm == "ppo" else Plain(),
        value_weight=policy.value_weight,
        entropy_weight=policy.entropy_weight,
    )


def _q_learning(recipe: Control, for_all: ForAll, done: Discrete) -> QLearning:
    values = recipe.values
    explore = EpsilonGreedy(Annealed(start=1.0, end=values.epsilon, within=values.epsilon_within))
    if recipe.algorithm in TABLES:

        def table(seen: Space) -> ValueTable:
            assert isinstance(seen, Discrete)
            return ValueTable(states=seen.count, actions=done.count)

        onward = explore if recipe.algorithm == "sarsa" else Greedy()
        return QLearning(for_all(table), form=Mean(bend=None), onward=onward, explore=explore)
    form = _form(recipe)

    def network(seen: Space) -> ActionValues:
        return ActionValues(
            _trunk(recipe, seen),
            actions=done.count,
            numbers=form.numbers,
            hidden=recipe.net.hidden[-1:] if values.dueling or values.noisy else (),
            dueling=values.dueling,
            linear=NoisyLinear if values.noisy else nn.Linear,
        )

    model = for_all(network)
    target = Target(model, pace=1.0, every=values.target_every)
    return QLearning(
        model, form=form, target=target, doubled=values.doubled, explore=Greedy() if values.noisy else explore
    )


def _form(recipe: Control) -> ReturnForm:
    match recipe.values.form:
        case "c51":
            return Histogram(low=recipe.values.low, high=recipe.values.high)
        case "quantiles":
            return Spread()
        case _:
            return Mean()


def _actor_critic(recipe: Control, for_all: ForAll, done: Space) -> Acting:
    """SAC or TD3."""
    soft, hidden = recipe.soft, recipe.net.hidden
    if isinstance(done, Discrete):
        count = done.count

        def choosing(seen: Space) -> Policy:
            trunk = _trunk(recipe, seen)
            return Policy(trunk, OneOfHead(trunk.outputs, count))

        temperature = Temperature(soft.temperature or 1.0, aim=None if soft.temperature else aim_for_one_of(count))
        actor = for_all(choosing)
        values = [for_all(lambda seen: ActionValues(_trunk(recipe, seen), actions=count)) for _ in range(2)]
        return SoftOneOf(actor, values, temperature=temperature, pace=soft.pace)
    assert isinstance(done, Box)
    low, high = done.bounds()

    def acting(seen: Space) -> Directed | Policy:
        trunk = _trunk(recipe, seen)
        if recipe.algorithm == "td3":
            return Directed(trunk, low, high)
        return Policy(trunk, SquashedHead(trunk.outputs, low, high))

    def judging(seen: Space) -> PairValue:
        own = _trunk(recipe, seen) if recipe.model == "cnn" or isinstance(seen, Discrete) else None
        inputs = own.outputs if own else int(torch.Size(seen.shape).numel())
        return PairValue(inputs=inputs, low=low, high=high, hidden=hidden, trunk=own)

    actor, critics = for_all(acting), [for_all(judging) for _ in range(2)]
    if recipe.algorithm == "td3":
        return DeterministicGradient(actor, critics, low=low, high=high, pace=soft.pace)
    temperature = Temperature(soft.temperature or 1.0, aim=None if soft.temperature else aim_for_numbers(done.shape[0]))
    return SoftNumbers(actor, critics, temperature=temperature, pace=soft.pace)
