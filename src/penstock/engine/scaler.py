"""Training in float16: losses scaled up before the backward pass, gradients down after it, overflows skipped."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from penstock.core.errors import NumericError
from penstock.core.objective import Update
from penstock.engine.health import Health, named_by_role
from penstock.engine.role import Role

FIRST_SCALE = 2.0**16
SMALLEST, LARGEST = 2.0**-14, 2.0**40
"""Bounds of the scale. Below float16's own smallest normal number a scale would silence what it is to rescue."""
GROWTH_UPDATES = 2000
"""So many updates in a row without an overflow double the scale."""
MOST_SKIPPED = 20
"""So many skipped updates in a row end the run: by then the scale has shrunk a millionfold."""
REMEDY = "train with --precision bf16 or float32, lower optim.lr, or look for extreme values in the data"


@dataclass
class _Scale:
    """One role's loss scale and counters, as scalars on the device."""

    scale: Tensor
    good: Tensor
    bad: Tensor
    skipped: Tensor
    total: Tensor
    weight: Tensor
    loss: Tensor
    """One of the latest update that was not finite, else 0."""
    norm: Tensor
    pending: list[tuple[Tensor, float]] = field(default_factory=list)


class ScaledHealth(Health):
    """Dynamic loss scaling (Micikevicius et al. 2018, "Mixed precision training", section 3.2), one scale a role.

    The scale halves with an update whose loss or gradient is not finite, which is skipped: weights, optimizer state and
    the count of updates stay. It doubles after `GROWTH_UPDATES` others. All is decided on the device; numbers are read
    at a summary, and where `MOST_SKIPPED` updates in a row were skipped, nothing moves until that ends the run.
    """

    def __init__(self, device: torch.device, *, alone: bool) -> None:
        self._device, self._alone = device, alone
        self._sums = torch.float32 if device.type == "mps" else torch.float64  # mps has no float64
        self._scales: dict[str, _Scale] = {}
        self._roles: dict[str, Role] = {}
        self._first_bad = torch.tensor(-1, dtype=torch.int64, device=device)
        self._any_skipped = torch.tensor(False, device=device)

    def watch_loss(self, update: Update, step: int) -> None:
        """Keep it for the update to come."""
        self._of(update.role).pending.append((update.loss.detach().to(self._sums), update.weight))

    def start(self, update: Update) -> Tensor:
        """The loss times the scale; one that is not finite makes every gradient so, on all ranks that sum them."""
        finite = torch.isfinite(update.loss.detach())
        return update.loss * torch.where(finite, self._of(update.role).scale, math.nan)

    def _of(self, role: str) -> _Scale:
        kept = self._scales.get(role)
        if kept is None:
            kept = self._scales[role] = self._new()
        return kept

    def take(self, role: Role, norm: Tensor, clip_norm: float | None, clip_value: float | None, step: int) -> None:
        """Scale the gradient down, clip it, and update unless it overflowed."""
        kept, self._roles[role.name] = self._scales[role.name], role
        ended, overflow = self._first_bad >= 0, ~torch.isfinite(norm)
        worst = torch.zeros_like(kept.loss)
        for loss, weight in kept.pending:
            fine = torch.isfinite(loss)
            kept.total = kept.total + torch.where(fine, loss * weight, 0.0)
            kept.weight = kept.weight + fine * weight
            worst = torch.where(fine, worst, loss)
        kept.pending.clear()
        kept.loss = torch.where(ended, kept.loss, worst)
        role.flat.gradient.div_(kept.scale)  # a power of two: exact
        norm = norm / kept.scale
        if clip_norm is not None:
            role.flat.gradient.mul_((clip_norm / (norm + 1e-6)).clamp_(max=1.0))
        if clip_value is not None:
            role.flat.gradient.clamp_(-clip_value, clip_value)
        if not isinstance(role.updates, Tensor):
            role.updates = torch.tensor(float(role.updates), dtype=self._sums, device=self._device)
        role.update_unless(overflow | ended)
        self._any_skipped = self._any_skipped | overflow | ended
        self._adapt(kept, overflow, ended, step)
        kept.norm = torch.where(overflow, kept.norm, norm.to(kept.norm.dtype))

    def _adapt(self, kept: _Scale, overflow: Tensor, ended: Tensor, step: int) -> None:
        """The scale and the counters after an update; those that explain the end of the run stay."""
        good = torch.where(overflow, 0, kept.good + 1)
        grows = good >= GROWTH_UPDATES
        factor = torch.where(overflow, 0.5, 1.0) * torch.where(grows, 2.0, 1.0)
        kept.scale = (kept.scale * factor).clamp_(SMALLEST, LARGEST)
        kept.good = torch.where(grows, 0, good)
        kept.bad = torch.where(ended, kept.bad, torch.where(overflow, kept.bad + 1, 0))
        kept.skipped = kept.skipped + overflow
        self._first_bad = torch.where((kept.bad >= MOST_SKIPPED) & ~ended, step, self._first_bad)

    def put_back(self, buffers: list[Tensor], before: list[Tensor]) -> None:
        """Give buffers (batch statistics) their values from before the step where an update of it was skipped."""
        for buffer, old in zip(buffers, before, strict=True):
            buffer.copy_(torch.where(self._any_skipped, old, buffer))
        self._any_skipped = torch.zeros_like(self._any_skipped)

    def forget(self) -> None:
        """Drop the losses of updates that were not taken."""
        for kept in self._scales.values():
            kept.pending.clear()

    def summary(self) -> dict[str, float]:
        """Mean losses, the last finite norms, the scale, and how many updates were skipped since the last summary."""
        self.check()
        means = {name: kept.total.item() / kept.weight.item() for name, kept in self._scales.items() if kept.weight > 0}
        norms = {name: kept.norm.item() for name, kept in self._scales.items()}
        found = named_by_role(means, norms, self._alone)
        for name, kept in self._scales.items():
            before = "" if self._alone else f"{name}_"
            found |= {f"{before}scale": kept.scale.item(), f"{before}skipped": int(kept.skipped.item())}
            kept.total, kept.weight = torch.zeros_like(kept.total), torch.zeros_like(kept.weight)
            kept.skipped = torch.zeros_like(kept.skipped)
        return found

    def check(self) -> None:
        """Raises NumericError where too many updates in a row were skipped."""
        step = int(self._first_bad.item())
        if step < 0:
            return
        name, kept = next((n, k) for n, k in self._scales.items() if k.bad >= MOST_SKIPPED)
        loss, parameter = kept.loss.item(), self._roles[name].first_bad_parameter()
        what = f"the loss of role {name!r} is {loss}" if not math.isfinite(loss) else f"role {name!r} overflows float16"
        where = f" in the gradient of {parameter!r}" if math.isfinite(loss) and parameter else ""
        raise NumericError(f"step {step}", f"{what}{where} for the {MOST_SKIPPED}th update in a row", REMEDY)

    def state_dict(self) -> dict[str, Any]:
        """Scales, counters, sums and norms, read from the device. Raises NumericError as `check` does."""
        self.check()
        names = ("scale", "good", "bad", "skipped", "total", "weight", "norm")
        return {role: {name: getattr(kept, name).item() for name in names} for role, kept in self._scales.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put them back on the device."""
        self._scales = {role: self._new() for role in state}
        for role, saved in state.items():
            for name, value in saved.items():
                getattr(self._scales[role], name).fill_(value)

    def _new(self) -> _Scale:
        def scalar(value: float, dtype: torch.dtype) -> Tensor:
            return torch.tensor(value, dtype=dtype, device=self._device)

        return _Scale(
            scale=scalar(FIRST_SCALE, torch.float32),
            good=scalar(0, torch.int64),
            bad=scalar(0, torch.int64),
            skipped=scalar(0, torch.int64),
            total=scalar(0.0, self._sums),
            weight=scalar(0.0, self._sums),
            loss=scalar(0.0, self._sums),
            norm=scalar(0.0, torch.float32),
        )
