"""One environment of Gymnasium's kind, held to its word: shapes, types, five answers, numbers that are finite.

Nothing heavy is imported: worker processes run this.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, final, runtime_checkable

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs import classic_control

from penstock.core.errors import RecipeError, WorkerError
from penstock.rl.maker import Maker

_MEND = "mend the environment"
_STEPS_OF_CHECK = 30
_FLAGS = (bool, np.bool_)


@runtime_checkable
class Restorable(Protocol):
    """What an environment of a user's own has besides, if it can be stopped in mid-episode and go on bit for bit.

    Its random numbers, where they come from `self.np_random`, are saved for it.
    """

    def state_dict(self) -> dict[str, Any]:
        """All that decides how it goes on, as JSON values."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put it back."""


class Form(NamedTuple):
    """A space as JSON values: a number of `choices`, the first being `first`; or numbers within bounds."""

    choices: int | None
    first: int
    shape: tuple[int, ...]
    low: float | list[float]
    high: float | list[float]
    dtype: str
    """Of the tensors that hold it."""


def form_of(where: str, space: Any) -> Form:
    """Raises WorkerError where a space is of no kind that a network can take or give."""
    if isinstance(space, spaces.Discrete):
        return Form(int(space.n), int(space.start), (), 0.0, 0.0, "int64")
    if isinstance(space, spaces.MultiBinary):
        return Form(None, 0, tuple(space.shape), 0.0, 1.0, "float32")
    if isinstance(space, spaces.Box):
        low, high = (bound.astype(np.float64) for bound in (space.low, space.high))
        alike = low.size == 0 or ((low == low.flat[0]).all() and (high == high.flat[0]).all())
        bounds = [float(b.flat[0]) if alike and b.size else b.flatten().tolist() for b in (low, high)]
        kind = "uint8" if space.dtype == np.uint8 else "float32"
        return Form(None, 0, tuple(space.shape), bounds[0], bounds[1], kind)
    remedy = "wrap it, for example in gymnasium.wrappers.FlattenObservation"
    raise WorkerError(where, f"its space {space} is neither Discrete, Box nor MultiBinary", remedy)


class Answer(NamedTuple):
    """What a step has led to; `begins` is what is seen first in the next episode, where this one has ended."""

    final: np.ndarray
    reward: float
    terminated: bool
    truncated: bool
    begins: np.ndarray | None


