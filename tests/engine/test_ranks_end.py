"""Several ranks end together, whatever happens to one of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from rank_cases import ONE, Rows, after, classifier, data, held_out, make, network, said, source
from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.errors import DataError, Interrupted
from penstock.core.objective import Update
from penstock.core.ranks import ALONE, Ranks
from penstock.data.examples import Examples
from penstock.engine.checkpoint import Checkpoints
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.objectives.supervised import Classification


class FromFiles(Examples):
    """Examples that can be lost: `gone` before the n-th batch, on one rank."""

    def __init__(self, tensors: dict[str, Tensor], gone: int) -> None:
        self.tensors, self.gone = tensors, gone

    def stream(self, wanted: Iterable[Tensor]) -> Iterator[tuple[Tensor, Batch]]:
        for number, indices in enumerate(wanted, 1):
            if number == self.gone:
                raise DataError("图片/六.png", "the file is not there", "put it back")
            yield indices, Batch({name: tensor[indices] for name, tensor in self.tensors.items()})


class Disturbed(Classification):
    """On one rank, something happens in the third step."""

    def __init__(self, event: Callable[[Tensor], Tensor]) -> None:
        super().__init__(network(), ["x"])
        self.event, self.count = event, 0

    def loss(self, batch: Batch) -> Update:
        self.count += 1
        update = super().loss(batch)
        return Update(self.event(update.loss), weight=update.weight) if self.count == 3 else update


def divide(loss: Tensor) -> Tensor:
    raise ZeroDivisionError("by zero")


def troubled(ranks: Ranks, folder: str) -> dict[str, Any]:
    """One rank has a bad number, an error, a signal, another clock, a lost file or another opinion."""
    found: dict[str, Any] = {}
    events = {"nan loss": lambda loss: loss * torch.nan, "nan gradient": lambda loss: loss + 0 * (0 * loss).sqrt()}
    for name, event in (events | {"bug": divide}).items():
        torch.manual_seed(0)
        objective = Disturbed(event if ranks.rank == 1 else lambda loss: loss)
        found[name] = said(Engine(objective, source(ranks), Plan(steps=9, device="cpu"), ONE, ranks=ranks))
    for name, number in (("few", 15), ("two roles", 2)):
        engine, watcher = make(ranks, name)
        engine.checkpoints = Checkpoints(Path(folder) / f"signal {name}")
        if ranks.rank == 1:
            after(engine, 6, lambda engine=engine, number=number: engine.stop(number))
        found[f"signal {name}"] = [*said(engine), watcher.saves]
    engine, _ = make(ranks, "two roles", steps=9)
    engine.objective.odd_rank_stops = 4 if ranks.rank == 1 else -1
    found["opinion"] = said(engine)
    torch.manual_seed(0)
    files = FromFiles(data(), gone=6 if ranks.rank == 1 else 0)
    watcher = Rows()
    engine = Engine(classifier(), source(ranks, stored=files), Plan(steps=9, device="cpu"), ONE, ranks=ranks)
    engine.checkpoints, engine.watchers = Checkpoints(Path(folder) / "lost"), [watcher]
    found["lost"] = [*said(engine), engine.source.state_dict(), watcher.saves]
    found["evaluation"] = said(stopped_in_evaluation(ranks))
    return found


def stopped_in_evaluation(ranks: Ranks) -> Engine:
    engine, _ = make(ranks, "weighed")

    def batches() -> Iterator[Batch]:
        for number, batch in enumerate(held_out()):
            if number == 3 and ranks.rank == 1:
                engine.stop(15)
            yield batch

    class Stopping:
        def __iter__(self) -> Iterator[Batch]:
            return batches()

    engine.validation = Stopping()
    return engine


def test_what_happens_to_one_happens_to_all(rank_processes: Any, tmp_path: Path) -> None:
    first, second = rank_processes.call(tmp_path, __file__, "troubled", str(tmp_path))
    lines = {
        "nan loss": "step 3: the loss of role 'model' is nan; ",
        "nan gradient": "step 3: the gradient of '0.weight' is not finite (role 'model'); ",
        "opinion": "objective: the parts of a batch ask for different updates; ",
        "lost": "图片/六.png: the file is not there; put it back",
        "evaluation": "step 3: stopped by a signal; go on with: penstock resume",
        "signal few": "step 6: stopped by a signal; go on with: penstock resume",
        "signal two roles": "step 6: stopped by a signal; go on with: penstock resume",
    }
    for name, line in lines.items():
        assert first[name][0][0].startswith(line), first[name]
        assert second[name][0][:2] == first[name][0][:2], name
        assert second[name][1:3] == first[name][1:3], name
    codes = {name: first[name][0][1] for name in lines}
    assert codes == {
        "nan loss": 5,
        "nan gradient": 5,
        "opinion": 2,
        "lost": 3,
        "evaluation": 143,
        "signal few": 143,
        "signal two roles": 130,
    }
    assert first["bug"][0] == ["rank 1: ZeroDivisionError: by zero; see what it said", 1, True]
    assert second["bug"][0] == ["by zero", 1, False]
    assert [one["bug"][1] for one in (first, second)] == [2, 2]
    assert first["lost"][1:] == [5, *second["lost"][2:4], ["step-000000005"]]
    assert first["lost"][3] == {"epoch": 1, "position": 2}  # where the lost batch is, also where it was not lost
    assert first["signal few"][3] == first["signal two roles"][3] == ["step-000000006"]
    assert second["lost"][4] == second["signal few"][3] == []


def timed(ranks: Ranks, folder: str) -> dict[str, Any]:
    """The second rank's watch is an hour ahead."""
    if ranks.rank == 1:
        watch = time.perf_counter
        time.perf_counter = lambda: watch() * 1000 + 3600
    found = {}
    for name, plan in {
        "minutes": {"steps": None, "minutes": 0.002},
        "saves": {"checkpoint_every": 0.005, "steps": 60},
    }.items():
        engine, watcher = make(ranks, "weighed", **plan)
        engine.checkpoints = Checkpoints(Path(folder) / name, keep=100)
        found[name] = [*said(engine), watcher.saves, engine.seconds, engine.clock.elapsed]
        found[name].append([row["step"] for row in watcher.rows if row["split"] == "validation"])
    return found


def test_time_is_that_of_the_first(rank_processes: Any, tmp_path: Path) -> None:
    first, second = rank_processes.call(tmp_path, __file__, "timed", str(tmp_path))
    for name in ("minutes", "saves"):
        assert first[name][:3] == second[name][:3]
        assert first[name][4] == second[name][4]
    assert "time budget" in first["minutes"][0]
    assert 0.12 <= first["minutes"][4] <= first["minutes"][5] < 5
    assert all(step % 3 == 0 for step in first["minutes"][6][:-1])  # time ran out once, at the end
    assert len(first["saves"][3]) > 3
    assert Checkpoints(tmp_path / "saves").names() == first["saves"][3]


def test_a_signal_alone_is_known_at_once() -> None:
    engine, _ = make(ALONE, "few")
    after(engine, 3, lambda: engine.stop(15))
    with pytest.raises(Interrupted, match="step 3"):
        engine.run()
