"""Several ranks give what one process gives on the same batches."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from rank_cases import FAMILIES, ONE, Rows, classifier, held_out, make, network, numbers, said, source
from torch import nn

from penstock.core.batch import Batch
from penstock.core.objective import Evaluation
from penstock.core.ranks import ALONE, Ranks
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.objectives.supervised import Classification


def trained(ranks: Ranks, family: str) -> dict[str, Any]:
    engine, watcher = make(ranks, family, seed=ranks.rank)  # other weights on each rank: the first one's count
    outcome = engine.run()
    return {"weights": numbers(engine.objective), "rows": watcher.rows, "outcome": outcome}


def all_trained(ranks: Ranks) -> dict[str, Any]:
    return {family: trained(ranks, family) for family in FAMILIES}


@pytest.fixture(scope="module")
def on_ranks(rank_processes: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[Any]]:
    """What every rank of two and of three has at the end, in each family."""
    folder = tmp_path_factory.mktemp("trained")
    return {size: rank_processes.call(folder, __file__, "all_trained", size=size) for size in (2, 3)}


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("family", FAMILIES)
def test_ranks_are_one_process(family: str, size: int, on_ranks: dict[int, list[Any]]) -> None:
    reference = trained(ALONE, family)
    first, *others = (one[family] for one in on_ranks[size])
    for name, value in reference["weights"].items():
        assert first["weights"][name] == pytest.approx(value, rel=1e-10, abs=1e-12), name
    for other in others:
        assert other["weights"] == first["weights"]  # bit for bit, or they would drift apart
        assert (other["rows"], other["outcome"]) == ([], reference["outcome"])
    assert len(first["rows"]) == len(reference["rows"])
    for row, expected in zip(first["rows"], reference["rows"], strict=True):
        assert row.pop("split") == expected.pop("split")
        assert row == pytest.approx(expected, rel=1e-9, abs=1e-12)


def normalised(ranks: Ranks) -> dict[str, Any]:
    """Batch statistics, the sharded evaluation, early stopping; and what one rank knows before the others do."""
    torch.manual_seed(0)
    objective = classifier(norm=nn.BatchNorm1d)
    plan = Plan(epochs=9, device="cpu", patience=2, ema=0.5, log_every=3)
    watcher = Rows()
    engine = Engine(objective, source(ranks), plan, ONE, validation=held_out(), watchers=[watcher], ranks=ranks)
    before = engine.evaluate(held_out())
    plain = engine.evaluate(iter(list(held_out())))
    engine.run()
    records = {name: value.tolist() for name, value in before.records.items()}
    same = records == {name: value.tolist() for name, value in plain.records.items()}
    state = numbers(engine.objective) | {str(i): t.tolist() for i, t in enumerate(engine.average.tensors().values())}
    return {"metrics": before.metrics, "records": records, "same": same, "state": state, "why": engine.stepper.coupling}


def test_sharded_evaluation_is_the_whole_and_statistics_stay_alike(rank_processes: Any, tmp_path: Path) -> None:
    first, second = rank_processes.call(tmp_path, __file__, "normalised")
    alone = normalised(ALONE)
    for name in ("metrics", "records", "same", "why"):
        assert first[name] == second[name] == alone[name], name
    assert first["state"] == second["state"]
    assert first["state"]["model.1.num_batches_tracked"] == alone["state"]["model.1.num_batches_tracked"]
    assert first["state"]["model.1.running_mean"] != [0.0] * 16
    assert alone["why"] == "batch normalisation couples the examples of a batch"


class OwnOpinion(Classification):
    """Measures by itself: on each rank something else."""

    def evaluate(self, source: Iterable[Batch]) -> Evaluation:
        return Evaluation({"loss": sum(batch.size for batch in source) + self.progress * (1 - 2 * self.rank)})


def opinionated(ranks: Ranks) -> list[Any]:
    """On the first rank the loss rises from the first evaluation on, on the second it falls."""
    torch.manual_seed(0)
    objective, watcher = OwnOpinion(network(), ["x"]), Rows()
    objective.rank = ranks.rank
    plan = Plan(epochs=9, device="cpu", patience=2)
    engine = Engine(objective, source(ranks), plan, ONE, validation=held_out(), watchers=[watcher], ranks=ranks)
    return [*said(engine), [row["loss"] for row in watcher.rows if row["split"] == "validation"]]


def test_the_first_one_measures_for_all(rank_processes: Any, tmp_path: Path) -> None:
    first, second = rank_processes.call(tmp_path, __file__, "opinionated")
    assert first[:3] == second[:3]
    assert first[1] == 9  # three evaluations, of which the first is the best
    assert [int(loss) for loss in first[3]] == [30, 30, 30]  # who iterates sees every example
