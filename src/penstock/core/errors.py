"""One line of error each: where, what is wrong, what to do; and the exit code that goes with it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any


class PenstockError(Exception):
    """An error that the user can act on.

    Its text is one line, ``where: problem; remedy``. `code` is the exit status of the command line.
    """

    code = 1
    told = False
    """True where another process of the same run says it."""

    def __init__(self, where: object, problem: str, remedy: str) -> None:
        self.where, self.problem, self.remedy = str(where), problem, remedy
        super().__init__(harmless(" ".join(f"{where}: {problem}; {remedy}".split())))

    def __reduce__(self) -> tuple[Any, ...]:
        """Worker processes send their errors home."""
        return type(self), (self.where, self.problem, self.remedy)


class RecipeError(PenstockError):
    """A recipe, a flag or a model that does not fit the data."""

    code = 2


class DataError(PenstockError):
    """Data that cannot be read or used as it stands."""

    code = 3


class CheckpointError(PenstockError):
    """A checkpoint or model file that cannot be trusted or does not fit."""

    code = 4


class NumericError(PenstockError):
    """A loss or a gradient that is not finite."""

    code = 5


class ResourceError(PenstockError):
    """Too little memory or disk."""

    code = 6


class WorkerError(PenstockError):
    """A worker process, or a part of the environment, that failed."""

    code = 7


class Interrupted(PenstockError):
    """A signal asked to stop; what was reached has been saved. The exit code is 128 + the signal's number."""

    def __init__(self, signal: int, where: object, problem: str, remedy: str) -> None:
        super().__init__(where, problem, remedy)
        self.signal, self.code = signal, 128 + signal

    def __reduce__(self) -> tuple[Any, ...]:
        """With the signal, which its constructor asks for."""
        return type(self), (self.signal, self.where, self.problem, self.remedy)


def described(error: Exception, rank: int) -> dict[str, Any]:
    """An error of a rank as JSON values."""
    if not isinstance(error, PenstockError):
        said = " ".join(str(error).split())[:300]
        error = PenstockError(f"rank {rank}", f"{type(error).__name__}: {said}", "see what it said")
    texts = {"where": error.where, "problem": error.problem, "remedy": error.remedy}
    return {"rank": rank, "type": type(error).__name__, "code": error.code, **texts}


def told_elsewhere(said: Mapping[str, Any]) -> PenstockError:
    """The error that another rank has described, and will say."""
    texts = said["where"], said["problem"], said["remedy"]
    kinds = {kind.__name__: kind for kind in PenstockError.__subclasses__() if kind is not Interrupted}
    interrupted = said["type"] == Interrupted.__name__
    error = Interrupted(said["code"] - 128, *texts) if interrupted else kinds.get(said["type"], PenstockError)(*texts)
    error.code, error.told = said["code"], True
    return error


def harmless(text: str) -> str:
    """The text with control characters spelt out: what stands in a file must not steer a terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def suggest(given: str, options: Iterable[str]) -> str:
    """What to say to someone who wrote `given` where only `options` exist: the nearest, or the whole list."""
    names = list(options)
    folded = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(given.casefold(), folded, n=1, cutoff=0.6)
    if near:
        return f"did you mean {folded[near[0]]!r}?"
    listed = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return f"choose one of: {listed}" if names else "there is none to choose from"
