"""Groups of alike pictures: found as scikit-learn finds them, drawn by their sizes, and told to the players."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from penstock.core.errors import CheckpointError
from penstock.recipes.alike import Groups

Command = Callable[..., Any]


def heaps(sizes: tuple[int, ...] = (60, 30, 10), *, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Points about middles that are far apart (N, 5), and whose they are (N,)."""
    generator = torch.Generator().manual_seed(seed)
    which = torch.cat([torch.full((size,), k) for k, size in enumerate(sizes)])
    which = which[torch.randperm(len(which), generator=generator)]
    return torch.randn(len(sizes), 5, generator=generator)[which] * 20 + torch.randn(
        len(which), 5, generator=generator
    ), which


def test_heaps_that_are_far_apart_are_found() -> None:
    for seed in range(5):
        points, which = heaps(seed=seed)
        groups = Groups.fit(points, 3, seed=seed)
        found = groups.encode(points)
        assert adjusted_rand_score(which.numpy(), found.numpy()) == 1
        assert sorted(groups.shares.tolist()) == pytest.approx([0.1, 0.3, 0.6])
        middles = torch.stack([points[found == k].mean(0) for k in range(3)])
        torch.testing.assert_close(groups.middles, middles, rtol=0.02, atol=0.3)
        assert torch.equal(Groups.fit(points, 3, seed=seed).middles, groups.middles)


@pytest.mark.parametrize("count", [10, 64, 1000])
def test_groups_are_drawn_by_their_sizes(count: int) -> None:
    groups = Groups(torch.zeros(4, 2), torch.tensor([0.5, 0.25, 0.2, 0.05]))
    counts = torch.bincount(groups.drawn(count), minlength=4)
    assert (counts - groups.shares * count).abs().max() < 2
    assert torch.equal(groups.drawn(count)[:10], groups.drawn(10))


def test_groups_are_written_and_read() -> None:
    groups = Groups.fit(heaps()[0], 3, seed=0)
    again = Groups.from_json(json.loads(json.dumps(groups.to_json())))
    assert torch.equal(again.middles, groups.middles)
    assert torch.equal(again.shares, groups.shares)
    for wrong in (
        {"middles": [[0.5]]},
        {"middles": [0.5, 1.0], "shares": [0.5, 0.5]},
        {"middles": [["x"]], "shares": [1.0]},
    ):
        with pytest.raises(CheckpointError):
            Groups.from_json(wrong)


@pytest.mark.usefixtures("no_report")
def test_players_are_told_of_groups(penstock: Command, here: Path) -> None:
    """Trained, sampled of one group and of all, and measured on other pictures."""
    words = "train generate --groups 3 --net.width 4 --measure.examiner pixels --measure.validation 8 --measure.test 8"
    outcome = penstock(f"{words} --steps 4 --batch-size 8 --name whole")
    assert outcome.code == 0, outcome.err
    assert "groups to ask for: 1 to 3" in outcome.err
    config = json.loads((here / "runs/generate/whole/model/config.json").read_text(encoding="utf-8"))
    assert config["classes"]["names"] == ["1", "2", "3"]
    assert sum(config["groups"]["shares"]) == pytest.approx(1)
    assert penstock("sample whole --label 3 --count 4 --output three.png").code == 0
    assert penstock("sample whole --count 4").code == 0
    penstock("sample whole --label 4").refused(2, "label", "'4'")
    assert penstock("interpolate whole 1 2 --output between.png").code == 0
    assert penstock("evaluate whole").code == 0


def test_of_groups_two_told_of_alike_are_alike(penstock: Command, here: Path) -> None:
    """Dark pictures and bright ones: what is made of a group is as dark or bright as its pictures."""
    import penstock as api

    pixels = np.random.default_rng(0).integers(0, 40, (120, 8, 8), dtype=np.uint8)
    pixels[::3] += 200
    run = api.train(
        "generate",
        data=pixels,
        groups=2,
        steps=60,
        batch_size=16,
        runs=str(here / "runs"),
        quiet=True,
        **{"net.width": 8, "measure.validation": 8, "measure.test": 8},
    )
    shares = run.trained.groups.shares
    bright = int(run.trained.groups.middles.mean(1).argmax())
    assert shares[bright].item() == pytest.approx(1 / 3, abs=0.03)
    means = [run.sample(16, label=str(k + 1)).array.mean() for k in (bright, 1 - bright)]
    assert means[0] > means[1] + 60


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        ("--groups 3 --conditional", ["groups", "--conditional"]),
        ("--groups 3 --model glo", ["groups", "glo cannot be told"]),
        ("--groups 1", ["groups", "2"]),
    ],
)
def test_what_does_not_go_together(words: str, texts: list[str], penstock: Command, here: Path) -> None:
    penstock(f"train generate {words}").refused(2, *texts)
    assert not (here / "runs").exists()
