"""A world that is a tensor program of a user's own, tried out before anything is learned in it."""

from __future__ import annotations

import torch
from torch import Tensor

from penstock.core.errors import WorkerError
from penstock.rl.environment import Environment, Step

_MEND = "mend the environment"
_STEPS = 30


def trial(world: Environment) -> list[str]:
    """Act in it at random, twice with the same seed; returns what a user should know.

    Raises WorkerError with what was expected and what came, where something has another shape or type than the spaces
    promise, or is no number.
    """
    if all(map(torch.equal, _acted(world), _acted(world))):
        return []
    return ["it is not reproducible: the same seed and actions led elsewhere"]


def _acted(world: Environment) -> list[Tensor]:
    generator = torch.Generator(world.device).manual_seed(0)
    found = [_sound(world, "observation at reset", world.reset(0))]
    for number in range(1, _STEPS + 1):
        step = world.step(world.action.sample(world.count, generator))
        if not isinstance(step, Step):
            raise WorkerError("environment", f"step gave {type(step).__name__}, expected Step", _MEND)
        found += [_sound(world, f"{name} at step {number}", getattr(step, name)) for name in Step.__slots__]
    return found


def _sound(world: Environment, what: str, value: Tensor) -> Tensor:
    name, kind = what.split()[0], torch.bool
    shape: tuple[int, ...] = (world.count,)
    if name in ("observation", "final"):
        shape, kind = (world.count, *world.observation.shape), world.observation.dtype
    elif name == "reward":
        kind = torch.float32
    if value.shape != shape or value.dtype != kind:
        came = f"{tuple(value.shape)} of {value.dtype}"
        raise WorkerError("environment", f"its {what} is {came}, expected {shape} of {kind}", _MEND)
    if not value.isfinite().all():
        raise WorkerError("environment", f"its {what} is not finite", _MEND)
    if name in ("observation", "final") and not world.observation.contains(value).all():
        raise WorkerError("environment", f"its {what} is outside of {world.observation}", _MEND)
    return value.clone()
