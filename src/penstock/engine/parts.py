"""What each rank has of its own, in checkpoints and in evaluations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.errors import CheckpointError
from penstock.core.objective import Evaluation, Objective
from penstock.core.random import derive, random_state, restore_random_state, seed_all
from penstock.core.ranks import Ranks
from penstock.core.shared import Shared
from penstock.core.tensors import under
from penstock.data.sources import InOrder
from penstock.engine.ahead import Ahead
from penstock.engine.clock import Clock

_KEPT = "source."
"""What the names of a source's tensors begin with, among those of a rank."""


def parts_of_all(ranks: Ranks, source: Ahead) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """Random state, and the source's position and tensors, of every rank, as groups of tensors and JSON values.

    The first rank's stand where one process alone has its own; the values of the others are a list, "others".
    """
    tensors, random = random_state()
    tensors |= {f"{_KEPT}{name}": tensor for name, tensor in source.tensors().items()}
    values = ranks.gather({"random": random, "source": source.state_dict()})
    groups = {_group(rank): own for rank, own in enumerate(ranks.gather_tensors(tensors))}
    return groups, values[0] | ({"others": values[1:]} if ranks.size > 1 else {})


def take_part(
    ranks: Ranks, source: Ahead, groups: Mapping[str, dict[str, Tensor]], state: Mapping[str, Any], seed: int
) -> None:
    """Put back what `parts_of_all` gave.

    A rank that was not there gets random numbers of its own and the position that all had. Raises CheckpointError where
    that was not the same for all: such a source needs as many ranks as there were.
    """
    parts = [state, *state.get("others", ())]
    if len(parts) != ranks.size and any(part["source"] != state["source"] for part in parts):
        problem = (
            f"written by {len(parts)} processes, each at a place of its own in the data; now there are {ranks.size}"
        )
        raise CheckpointError("checkpoint", problem, f"resume with {len(parts)} processes")
    if ranks.rank < len(parts):
        part = parts[ranks.rank]
        own = groups.get(_group(ranks.rank), {})
        source.load_state_dict(part["source"])
        source.load_tensors(under(_KEPT, own))
        restore_random_state(own, part["random"])
    else:
        source.load_state_dict(state["source"])
        seed_all(derive(seed, "late", ranks.rank, state["step"]))


def saved_by(state: Mapping[str, Any]) -> int:
    """How many ranks have written a checkpoint."""
    return 1 + len(state.get("others", ()))


def evaluated(
    objective: Objective,
    batches: Iterable[Batch],
    interruptible: Callable[[Iterable[Batch]], Iterable[Batch]],
    ranks: Ranks,
    clock: Clock,
) -> Evaluation:
    """The objective's evaluation; of several ranks, each looks at its part of the batches, and the first one counts."""
    if ranks.size == 1:
        return objective.evaluate(interruptible(batches))
    shared = Shared(lambda: interruptible(batches), lambda: interruptible(_part(batches, ranks)), ranks)
    found = ranks.attempt(lambda: objective.evaluate(shared))
    numbers = {name: float(value) for name, value in found.metrics.items()}
    metrics, seconds = ranks.from_first((numbers, clock.elapsed))
    clock.tell(seconds)
    return Evaluation(metrics, found.records)


def _part(batches: Iterable[Batch], ranks: Ranks) -> Iterable[Batch]:
    """Every `size`-th batch; where the source can, without reading those between."""
    if isinstance(batches, InOrder):
        return batches.every(ranks.rank, ranks.size)
    return (batch for at, batch in enumerate(batches) if at % ranks.size == ranks.rank)


def _group(rank: int) -> str:
    return f"random.{rank}" if rank else "random"