@final
class Single:
    """An environment that begins anew by itself. Raises WorkerError where it does what it must not, or fails.

    Whether what a step has led to is finite is left to whoever asks, for it is cheaper to look at many at once.
    """

    def __init__(self, maker: Maker, number: int) -> None:
        self._where, self._steps, self._age = f"environment {number}", 0, 0
        self.env, self.limit = maker.make()
        self.observation = form_of(f"{maker.name}: observation", self.env.observation_space)
        self.action = form_of(f"{maker.name}: action", self.env.action_space)
        self._shape, self._dtype = self.env.observation_space.shape, self.env.observation_space.dtype
        self._space, self._whole = self.env.observation_space, self.action.choices is not None
        self.watched = False
        self.sight: str | np.ndarray | None = None
        """What it looks like after the last step, where it is watched."""

    def reset(self, seed: int | None = None) -> np.ndarray:
        """Begin an episode: the first observation."""
        self._age = 0
        try:
            answer = self.env.reset(seed=seed)
        except Exception as error:
            raise self._fault(f"reset failed ({type(error).__name__}: {error})") from error
        if not isinstance(answer, tuple) or len(answer) != 2:
            raise self._fault(f"reset gave {_kind(answer)}, expected (observation, info)")
        if self.watched:
            self._look()
        return self._sound(answer[0], resets=True)

    def step(self, action: np.ndarray) -> Answer:
        """Act; where the episode ends, begin the next one."""
        self._steps, self._age = self._steps + 1, self._age + 1
        given = int(action) + self.action.first if self._whole else action
        try:
            answer = self.env.step(given)
        except Exception as error:
            raise self._fault(f"step {self._steps} failed ({type(error).__name__}: {error})") from error
        if not isinstance(answer, tuple) or len(answer) != 5:
            expected = "(observation, reward, terminated, truncated, info)"
            raise self._fault(f"step gave {_kind(answer)}, expected {expected}")
        seen, reward, terminated, truncated, _ = answer
        final = self._sound(seen)
        try:
            number = float(reward)
        except (TypeError, ValueError):
            raise self._fault(f"its reward at step {self._steps} is {_kind(reward)}, expected a number") from None
        if not isinstance(terminated, _FLAGS) or not isinstance(truncated, _FLAGS):
            kinds = f"terminated and truncated at step {self._steps} are {_kind(terminated)} and {_kind(truncated)}"
            raise self._fault(f"{kinds}, expected True or False")
        ended, cut = bool(terminated), bool(truncated) or (self.limit is not None and self._age >= self.limit)
        if self.watched:
            self._look()
        sight, begins = self.sight, self.reset() if ended or cut else None
        self.sight = sight  # the end of an episode is seen, not the beginning of the next
        return Answer(final, number, ended, cut, begins)

    @property
    def exact(self) -> bool:
        """Whether `state` can be asked for."""
        return isinstance(self.env.unwrapped, (Restorable, *_CLASSIC))

    def state(self) -> dict[str, Any]:
        """All that decides how it goes on, as JSON values."""
        world = self.env.unwrapped
        own = world.state_dict() if isinstance(world, Restorable) else _state_of_classic(world)
        random = world.np_random.bit_generator.state
        return {"own": own, "random": random, "age": self._age, "steps": self._steps}

    def load_state(self, state: dict[str, Any]) -> None:
        """Put it back."""
        self.reset()  # wrappers want to see that
        world = self.env.unwrapped
        if isinstance(world, Restorable):
            world.load_state_dict(state["own"])
        else:
            _load_classic(world, state["own"])
        world.np_random.bit_generator.state = state["random"]
        self._age, self._steps = state["age"], state["steps"]

    def watch(self) -> None:
        """From now on `sight` is kept up."""
        self.watched = True

    def _look(self) -> None:
        try:
            sight = self.env.render()
        except gymnasium.error.DependencyNotInstalled as error:
            remedy = "install that, for example by: pip install 'penstock[play]'"
            raise RecipeError("play", f"to draw it, more is needed than is installed ({error})", remedy) from error
        except Exception as error:
            raise self._fault(f"render failed ({type(error).__name__}: {error})") from error
        if not isinstance(sight, str | np.ndarray):
            raise self._fault(f"render gave {_kind(sight)}, expected an array (H, W, 3) or a text")
        self.sight = sight

    def check(self, steps: int = _STEPS_OF_CHECK) -> list[str]:
        """Try it out, twice with the same seed; returns what a user should know. Raises WorkerError."""
        if self._trial(steps) != self._trial(steps):
            return ["it is not reproducible: the same seed and actions led elsewhere"]
        return []

    def _trial(self, steps: int) -> list[list[float]]:
        self.env.action_space.seed(0)
        found = [self._within(self.reset(0), "reset").ravel().tolist()]
        for _ in range(steps):
            action = self.env.action_space.sample()
            answer = self.step(np.asarray(action - self.action.first if self._whole else action))
            for name, value in (("observation", answer.final), ("reward", answer.reward)):
                if not np.isfinite(value).all():
                    raise self.not_finite(name)
            self._within(answer.final, f"step {self._steps}")
            found.append([*answer.final.ravel().tolist(), answer.reward, answer.terminated, answer.truncated])
        return found

    def not_finite(self, name: str) -> WorkerError:
        """What to raise where the last step led to what is no number."""
        return self._fault(f"its {name} is not finite at step {self._steps}")

    def _sound(self, seen: Any, *, resets: bool = False) -> np.ndarray:
        """What was seen, of the shape and type that was promised; in the beginning also finite."""
        array = np.array(seen)  # of its own: an environment may write to one and the same again
        if array.shape != self._shape or (array.dtype != self._dtype and not self._fits(array)):
            when = "reset" if resets else f"step {self._steps}"
            if array.shape != self._shape:
                raise self._fault(f"its observation at {when} has the shape {array.shape}, expected {self._shape}")
            raise self._fault(f"its observation at {when} is {array.dtype}, expected {self._dtype}")
        if resets and array.dtype.kind == "f" and not np.isfinite(array).all():
            raise self._fault("its observation is not finite at reset")
        return array - self.observation.first if self.observation.first else array

    def _fits(self, array: np.ndarray) -> bool:
        """Whole numbers may be of any type that holds them."""
        return self.observation.choices is not None and array.dtype.kind in "iu"

    def _within(self, seen: np.ndarray, when: str) -> np.ndarray:
        """What was seen, within the bounds that were promised."""
        if self.observation.choices is not None:
            low, high = np.asarray(0), np.asarray(self.observation.choices - 1)
        elif isinstance(self._space, spaces.Box):
            low, high = self._space.low, self._space.high
        else:
            low, high = np.asarray(0), np.asarray(1)
        outside = (seen < low) | (seen > high)
        if outside.any():
            at = tuple(int(axis[0]) for axis in outside.nonzero())
            bounds = f"[{np.broadcast_to(low, seen.shape)[at]}, {np.broadcast_to(high, seen.shape)[at]}]"
            place = f" at {list(at)}" if at else ""
            raise self._fault(f"its observation at {when} has {seen[at]}{place}, expected within {bounds}")
        return seen

    def _fault(self, problem: str) -> WorkerError:
        return WorkerError(self._where, problem, _MEND)


def _kind(value: Any) -> str:
    return f"{len(value)} values" if isinstance(value, tuple) else type(value).__name__


_CLASSIC = (
    classic_control.CartPoleEnv,
    classic_control.PendulumEnv,
    classic_control.MountainCarEnv,
    classic_control.Continuous_MountainCarEnv,
    classic_control.AcrobotEnv,
)
"""Gymnasium's own whose `state` is all there is to them."""


def _state_of_classic(world: Any) -> dict[str, Any]:
    array = np.asarray(world.state)
    return {"state": array.tolist(), "dtype": str(array.dtype)}


def _load_classic(world: Any, state: dict[str, Any]) -> None:
    world.state = np.array(state["state"], dtype=state["dtype"])
