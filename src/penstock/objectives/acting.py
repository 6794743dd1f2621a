"""Objectives that act, and learn from what comes of it. N environments, B examples."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.errors import DataError
from penstock.core.objective import Evaluation, Objective
from penstock.core.shared import rows

_MEASURED, _TOLD = ("return", "length"), ("value", "discounted")
"""Fields of episodes: those that all have, and those that tell whether too much was expected."""


class Acting(Objective):
    """Has a policy. Both ways of acting give "action" (N,) or (N, A) and, where it is known, "value" (N,), the return
    that the policy expects from there. `notes` are the names of what it notes of each batch for the log; `agents` those
    of the agents whose returns are told one by one."""

    notes: ClassVar[Sequence[str]] = ()
    agents: Sequence[str] = ()

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("last_notes", torch.zeros(len(self.notes)))  # in checkpoints: a resumed log is the same

    @torch.no_grad()
    def note(self, *found: Tensor) -> None:
        """One scalar for each of the names."""
        self.get_buffer("last_notes").copy_(torch.stack(found))

    def noted(self) -> dict[str, float]:
        """Of the last batch."""
        return dict(zip(self.notes, self.get_buffer("last_notes").tolist(), strict=True))

    @abstractmethod
    def act(self, observation: Tensor) -> dict[str, Tensor]:
        """What is done while learning, with whatever the objective will want to know of it again."""

    @abstractmethod
    def best(self, observation: Tensor) -> dict[str, Tensor]:
        """What is done when it counts: nothing is tried out, and nothing left to chance."""

    def evaluate(self, source: Iterable[Batch]) -> Evaluation:
        """Of played episodes, with fields "return" and "length" (B,): their means and the return's deviation.

        Where the episodes tell the "value" (B,) expected at their beginning and the "discounted" return (B,) that came,
        also the mean of each, and what was expected too much. Of `agents` also the mean of each "return_NAME" (B,).
        Records: the fields.
        """
        agents = [f"return_{name}" for name in self.agents]
        names = (*_MEASURED, *_TOLD, *agents)
        found = rows(source, lambda batch: tuple(_field(batch, name) for name in names))
        if not found:
            raise DataError("evaluation", "no episode was played", "play at least one")
        joined = [torch.cat(parts).double().cpu() for parts in zip(*found, strict=True)]
        records = dict(zip(names, joined, strict=True))
        if any(records[name].isnan().any() for name in _TOLD):
            records = {name: records[name] for name in (*_MEASURED, *agents)}
        gain, length = records["return"], records["length"]
        metrics = {
            "return": float(gain.mean()),
            "return_deviation": float(gain.std(correction=0)),
            "episode_length": float(length.mean()),
        }
        if "value" in records:
            expected, came = float(records["value"].mean()), float(records["discounted"].mean())
            metrics |= {"expected": expected, "discounted": came, "overestimation": expected - came}
        metrics |= {name: float(records[name].mean()) for name in agents}
        return Evaluation(metrics, records)


def _field(batch: Batch, name: str) -> Tensor:
    """Of B episodes, (B,); not a number where they do not have it."""
    return batch[name] if name in batch else torch.full_like(batch["return"], torch.nan)
