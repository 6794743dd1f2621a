"""The examiner of generated pictures: kept for further runs, made again where it is missing, and trained by ranks."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.recipes.generate import Generate
from penstock.recipes.job import Supplied
from penstock.run.execute import resume

Command = Callable[..., Any]
Writer = Callable[..., Path]
pytestmark = pytest.mark.usefixtures("no_report")
LINE = (
    "train generate --data p --steps 3 --threads 1 --batch-size 8 --net.width 4 --net.code 6 --measure.validation 8 "
    "--measure.test 8 --measure.epochs 1 --model dcgan --evaluate-every 0.2"
)
BEFORE = "it was trained before"
WEIGHTS = "model/weights.safetensors"


def examiner(here: Path, name: str) -> Path:
    return here / "runs/generate" / name / "parts/classify/examiner"


def measured(here: Path, name: str) -> Any:
    """What the report shows, and the rows, of a run."""
    folder = here / "runs/generate" / name
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return json.loads((folder / "evaluation.json").read_text())["metrics"], rows


@pytest.fixture
def data(here: Path, pictures: Writer) -> Path:
    pictures(here / "p", each=20)
    return here


def test_the_next_run_on_the_same_data_takes_it_at_once(penstock: Command, data: Path, cache: Path) -> None:
    first = penstock(f"{LINE} --name a")
    assert first.code == 0, first.err
    assert BEFORE not in first.err
    (kept,) = (cache / "examiners").iterdir()
    assert not (kept / "checkpoints").exists()
    again = penstock(f"{LINE} --name b")
    assert BEFORE in again.err
    assert (examiner(data, "b") / WEIGHTS).read_bytes() == (examiner(data, "a") / WEIGHTS).read_bytes()
    assert (examiner(data, "b") / "summary.json").is_file()
    assert measured(data, "a") == measured(data, "b")


def test_another_examiner_is_kept_apart(data: Path) -> None:
    def kept(**settings: Any) -> Path | None:
        (part,) = Generate.parse({"data": "p", "net": {"width": 4}, **settings}).build(Supplied()).parts
        return part.kept

    assert kept() == kept(threads=2) == kept(gan={"r1": 3.0})
    others = [kept(seed=1), kept(measure={"epochs": 2.0}), kept(image={"size": 16})]
    assert len({kept(), *others}) == 4
    before = kept()
    next((data / "p" / "cat").iterdir()).unlink()
    assert kept() != before


def test_a_damaged_one_is_trained_again_and_replaced(penstock: Command, data: Path, cache: Path) -> None:
    assert penstock(f"{LINE} --name a").code == 0
    (kept,) = (cache / "examiners").iterdir()
    for number, name in enumerate((WEIGHTS, "evaluation.json")):
        sound = (kept / name).read_bytes()
        (kept / name).write_bytes(sound[:-9])
        again = penstock(f"{LINE} --name {number}")
        assert again.code == 0, again.err
        assert BEFORE not in again.err
        assert len((kept / name).read_bytes()) == len(sound)
    assert measured(data, "a") == measured(data, "1")


def test_a_cache_that_cannot_be_written_is_done_without(penstock: Command, data: Path, cache: Path) -> None:
    cache.write_text("no folder")
    assert penstock(f"{LINE} --name a").code == 0
    assert os.listdir(examiner(data, "a") / "model")


@pytest.mark.parametrize("kept", [True, False])
def test_a_run_goes_on_whose_examiner_is_missing(kept: bool, penstock: Command, data: Path, cache: Path) -> None:
    """From the cache, or trained again to the same."""
    assert penstock(f"{LINE} --name whole").code == 0
    folder = data / "runs/generate/r"
    shutil.copytree(data / "runs/generate/whole", folder)
    last = sorted((folder / "checkpoints").iterdir())[-1]
    shutil.rmtree(last)
    for gone in (folder / "parts", folder / "model"):
        shutil.rmtree(gone)
    if not kept:
        shutil.rmtree(cache)
    resume(folder)
    assert (examiner(data, "r") / WEIGHTS).read_bytes() == (examiner(data, "whole") / WEIGHTS).read_bytes()
    assert measured(data, "r") == measured(data, "whole")


def test_ranks_share_one(rank_processes: Any, data: Path, penstock: Command) -> None:
    """Both take part in its training, and measure by the same."""
    ended = rank_processes.run(data, [*LINE.split(), "--name", "two"])
    assert ended.codes == [0, 0], ended.errors
    together, _ = measured(data, "two")
    assert np.isfinite(together["frechet"])
    assert (examiner(data, "two") / WEIGHTS).is_file()
    ended = rank_processes.run(data, [*LINE.split(), "--name", "again"])
    assert ended.codes == [0, 0], ended.errors
    assert BEFORE in ended.errors[0]
    assert measured(data, "again")[0] == together
