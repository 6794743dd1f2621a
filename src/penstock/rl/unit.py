"""What one process steps: an environment of a foreign library, or a game of several agents, held to its word.

K agents, 1 of an environment. Nothing heavy is imported: worker processes run this.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import gymnasium
import numpy as np
from gymnasium import spaces

from penstock.core.errors import RecipeError, WorkerError

_MEND = "mend the environment"
_STEPS_OF_CHECK = 30
_FLAGS = (bool, np.bool_)


@runtime_checkable
class Restorable(Protocol):
    """What an environment of a user's own has besides, if it can be stopped in mid-episode and go on bit for bit.

    Its random numbers, where they come from the `self.np_random` of Gymnasium's, are saved for it.
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
    """What a step has led to for one agent; `begins` is what it sees first after that, where its episode has ended."""

    final: np.ndarray
    reward: float
    terminated: bool
    truncated: bool
    begins: np.ndarray | None


class Unit(ABC):
    """A world that begins anew by itself. Raises WorkerError where it does what it must not, or fails.

    Whether what a step has led to is finite is left to whoever asks, for it is cheaper to look at many at once.
    """

    agents: tuple[str, ...] = ()
    """The names of those who act in it together; none, where one acts alone."""

    def __init__(self, env: Any, limit: int | None, seen: Any, done: Any, *, name: str, number: int) -> None:
        self.env, self.limit = env, limit
        self._where, self.steps, self.age = f"environment {number}", 0, 0
        self.observation = form_of(f"{name}: observation", seen)
        self.action = form_of(f"{name}: action", done)
        self._space, self._actions = seen, done
        self.watched = False
        self.sight: str | np.ndarray | None = None
        """What it looks like after the last step, where it is watched."""

    @property
    def size(self) -> int:
        """K."""
        return max(len(self.agents), 1)

    @abstractmethod
    def reset(self, seed: int | None = None) -> list[np.ndarray]:
        """Begin an episode: the K first observations."""

    @abstractmethod
    def step(self, actions: np.ndarray) -> list[Answer]:
        """Act, (K, ...); where the episode ends, begin the next one. K answers."""

    @property
    def exact(self) -> bool:
        """Whether `state` can be asked for."""
        return isinstance(self.env.unwrapped, Restorable)

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """All that decides how it goes on, as JSON values."""

    @abstractmethod
    def load_state(self, state: dict[str, Any]) -> None:
        """Put it back."""

    def watch(self) -> None:
        """From now on `sight` is kept up."""
        self.watched = True

    def check(self, steps: int = _STEPS_OF_CHECK) -> list[str]:
        """Try it out, twice with the same seed; returns what a user should know. Raises WorkerError."""
        if self._trial(steps) != self._trial(steps):
            return ["it is not reproducible: the same seed and actions led elsewhere"]
        return []

    def not_finite(self, name: str) -> WorkerError:
        """What to raise where the last step led to what is no number."""
        return self.fault(f"its {name} is not finite at step {self.steps}")

    def fault(self, problem: str) -> WorkerError:
        """What to raise where it does what it must not."""
        return WorkerError(self._where, problem, _MEND)

    def begun(self, seed: int | None) -> Any:
        """What the first observations are, as the world itself gives them."""
        self.age = 0
        try:
            answer = self.env.reset(seed=seed)
        except Exception as error:
            raise self.fault(f"reset failed ({type(error).__name__}: {error})") from error
        if not isinstance(answer, tuple) or len(answer) != 2:
            raise self.fault(f"reset gave {_kind(answer)}, expected (observation, info)")
        if self.watched:
            self._look()
        return answer[0]

    def stepped(self, given: Any) -> tuple[Any, Any, Any, Any]:
        """Observation, reward, terminated and truncated, as the world itself gives them."""
        self.steps, self.age = self.steps + 1, self.age + 1
        try:
            answer = self.env.step(given)
        except Exception as error:
            raise self.fault(f"step {self.steps} failed ({type(error).__name__}: {error})") from error
        if not isinstance(answer, tuple) or len(answer) != 5:
            expected = "(observation, reward, terminated, truncated, info)"
            raise self.fault(f"step gave {_kind(answer)}, expected {expected}")
        if self.watched:
            self._look()
        return answer[:4]

    def again(self) -> list[np.ndarray]:
        """Begin the next episode, while the end of this one stays in sight."""
        sight = self.sight
        first = self.reset()
        self.sight = sight
        return first

    @property
    def late(self) -> bool:
        """Whether the episode is to be cut off."""
        return self.limit is not None and self.age >= self.limit

    def given(self, action: np.ndarray) -> Any:
        """An action as the world takes it."""
        return int(action) + self.action.first if self.action.choices is not None else action

    def sound(self, seen: Any, whose: str = "", *, resets: bool = False) -> np.ndarray:
        """What was seen, of the shape and type that was promised; in the beginning also finite."""
        array = np.array(seen)  # of its own: an environment may write to one and the same again
        space = self._space
        if array.shape != space.shape or (array.dtype != space.dtype and not self._fits(array)):
            what = f"its observation{whose} at {'reset' if resets else f'step {self.steps}'}"
            if array.shape != space.shape:
                raise self.fault(f"{what} has the shape {array.shape}, expected {space.shape}")
            raise self.fault(f"{what} is {array.dtype}, expected {space.dtype}")
        if resets and array.dtype.kind == "f" and not np.isfinite(array).all():
            raise self.fault(f"its observation{whose} is not finite at reset")
        return array - self.observation.first if self.observation.first else array

    def told(self, rest: Iterable[Any], whose: str = "") -> tuple[float, bool, bool]:
        """Reward, terminated and truncated, of the types that were promised."""
        reward, terminated, truncated = rest
        try:
            number = float(reward)
        except (TypeError, ValueError):
            problem = f"its reward{whose} at step {self.steps} is {_kind(reward)}, expected a number"
            raise self.fault(problem) from None
        if not isinstance(terminated, _FLAGS) or not isinstance(truncated, _FLAGS):
            kinds = f"{_kind(terminated)} and {_kind(truncated)}"
            problem = f"terminated and truncated{whose} at step {self.steps} are {kinds}, expected True or False"
            raise self.fault(problem)
        return number, bool(terminated), bool(truncated)

    def _fits(self, array: np.ndarray) -> bool:
        """Whole numbers may be of any type that holds them."""
        return self.observation.choices is not None and array.dtype.kind in "iu"

    def _look(self) -> None:
        try:
            sight = self.env.render()
        except gymnasium.error.DependencyNotInstalled as error:
            remedy = "install that, for example by: pip install 'penstock[play]'"
            raise RecipeError("play", f"to draw it, more is needed than is installed ({error})", remedy) from error
        except Exception as error:
            raise self.fault(f"render failed ({type(error).__name__}: {error})") from error
        if not isinstance(sight, str | np.ndarray):
            raise self.fault(f"render gave {_kind(sight)}, expected an array (H, W, 3) or a text")
        self.sight = sight

    def _trial(self, steps: int) -> list[list[float]]:
        self._actions.seed(0)
        found = [self._within(first, "reset").ravel().tolist() for first in self.reset(0)]
        for _ in range(steps):
            actions = np.stack([self._actions.sample() - self.action.first for _ in range(self.size)])
            for answer in self.step(actions):
                for name, value in (("observation", answer.final), ("reward", answer.reward)):
                    if not np.isfinite(value).all():
                        raise self.not_finite(name)
                self._within(answer.final, f"step {self.steps}")
                found.append([*answer.final.ravel().tolist(), answer.reward, answer.terminated, answer.truncated])
        return found

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
            raise self.fault(f"its observation at {when} has {seen[at]}{place}, expected within {bounds}")
        return seen


def _kind(value: Any) -> str:
    return f"{len(value)} values" if isinstance(value, tuple) else type(value).__name__
