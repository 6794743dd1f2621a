"""Losses and gradients watched for numbers that are not finite, and summed up for the log."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from penstock.core.errors import NumericError
from penstock.core.objective import Update
from penstock.engine.role import Role

REMEDY = "lower optim.lr, clip gradients with clip_norm, or look for extreme values in the data"


class Health(ABC):
    """Stands between gradients and updates. The sums it keeps are part of a checkpoint."""

    @abstractmethod
    def watch_loss(self, update: Update, step: int) -> None:
        """Take note of a loss, before its backward pass."""

    def start(self, update: Update) -> Tensor:
        """What the backward pass of a loss is to start from."""
        return update.loss

    @abstractmethod
    def take(self, role: Role, norm: Tensor, clip_norm: float | None, clip_value: float | None, step: int) -> None:
        """Clip the gradient and take the update, unless the gradient, whose norm is given, is not finite."""

    def note(self, role: str, loss: float, weight: float, norm: float) -> None:
        """Take note of the loss and the gradient norm of an update that was taken elsewhere, and was finite."""
        raise NotImplementedError(f"{type(self).__name__} takes its updates itself")

    @abstractmethod
    def forget(self) -> None:
        """Drop what was noted of losses whose update was not taken: their step is made again."""

    @abstractmethod
    def summary(self) -> dict[str, float]:
        """Mean losses and the last gradient norms since the last summary. Raises NumericError where a step was bad."""

    @abstractmethod
    def check(self) -> None:
        """Raises NumericError where a step was bad and nobody has said so yet."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """What has been summed since the last summary, as JSON values."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` gave."""


