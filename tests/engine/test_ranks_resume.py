"""Several ranks resume bit for bit; another number of them goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from rank_cases import ONE, Rows, classifier, held_out, source
from torch import nn

from penstock.core.errors import PenstockError
from penstock.core.ranks import ALONE, Ranks
from penstock.engine.checkpoint import Checkpoints
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan


def resumable(ranks: Ranks, folder: str, *, steps: int = 11, **plan: Any) -> tuple[Engine, Rows]:
    torch.manual_seed(0)
    settings = {"steps": steps, "device": "cpu", "ema": 0.8, "log_every": 2, "checkpoint_every": 0} | plan
    watcher = Rows()
    engine = Engine(
        classifier(dropout=0.4, norm=nn.BatchNorm1d),
        source(ranks),
        Plan(**settings),
        ONE,
        validation=held_out(),
        checkpoints=Checkpoints(Path(folder), keep=100),
        watchers=[watcher],
        ranks=ranks,
    )
    torch.manual_seed(100 + ranks.rank)
    return engine, watcher


def ended(engine: Engine) -> list[Any]:
    engine.run()
    tensors, state = engine.state()
    kept = {name: value.double().flatten().tolist() for name, value in tensors.items()}
    return [kept, {name: value for name, value in state.items() if name != "seconds"}]


def resumed(ranks: Ranks, folder: str) -> list[Any]:
    whole, watcher = resumable(ranks, f"{folder}/whole")
    reference, same = ended(whole), []
    for step in (0, 1, 4, 7, 11):
        engine, rows = resumable(ranks, f"{folder}/{step}")
        engine.load_state(*Checkpoints(Path(folder) / "whole").load(f"step-{step:09}"))
        known = engine.rows
        same.append(ended(engine) == reference and (not ranks.first or watcher.rows[known:] == rows.rows))
    return [same, [name for name in reference[0] if name.startswith("random")], reference[0]["random/torch"]]


def resumed_by_others(ranks: Ranks, folder: str) -> list[Any]:
    """Goes on where two ranks have stopped; a source that was at two places cannot."""
    checkpoint = Checkpoints(Path(folder) / "whole").load("step-000000004")
    engine, _ = resumable(ranks, f"{folder}/others")
    engine.load_state(*checkpoint)
    engine.run()
    tensors, state = checkpoint
    state["others"][0]["source"]["position"] += 1
    try:
        resumable(ranks, f"{folder}/others")[0].load_state(tensors, state)
    except PenstockError as error:
        return [engine.clock.step, str(error), torch.rand(1).item()]
    return []


def test_resumed_bit_for_bit_and_by_another_number_of_ranks(rank_processes: Any, tmp_path: Path) -> None:
    same, groups, random = rank_processes.call(tmp_path, __file__, "resumed", str(tmp_path))[0]
    assert same == [True] * 5
    assert {name.split("/")[0] for name in groups} == {"random", "random.1"}
    _, _, other = rank_processes.call(tmp_path, __file__, "resumed", str(tmp_path))[1]
    assert other == random  # every rank knows all parts; the first one's is where one process has its own
    alone = resumed_by_others(ALONE, str(tmp_path))
    three = rank_processes.call(tmp_path, __file__, "resumed_by_others", str(tmp_path), size=3)
    for size, found in ((1, alone), (3, three[0]), (3, three[2])):
        assert found[0] == 11
        assert f"written by 2 processes, each at a place of its own in the data; now there are {size}" in found[1]
    assert len({found[2] for found in three}) == 3  # each has random numbers of its own
