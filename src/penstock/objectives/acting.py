"""Objectives that act, and learn from what comes of it. N environments, B examples."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.errors import DataError
from penstock.core.objective import Evaluation, Objective
from penstock.core.shared import rows


class Acting(Objective):
    """Has a policy. Both ways of acting give "action" (N,) or (N, A) and, where it is known, "value" (N,), the return
    that the policy expects from there."""

    @abstractmethod
    def act(self, observation: Tensor) -> dict[str, Tensor]:
        """What is done while learning, with whatever the objective will want to know of it again."""

    @abstractmethod
    def best(self, observation: Tensor) -> dict[str, Tensor]:
        """What is done when it counts: nothing is tried out, and nothing left to chance."""

    def evaluate(self, source: Iterable[Batch]) -> Evaluation:
        """Of played episodes, with fields "return" and "length" (B,): their means and the return's deviation.

        Where the episodes tell the "value" (B,) expected at their beginning and the "discounted" return (B,) that came,
        also the mean of each, and what was expected too much. Records: the fields.
        """
        names = ("return", "length", "value", "discounted")
        found = rows(source, lambda batch: tuple(batch[name] for name in names if name in batch))
        if not found:
            raise DataError("evaluation", "no episode was played", "play at least one")
        joined = [torch.cat(parts).double().cpu() for parts in zip(*found, strict=True)]
        records = dict(zip(names, joined, strict=False))
        gain, length = records["return"], records["length"]
        metrics = {
            "return": float(gain.mean()),
            "return_deviation": float(gain.std(correction=0)),
            "episode_length": float(length.mean()),
        }
        if "value" in records:
            expected, came = float(records["value"].mean()), float(records["discounted"].mean())
            metrics |= {"expected": expected, "discounted": came, "overestimation": expected - came}
        return Evaluation(metrics, records)
