"""Gymnasium's environments as ours: the same episodes, in this process and in others, restored where that can be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import own_worlds
import pytest
import torch

from penstock.core.errors import CheckpointError, RecipeError, WorkerError
from penstock.core.random import derive
from penstock.rl.environment import Step
from penstock.rl.groups import Processes
from penstock.rl.gym_environment import GymEnvironment
from penstock.rl.maker import Maker
from penstock.rl.spaces import Box, Discrete

OWN = str(Path(own_worlds.__file__))
CLASSIC = ["CartPole-v1", "Pendulum-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Acrobot-v1"]


def own(wrong: str = "", *, name: str = "Walk", limit: int | None = None, **options: Any) -> Maker:
    return Maker(name=name, module=OWN, options={"wrong": wrong, **options}, limit=limit)


@pytest.fixture
def made() -> Iterator[Any]:
    """Makes environments, and closes them all."""
    all_made: list[GymEnvironment] = []

    def make(maker: Maker, **settings: Any) -> GymEnvironment:
        all_made.append(GymEnvironment(maker, **settings))
        return all_made[-1]

    yield make
    for each in all_made:
        each.close()


def equal(one: Step, two: Step) -> bool:
    return all(torch.equal(getattr(one, name), getattr(two, name)) for name in Step.__slots__)


@pytest.mark.parametrize("workers", [0, 2])
def test_episodes_are_those_of_gymnasium(made: Any, workers: int) -> None:
    ours = made(Maker(name="CartPole-v1", limit=20), count=3, workers=workers)
    theirs = [gymnasium.make("CartPole-v1", max_episode_steps=20) for _ in range(3)]
    assert ours.check() == []
    seen = ours.reset(7)
    for at, each in enumerate(theirs):
        first, _ = each.reset(seed=derive(7, "environment", 0, at) % (1 << 31))
        assert seen[at].tolist() == first.tolist()
    generator, ended = torch.Generator().manual_seed(0), [0, 0]
    for _ in range(60):
        action = ours.action.sample(3, generator)
        step = ours.step(action)
        for at, each in enumerate(theirs):
            final, reward, terminated, truncated, _ = each.step(action[at].numpy())
            assert step.final[at].tolist() == final.tolist()
            assert (step.reward[at], step.terminated[at], step.truncated[at]) == (reward, terminated, truncated)
            begins = each.reset()[0] if terminated or truncated else final
            assert step.observation[at].tolist() == begins.tolist()
            ended = [ended[0] + terminated, ended[1] + truncated]
    assert min(ended) > 0


def test_spaces(made: Any) -> None:
    walk = made(own(), count=1)
    assert walk.observation == Box((2,), -50.0, 50.0)
    assert walk.action == Discrete(3)
    car = made(Maker(name="MountainCarContinuous-v0"), count=1)
    assert car.observation.bounds()[0].tolist() == pytest.approx([-1.2, -0.07])
    assert (car.action, car.limit) == (Box((1,), -1.0, 1.0), 999)
    assert made(own(limit=4), count=1).limit == 4


@pytest.mark.parametrize(
    ("maker", "workers"),
    [*((Maker(name=name, limit=9), 0) for name in CLASSIC), (own(name="Kept", limit=9), 0), (own(name="Kept"), 2)],
    ids=[*CLASSIC, "own", "own in processes"],
)
def test_it_goes_on_from_what_was_saved(made: Any, maker: Maker, workers: int) -> None:
    first, second = (made(maker, count=2, workers=workers) for _ in range(2))
    assert first.exact
    generator = torch.Generator().manual_seed(0)
    first.reset(0)
    for _ in range(13):
        seen = first.step(first.action.sample(2, generator)).observation
    state = {name: value.clone() for name, value in first.state_dict().items()}
    assert torch.equal(second.load_state_dict(state), seen)
    for _ in range(30):
        action = first.action.sample(2, generator)
        assert equal(first.step(action), second.step(action))
    assert second.exact


def test_one_that_cannot_be_restored_begins_anew_with_other_seeds(made: Any) -> None:
    first, second = made(own(), count=2), made(own(), count=2)
    assert not first.exact
    begun = first.reset(0)
    again = second.load_state_dict(first.state_dict())
    assert (again[:, 0] != begun[:, 0]).all()
    assert again[:, 1].tolist() == [0, 0]


def test_the_same_seed_is_the_same_wherever_they_run(made: Any) -> None:
    runs = []
    for workers in (0, 1, 3):
        walk = made(own(), count=4, workers=workers)
        generator = torch.Generator().manual_seed(0)
        runs.append([walk.reset(3), *(walk.step(walk.action.sample(4, generator)).final for _ in range(20))])
    assert all(torch.equal(one, other) for run in runs[1:] for one, other in zip(runs[0], run, strict=True))


FAULTS = [
    ("shape", "its observation at reset has the shape (1,), expected (2,)"),
    ("dtype", "its observation at reset is float64, expected float32"),
    ("bounds", "its observation at reset has 100.*expected within [-50.0, 50.0]"),
    ("old reset", "reset gave ndarray, expected (observation, info)"),
    ("old step", "step gave 4 values, expected (observation, reward, terminated, truncated, info)"),
    ("text", "its reward at step 1 is str, expected a number"),
    ("flag", "terminated and truncated at step 1 are str and bool, expected True or False"),
    ("nan", "its observation is not finite at step 3"),
    ("inf", "its reward is not finite at step 1"),
    ("raises", "step 3 failed (ZeroDivisionError: the pole has gone)"),
]


@pytest.mark.parametrize(("wrong", "text"), FAULTS)
def test_the_check_says_what_was_expected_and_what_came(made: Any, wrong: str, text: str) -> None:
    with pytest.raises(WorkerError) as caught:
        made(own(wrong), count=2).check()
    begin, _, end = text.partition(".*")
    assert str(caught.value).startswith(f"environment 0: {begin}")
    assert str(caught.value).endswith(f"{end}; mend the environment")
    assert caught.value.code == 7


def test_what_happens_in_another_process_is_told_in_the_same_words(made: Any) -> None:
    walk = made(own("raises"), count=3, workers=2)
    walk.reset(0)
    action = torch.zeros(3, dtype=torch.int64)
    walk.step(action)
    walk.step(action)
    with pytest.raises(WorkerError, match=r"environment [01]: step 3 failed \(ZeroDivisionError"):
        walk.step(action)
    with pytest.raises(WorkerError, match="ZeroDivisionError"):
        walk.step(action)
    assert set(walk.state_dict()) == {"begun", "seed"}  # a checkpoint can still be written


def test_what_is_no_number_is_told_with_environment_and_step(made: Any) -> None:
    """Of three, the one whose third step comes first: it began before the others."""
    walk = made(own("nan"), count=3)
    walk.reset(0)
    walk.group.all[1].env.unwrapped.steps = 1
    walk.step(torch.zeros(3, dtype=torch.int64))
    with pytest.raises(WorkerError, match="environment 1: its observation is not finite at step 2; mend"):
        walk.step(torch.zeros(3, dtype=torch.int64))


@pytest.mark.parametrize(
    ("wrong", "text"),
    [("hangs", "no answer to 'step' for 0.5 seconds"), ("dies", r"a worker process died \(signal 9")],
)
def test_a_process_that_hangs_or_dies_is_given_up(made: Any, wrong: str, text: str) -> None:
    walk = made(own(wrong), count=2, workers=1, seconds=20)
    walk.reset(0)
    walk.group._seconds = 0.5
    action = torch.zeros(2, dtype=torch.int64)
    walk.step(action)
    walk.step(action)
    with pytest.raises(WorkerError, match=f"environments 0 to 1: {text}"):
        walk.step(action)
    assert all(process.poll() is not None for process in walk.group.processes)
    assert set(walk.state_dict()) == {"begun", "seed"}


def test_after_a_failure_a_restorable_one_begins_anew(made: Any) -> None:
    broken, whole = made(own("raises", name="Kept"), count=1), made(own(name="Kept"), count=1)
    broken.reset(0)
    for _ in range(2):
        broken.step(torch.zeros(1, dtype=torch.int64))
    with pytest.raises(WorkerError):
        broken.step(torch.zeros(1, dtype=torch.int64))
    assert whole.load_state_dict(broken.state_dict())[0, 1] == 0
    assert not whole.exact


def test_one_that_is_not_reproducible_is_told_of(made: Any) -> None:
    assert made(own(), count=1).check() == []
    (line,) = made(own("another"), count=1).check()
    assert "not reproducible" in line


def test_what_cannot_be_made_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no environment 'CartPol-v1'.*did you mean 'CartPole-v1'"):
        GymEnvironment(Maker(name="CartPol-v1"), count=1)
    with pytest.raises(RecipeError, match=r"cannot be made .*colour"):
        GymEnvironment(Maker(name="CartPole-v1", options={"colour": 1}), count=1)
    with pytest.raises(RecipeError, match="0 of them"):
        GymEnvironment(Maker(name="CartPole-v1"), count=0)
    with pytest.raises(RecipeError, match="is no Python file"):
        GymEnvironment(Maker(name="Walk", module=str(tmp_path / "none.py")), count=1)
    (tmp_path / "broken.py").write_text("1 / 0")
    with pytest.raises(RecipeError, match=r"cannot be run .ZeroDivisionError"):
        GymEnvironment(Maker(name="Walk", module=str(tmp_path / "broken.py")), count=1)
    with pytest.raises(WorkerError, match="neither Discrete, Box nor MultiBinary"):
        GymEnvironment(Maker(name="Blackjack-v1"), count=1)


@pytest.mark.parametrize("error", [ModuleNotFoundError, gymnasium.error.DependencyNotInstalled])
def test_one_that_needs_more_than_is_installed_says_so(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def make(*_: object, **__: object) -> None:
        raise error("No module named 'imageio'")

    monkeypatch.setattr(gymnasium, "make", make)
    with pytest.raises(RecipeError, match=r"imageio.*penstock\[environments,mujoco,atari\]"):
        Maker(name="CartPole-v1").make()


def test_a_state_of_other_environments_is_refused(made: Any) -> None:
    one, two = made(Maker(name="CartPole-v1"), count=1), made(Maker(name="CartPole-v1"), count=2)
    one.reset(0)
    with pytest.raises(CheckpointError, match="it holds 1 environments"):
        two.load_state_dict(one.state_dict())


def test_processes_end_with_what_started_them(made: Any) -> None:
    walk = made(own(), count=2, workers=2)
    assert isinstance(walk.group, Processes)
    processes = list(walk.group.processes)
    walk.reset(0)
    walk.close()
    assert all(process.poll() is not None for process in processes)
    with pytest.raises(WorkerError, match="were closed"):
        walk.step(torch.zeros(2, dtype=torch.int64))


def test_an_image_stays_bytes(made: Any) -> None:
    gymnasium.register("Picture-v0", Picture, max_episode_steps=5) if "Picture-v0" not in gymnasium.registry else None
    picture = made(Maker(name="Picture-v0"), count=2)
    assert picture.observation == Box((3, 2), 0.0, 255.0, torch.uint8)
    assert picture.reset(0).dtype == torch.uint8


class Picture(own_worlds.Walk):
    def __init__(self) -> None:
        super().__init__()
        self.observation_space = gymnasium.spaces.Box(0, 255, (3, 2), np.uint8)

    def seen(self) -> np.ndarray:
        return np.full((3, 2), 9, np.uint8)
