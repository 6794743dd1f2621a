"""Groups of settings of the recipe `control`, and what suits each algorithm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from penstock.core.settings import Settings
from penstock.recipes.settings import OptimSettings

ON_POLICY = ("ppo", "a2c", "reinforce")
VALUES = ("dqn", "q-learning", "sarsa")
TABLES = ("q-learning", "sarsa")
CONTINUOUS = ("sac", "td3")
Algorithm = Literal["auto", "ppo", "a2c", "reinforce", "dqn", "sac", "td3", "q-learning", "sarsa"]
NETWORKS = ("mlp", "cnn", "table")


class ControlNet(Settings):
    """The sizes of the networks: the policy and the values have one each."""

    hidden: Annotated[
        list[Annotated[int, Field(ge=1, le=65536)]],
        Field(description="widths of the hidden layers (mlp), or of the last one (cnn); by the algorithm if not given"),
    ] = Field(default_factory=list)
    activation: Annotated[
        Literal["tanh", "relu", "silu"] | None,
        Field(description="after each hidden layer (mlp); by the algorithm if not given"),
    ] = None
    layer_norm: Annotated[
        bool | None, Field(description="layer normalisation before each activation (mlp); by the algorithm")
    ] = None


class ControlOptim(OptimSettings):
    """The optimizers, one for each role, and their learning-rate schedule."""

    name: Annotated[
        Literal["adam", "adamw", "sgd", "nesterov", "rmsprop", "adagrad"],
        Field(description="the update rule; tables are learned by sgd without momentum if not given"),
    ] = "adam"
    lr: Annotated[float | None, Field(gt=0, description="peak learning rate; by the algorithm if not given")] = None


class RolloutSettings(Settings):
    """What is gathered before it is learned from (ppo, a2c, reinforce)."""

    steps: Annotated[
        int | None,
        Field(ge=1, le=10**6, description="steps of each environment that are learned from together; by the algorithm"),
    ] = None
    rounds: Annotated[
        int | None, Field(ge=1, le=1000, description="how often they are gone through (ppo); by the algorithm")
    ] = None
    decay: Annotated[
        float | None,
        Field(ge=0, le=1, description="lambda of generalised advantage estimation; by the algorithm if not given"),
    ] = None


class PolicySettings(Settings):
    """How a policy follows its gradient (ppo, a2c, reinforce)."""

    clip: Annotated[float, Field(gt=0, description="share by which a probability may change (ppo)")] = 0.2
    value_weight: Annotated[float, Field(ge=0, description="weight of the values' squared error")] = 0.5
    entropy_weight: Annotated[float, Field(ge=0, description="price of being sure")] = 0.0


class ReplaySettings(Settings):
    """What is kept and learned from over and over (dqn, sac, td3, q-learning, sarsa)."""

    capacity: Annotated[
        int | None, Field(ge=1, le=10**9, description="transitions that are kept; by the algorithm if not given")
    ] = None
    warmup: Annotated[
        int | None, Field(ge=1, description="transitions with actions at random to begin with; by the algorithm")
    ] = None
    batches: Annotated[
        int | None,
        Field(ge=1, le=1000, description="batches for each step of all environments; by the algorithm if not given"),
    ] = None
    reach: Annotated[
        int | None,
        Field(
            ge=1,
            le=1000,
            description="rewards that are added up before the worth of what follows is looked up; by the algorithm",
        ),
    ] = None
    prioritised: Annotated[bool, Field(description="draw oftener what was surprising (dqn, sac, td3)")] = False


class ValueSettings(Settings):
    """How actions are valued and tried (dqn, q-learning, sarsa)."""

    doubled: Annotated[bool, Field(description="choose by one network and judge by the other (dqn)")] = True
    dueling: Annotated[bool, Field(description="tell the worth of a place apart from that of the actions (dqn)")] = (
        False
    )
    noisy: Annotated[bool, Field(description="explore by noise on the weights (dqn)")] = False
    form: Annotated[
        Literal["mean", "c51", "quantiles"],
        Field(description="tell the expected return, or its distribution: as a histogram, or by quantiles (dqn)"),
    ] = "mean"
    low: Annotated[float, Field(description="the lowest return of the histogram (c51)")] = 0.0
    high: Annotated[float, Field(description="the highest return of the histogram (c51)")] = 100.0
    target_every: Annotated[
        int, Field(ge=1, description="batches after which the network that judges is renewed (dqn)")
    ] = 50
    epsilon: Annotated[
        float, Field(ge=0, le=1, description="share of actions at random that are tried to the end of training")
    ] = 0.05
    epsilon_within: Annotated[
        float, Field(gt=0, le=1, description="share of training in which the actions at random fall from all to that")
    ] = 0.3


class SoftSettings(Settings):
    """Of actors and their critics (sac, td3)."""

    temperature: Annotated[float | None, Field(gt=0, description="price of entropy (sac); learned if not given")] = None
    pace: Annotated[float, Field(gt=0, le=1, description="share of the way that targets go at each batch")] = 0.005


class MeasureSettings(Settings):
    """How many episodes are played to judge a policy, without trying anything out."""

    validation: Annotated[
        int | None,
        Field(ge=1, le=10**6, description="episodes by which the best weights are chosen; by the environment"),
    ] = None
    test: Annotated[int, Field(ge=1, le=10**6, description="episodes of the test")] = 100
    film: Annotated[bool, Field(description="draw the best episode of the test, for the report")] = True


class TeamSettings(Settings):
    """Several agents in one world."""

    learners: Annotated[
        Literal["shared", "independent"],
        Field(description="one network for all agents, which is told whose part it plays, or one for each"),
    ] = "shared"


GROUPS: Mapping[str, tuple[str, ...]] = {
    "rollout": ON_POLICY,
    "policy": ON_POLICY,
    "replay": (*VALUES, *CONTINUOUS),
    "values": VALUES,
    "soft": CONTINUOUS,
}
"""The algorithms for which a group of settings has a meaning."""


@dataclass(frozen=True, kw_only=True)
class Usual:
    """What an algorithm has where nothing else is given. `frames` are steps of all environments together."""

    frames: int
    environments: int
    batch_size: int | None
    """None: all that was gathered."""
    lr: float
    hidden: tuple[int, ...]
    activation: str = "relu"
    layer_norm: bool = False
    optim: str = "adam"
    clip_norm: float | None = None
    group: Mapping[str, Any]
    """Open settings of its group `rollout` or `replay`."""


_ONLINE = Usual(
    frames=30_000,
    environments=1,
    batch_size=1,
    lr=0.5,
    hidden=(),
    optim="sgd",
    group={"capacity": 1, "warmup": 1, "batches": 1, "reach": 1},
)
"""Each step is learned from once, when it has been made: so the tabular algorithms are written."""
USUAL: Mapping[str, Usual] = {
    "ppo": Usual(
        frames=65_536,
        environments=64,
        batch_size=512,
        lr=3e-3,
        hidden=(64, 64),
        activation="tanh",
        clip_norm=0.5,
        group={"steps": 32, "rounds": 6, "decay": 0.95},
    ),
    "a2c": Usual(
        frames=200_000,
        environments=64,
        batch_size=None,
        lr=3e-3,
        hidden=(64, 64),
        activation="tanh",
        clip_norm=0.5,
        group={"steps": 8, "rounds": 1, "decay": 0.95},
    ),
    "reinforce": Usual(
        frames=400_000,
        environments=64,
        batch_size=None,
        lr=5e-3,
        hidden=(64, 64),
        activation="tanh",
        clip_norm=0.5,
        group={"steps": 64, "rounds": 1, "decay": 1.0},
    ),
    # Old experience hurts: of a policy that has become good, what it still does wrong is rare, and in 100,000 places
    # it drowns. Ten rewards ahead, what lies far off is known ten times as soon.
    "dqn": Usual(
        frames=128_000,
        environments=64,
        batch_size=128,
        lr=2e-3,
        hidden=(64, 64),
        layer_norm=True,
        clip_norm=10.0,
        group={"capacity": 20_000, "warmup": 1000, "batches": 4, "reach": 10},
    ),
    "sac": Usual(
        frames=50_000,
        environments=8,
        batch_size=128,
        lr=1e-3,
        hidden=(64, 64),
        group={"capacity": 200_000, "warmup": 800, "batches": 2, "reach": 1},
    ),
    "td3": Usual(
        frames=20_000,
        environments=8,
        batch_size=128,
        lr=1e-3,
        hidden=(64, 64),
        group={"capacity": 200_000, "warmup": 800, "batches": 2, "reach": 1},
    ),
    "q-learning": _ONLINE,
    "sarsa": _ONLINE,
}
