"""The file of metrics: whole lines only, and never fewer than a checkpoint knows."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from penstock.core.errors import CheckpointError, ResourceError
from penstock.run.progress import MetricsFile

ROW = {"split": "train", "step": 3, "epoch": 0.5, "loss": 0.1 + 0.2}


def test_a_row_that_the_disk_refuses_leaves_the_others(
    tmp_path: Path, largest_file: Callable[[int], AbstractContextManager[None]]
) -> None:
    metrics = MetricsFile(tmp_path / "metrics.jsonl")
    for _ in range(3):
        metrics.measured(ROW)
    before = metrics.path.read_bytes()
    length = len(before) // 3
    assert before == (json.dumps(ROW) + "\n").encode() * 3
    for more in [0, 1, length - 1, *random.Random(0).sample(range(length), 10)]:
        with (
            largest_file(len(before) + more),
            pytest.raises(ResourceError, match=rf"File too large; {length - more} bytes needed, [\d,]+ free"),
        ):
            metrics.measured(ROW)
        assert metrics.path.read_bytes() == before
    with largest_file(len(before) + length):
        metrics.measured(ROW)
    assert metrics.path.read_bytes() == before + before[:length]


def test_rows_are_counted_in_whole_lines(tmp_path: Path) -> None:
    metrics = MetricsFile(tmp_path / "metrics.jsonl")
    metrics.check(0)
    metrics.path.write_bytes(b'{"a": 1}\n{"a": "\xff"}\n{"a"')
    metrics.check(2)
    for rows in (3, None, "2"):
        with pytest.raises(CheckpointError, match="it has 2 rows, the checkpoint knows"):
            metrics.check(rows)
