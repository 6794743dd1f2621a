"""A script that several processes run: `penstock.train` works together, and each gets the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import penstock
from penstock.core.ranks import Ranks


def script(ranks: Ranks) -> list[Any]:
    """Run on each rank: a module of one's own, of other weights on each; then an error; then another run."""
    ranks.close()  # the session that the tests open; those of the script are its own
    x, y = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32), np.arange(60) % 3
    torch.manual_seed(ranks.rank)
    settings: dict[str, Any] = {"steps": 6, "batch_size": 9, "quiet": True, "ema": None, "clip_norm": 1.0}
    run = penstock.train("classify", data=(x, y), model=nn.Linear(4, 3), name="own", **settings)
    with pytest.raises(penstock.PenstockError, match="name: runs/classify/own exists already"):
        penstock.train("classify", data=(x, y), model=nn.Linear(4, 3), name="own", **settings)
    again = penstock.train("classify", data="wine", model="linear", **settings)
    return [
        run.evaluate(),
        run.model.weight.tolist(),
        run.summary["ranks"],
        run.summary["command"],
        again.evaluate(),
        again.folder.name,
        torch.get_num_threads(),
    ]


def test_a_script_trains_together(rank_processes: Any, tmp_path: Path) -> None:
    first, second = rank_processes.call(tmp_path, __file__, "script")
    assert first == second
    assert first[2] == 2
    assert first[5] == "wine-linear"
    assert sorted(path.name for path in (tmp_path / "runs/classify").iterdir()) == ["own", "wine-linear"]


def test_it_is_what_one_process_trains(
    rank_processes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_report: None
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "two"
    folder.mkdir()
    line = "train classify --data wine --model linear --steps 9 --batch-size 7 --threads 1 --name run"
    assert rank_processes.run(folder, line.split()).codes == [0, 0]
    settings = {"model": "linear", "steps": 9, "batch_size": 7, "threads": 1}
    alone = penstock.train("classify", data="wine", name="run", quiet=True, **settings)
    together = penstock.load(folder / "runs/classify/run")
    for name, value in alone.model.state_dict().items():
        torch.testing.assert_close(together.model.state_dict()[name], value, rtol=1e-4, atol=1e-6)
    assert alone.summary["command"].startswith("penstock train classify --recipe ")
    assert together.summary["command"].startswith("torchrun --nproc-per-node 2 -m penstock train classify --recipe ")