class PromptHealth(Health):
    """Reads every number as it comes: free where the processor itself computes. A bad step ends the run at once."""

    def __init__(self, *, alone: bool) -> None:
        self._alone = alone
        self._total, self._weight = 0.0, 0.0  # of the update to come
        self._losses: dict[str, list[float]] = {}
        self._norms: dict[str, float] = {}

    def watch_loss(self, update: Update, step: int) -> None:
        """Raises NumericError for a loss that is not finite."""
        value = update.loss.item()
        if not math.isfinite(value):
            raise NumericError(f"step {step}", f"the loss of role {update.role!r} is {value}", REMEDY)
        self._total += value * update.weight
        self._weight += update.weight

    def take(self, role: Role, norm: Tensor, clip_norm: float | None, clip_value: float | None, step: int) -> None:
        """Raises NumericError, naming the first bad parameter, before anything moves."""
        value = norm.item()
        if not math.isfinite(value):
            raise _bad_gradient(role, step)
        if clip_norm is not None and value > clip_norm:
            role.flat.gradient.mul_(clip_norm / (value + 1e-6))
        if clip_value is not None:
            role.flat.gradient.clamp_(-clip_value, clip_value)
        role.update()
        self._add(role.name, self._total, self._weight)
        self._total, self._weight, self._norms[role.name] = 0.0, 0.0, value

    def forget(self) -> None:
        """Drop the losses of an update that was not taken."""
        self._total, self._weight = 0.0, 0.0

    def note(self, role: str, loss: float, weight: float, norm: float) -> None:
        """Add to the sums."""
        self._add(role, loss * weight, weight)
        self._norms[role] = norm

    def _add(self, role: str, total: float, weight: float) -> None:
        sums = self._losses.setdefault(role, [0.0, 0.0])
        sums[0] += total
        sums[1] += weight

    def summary(self) -> dict[str, float]:
        """Mean losses and last norms by role."""
        means = {role: total / weight for role, (total, weight) in self._losses.items()}
        found = named_by_role(means, self._norms, self._alone)
        self._losses = {}
        return found

    def check(self) -> None:
        """Nothing is left unsaid."""

    def state_dict(self) -> dict[str, Any]:
        """Sums and norms."""
        return {"losses": self._losses, "norms": self._norms}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back sums and norms."""
        self._losses = {role: list(sums) for role, sums in state["losses"].items()}
        self._norms = dict(state["norms"])


class LatchedHealth(Health):
    """Reads numbers only at a summary: in between the device decides by itself to skip a bad update.

    From the first bad step on nothing moves, and the next summary ends the run.
    """

    def __init__(self, device: torch.device, *, alone: bool) -> None:
        self._device, self._alone = device, alone
        self._sums = torch.float32 if device.type == "mps" else torch.float64  # mps has no float64
        self._roles: dict[str, Role] = {}
        self._first_bad = torch.tensor(-1, dtype=torch.int64, device=device)
        self._is_bad = torch.tensor(False, device=device)
        self._pending: list[tuple[Tensor, float]] = []
        self._losses: dict[str, Tensor] = {}
        self._weights: dict[str, float] = {}
        self._norms: dict[str, Tensor] = {}

    def watch_loss(self, update: Update, step: int) -> None:
        """Keep it for the update to come."""
        self._pending.append((update.loss.detach().to(self._sums), update.weight))

    def take(self, role: Role, norm: Tensor, clip_norm: float | None, clip_value: float | None, step: int) -> None:
        """Update unless this step, or one before it, was bad."""
        bad = self._is_bad | ~torch.isfinite(norm)
        for loss, weight in self._pending:
            bad = bad | ~torch.isfinite(loss)
            self._add(role.name, loss, weight)
        self._pending.clear()
        self._first_bad = torch.where(bad & (self._first_bad < 0), step, self._first_bad)
        self._is_bad = bad
        if clip_norm is not None:
            role.flat.gradient.mul_((clip_norm / (norm + 1e-6)).clamp_(max=1.0))
        if clip_value is not None:
            role.flat.gradient.clamp_(-clip_value, clip_value)
        role.update_unless(bad)
        self._norms[role.name], self._roles[role.name] = norm, role

    def forget(self) -> None:
        """Drop the losses of an update that was not taken."""
        self._pending.clear()

    def note(self, role: str, loss: float, weight: float, norm: float) -> None:
        """Add to the sums."""
        self._add(role, torch.tensor(loss, dtype=self._sums, device=self._device), weight)
        self._norms[role] = torch.tensor(norm, device=self._device)

    def _add(self, role: str, loss: Tensor, weight: float) -> None:
        scaled = loss * weight
        self._losses[role] = self._losses[role] + scaled if role in self._losses else scaled
        self._weights[role] = self._weights.get(role, 0.0) + weight

    def summary(self) -> dict[str, float]:
        """The one place where the device is waited for."""
        self.check()
        means = {role: total.item() / self._weights[role] for role, total in self._losses.items()}
        self._losses, self._weights = {}, {}
        return named_by_role(means, {role: float(norm.item()) for role, norm in self._norms.items()}, self._alone)

    def check(self) -> None:
        """Raises NumericError where a step was bad."""
        step = int(self._first_bad.item())
        if step >= 0:  # nothing has moved since: the gradient of the latest step is bad in the same place
            for role in self._roles.values():
                if role.first_bad_parameter() is not None:
                    raise _bad_gradient(role, step)
            raise NumericError(f"step {step}", "the loss or a gradient is not finite", REMEDY)

    def state_dict(self) -> dict[str, Any]:
        """Sums and norms, read from the device. Raises NumericError where a step was bad: no such state is saved."""
        self.check()
        losses = {role: [total.item(), self._weights[role]] for role, total in self._losses.items()}
        return {"losses": losses, "norms": {role: float(norm.item()) for role, norm in self._norms.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put sums and norms back on the device."""
        self._losses = {
            role: torch.tensor(total, dtype=self._sums, device=self._device)
            for role, (total, _) in state["losses"].items()
        }
        self._weights = {role: weight for role, (_, weight) in state["losses"].items()}
        self._norms = {role: torch.tensor(norm, device=self._device) for role, norm in state["norms"].items()}


def named_by_role(losses: dict[str, float], norms: dict[str, float], alone: bool) -> dict[str, float]:
    """`loss` and `norm` where the objective has one role, `generator_loss` and so on where it has more."""

    def key(role: str, what: str) -> str:
        return what if alone else f"{role}_{what}"

    return {key(role, "loss"): loss for role, loss in losses.items()} | {
        key(role, "norm"): norm for role, norm in norms.items()
    }


def _bad_gradient(role: Role, step: int) -> NumericError:
    name = role.first_bad_parameter()
    found = f"the gradient of {name!r} is not finite" if name else "the norm of the gradient is beyond float32"
    return NumericError(f"step {step}", f"{found} (role {role.name!r})", REMEDY)
