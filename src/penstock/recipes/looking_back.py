"""How far back the gradients of a trained network over sequences reach, for the report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from penstock.core.batch import Batch
from penstock.models.horizon import gradients_through_time, horizon
from penstock.models.trunk import Trunk

FEW = 16
"""Sequences that are looked at."""


def look_back(network: nn.Module, inputs: Sequence[str], source: Iterable[Batch]) -> dict[str, Any]:
    """The report's "memory": sizes of gradients by distance, and the distance that they reach.

    The first trunk of the network counts. Nothing, where there is none, or no sequence of 3 steps and more.
    """
    trunk = next((module for module in network.modules() if isinstance(module, Trunk)), None)
    if trunk is None:
        return {}
    given: list[tuple[Tensor, Tensor | None]] = []

    def note(_: nn.Module, taken: tuple[Any, ...], named: dict[str, Any], __: object) -> None:
        x, *rest = taken
        given.append((x, rest[0] if rest else named.get("lengths")))

    hook = trunk.register_forward_hook(note, with_kwargs=True)
    training = network.training
    try:
        with torch.no_grad():
            for batch in islice(source, 1):
                network.eval()(*[batch[name][:FEW] for name in inputs])
    finally:
        hook.remove()
        network.train(training)
    if not given or given[0][0].shape[1] < 3:
        return {}
    norms = gradients_through_time(trunk, *given[0])
    found = norms[~norms.isnan()].tolist()
    return {"memory": {"norms": found, "horizon": horizon(norms), "steps": given[0][0].shape[1]}}
