"""Acting sources in the engine: stopped at any step they go on bit for bit, and what fails leaves a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import own_worlds
import pytest
import torch
from torch import Tensor, nn

from penstock.core.batch import Batch
from penstock.core.errors import WorkerError
from penstock.core.objective import Objective, Source, Update
from penstock.engine.checkpoint import Checkpoints
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.optim.adam import Adam
from penstock.rl.acting import Actor
from penstock.rl.cartpole import CartPole
from penstock.rl.environment import Environment
from penstock.rl.gym_environment import GymEnvironment
from penstock.rl.maker import Maker
from penstock.rl.normalise import NormalisedObservations, NormalisedRewards
from penstock.rl.replay import Priorities, Replay
from penstock.rl.rollouts import Rollouts
from penstock.rl.wrapper import Checked

OWN = str(Path(own_worlds.__file__))


class Learning(Objective):
    """A linear policy that is given something to learn, whatever the source: what it is worth to be where one is."""

    def __init__(self, inputs: int, actions: int) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Linear(inputs, 8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, actions + 1))

    def act(self, observation: Tensor) -> dict[str, Tensor]:
        scores = self.model(observation)
        action = torch.multinomial(scores[:, 1:].softmax(1), 1)[:, 0]
        return {"action": action, "value": scores[:, 0]}

    def loss(self, batch: Batch) -> Update:
        worth = self.model(batch["observation"])[:, 0]
        wanted = batch["return"] if "return" in batch else batch["reward"]
        error = worth - wanted
        batch.feedback(priority=error)
        weight = batch.get("weight", 1.0)
        return Update((weight * error.square()).mean(), weight=batch.size)


def wrapped(world: Environment) -> Environment:
    return NormalisedRewards(NormalisedObservations(Checked(world)), discount=0.9)


def rollouts(world: Environment, actor: Actor) -> Source:
    return Rollouts(world, actor, steps=4, rounds=2, parts=2, seed=1)


def replay(world: Environment, actor: Actor) -> Source:
    return Replay(
        world, actor, capacity=24, batch_size=5, warmup=3, reach=2, batches=2, priorities=Priorities(), seed=1
    )


def engine(
    steps: int,
    world: Environment,
    source: Callable[[Environment, Actor], Source],
    folder: Path | None = None,
) -> Engine:
    torch.manual_seed(0)
    world = wrapped(world)
    objective = Learning(world.observation.shape[0], world.action.count)  # type: ignore[attr-defined]
    fixed: dict[str, Any] = {"precision": "auto", "compile": "off", "onednn": "off", "threads": 1, "log_every": 1}
    plan = Plan(steps=steps, checkpoint_every=0, device="cpu", **fixed)
    checkpoints = Checkpoints(folder) if folder else None
    given = source(world, Actor(objective, objective.act))
    return Engine(objective, given, plan, {"model": Adam(lr=1e-2)}, checkpoints=checkpoints)


def worlds() -> dict[str, Callable[[], Environment]]:
    return {
        "tensors": lambda: CartPole(count=3, limit=7),
        "gymnasium": lambda: GymEnvironment(Maker(name="CartPole-v1", limit=7), count=2),
    }


@pytest.mark.parametrize("source", [rollouts, replay])
@pytest.mark.parametrize("world", worlds())
def test_stopped_after_any_step_it_goes_on_bit_for_bit(
    source: Callable[[Environment, Actor], Source], world: str, tmp_path: Path
) -> None:
    whole = engine(13, worlds()[world](), source)
    whole.run()
    expected, values = whole.state()
    assert {name.rpartition(".")[2] for name in expected} >= {"mean", "variance", "sum"}
    for stop in (1, 2, 4, 5, 11):
        folder = tmp_path / str(stop)
        engine(stop, worlds()[world](), source, folder).run()
        torch.manual_seed(99)
        resumed = engine(13, worlds()[world](), source)
        resumed.load_state(*Checkpoints(folder).newest()[1:3])
        resumed.run()
        found, said = resumed.state()
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert torch.equal(value, found[name]), (stop, name)
        assert said["source"] == values["source"]


@pytest.mark.parametrize("wrong", ["raises", "nan", "dies"])
def test_what_fails_leaves_a_checkpoint_that_can_be_resumed(wrong: str, tmp_path: Path) -> None:
    def world(wrong: str) -> Environment:
        maker = Maker(name="Walk", module=OWN, options={"wrong": wrong}, limit=20)
        return GymEnvironment(maker, count=1, workers=int(wrong == "dies"))

    def source(world: Environment, actor: Actor) -> Source:
        return Replay(world, actor, capacity=30, batch_size=4, warmup=1)

    broken = engine(20, world(wrong), source, tmp_path)
    with pytest.raises(WorkerError, match="environment") as caught:
        broken.run()
    assert caught.value.code == 7
    assert Checkpoints(tmp_path).newest()[2]["step"] == 2
    resumed = engine(20, world(""), source)
    resumed.load_state(*Checkpoints(tmp_path).newest()[1:3])
    resumed.run()
    assert resumed.clock.step == 20
