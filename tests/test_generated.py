"""The table of generated pictures says what was measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import render  # noqa: E402
from generated import measured, table  # noqa: E402

MEASURES = {"precision": 0.9, "recall": 0.8, "density": 0.7, "coverage": 0.61239, "sure": 0.5}


def result(minutes: float, frechet: float, **more: Any) -> dict[str, Any]:
    told = {"minutes": minutes, "frechet": frechet, **MEASURES, "truncated": None, "steps": 900}
    told |= {"training_seconds": 60.0, "samples": 2000, "judge": {"accuracy": 0.925}, "machine": "m", "date": "d"}
    return told | {"of_real_ones": {"frechet": 0.05, **MEASURES}} | more


def test_the_longest_stand_first_and_of_these_the_nearest(tmp_path: Path) -> None:
    assert table(tmp_path, "en") == ""
    middle = {"bound": 0.7, "frechet": 3.0, **MEASURES}
    rows = {"vae-10": result(10, 7), "vae-gan-10": result(10, 6.126), "dcgan-30": result(30, 9, truncated=middle)}
    for name, row in rows.items():
        (tmp_path / f"generation-{name}.json").write_text(json.dumps(row))
    assert [name for name, _ in measured(tmp_path)] == ["dcgan", "vae-gan", "vae"]
    lines = table(tmp_path, "en").splitlines()
    assert lines[2:7] == [
        "| *2,000 real ones, beside others* | 0.05 | 0.900 | 0.800 | 0.700 | 0.612 | 0.500 |  |",
        "| DCGAN, 30 | 9.00 | 0.900 | 0.800 | 0.700 | 0.612 | 0.500 | 15.0 |",
        "| DCGAN, 30, codes within ± 0.7 | 3.00 | 0.900 | 0.800 | 0.700 | 0.612 | 0.500 |  |",
        "| VAE-GAN, 10 | 6.13 | 0.900 | 0.800 | 0.700 | 0.612 | 0.500 | 15.0 |",
        "| variational autoencoder, 10 | 7.00 | 0.900 | 0.800 | 0.700 | 0.612 | 0.500 | 15.0 |",
    ]
    assert "92.5 %" in lines[-1]
    assert len(table(tmp_path, "zh").splitlines()) == len(lines)


@pytest.mark.parametrize("page", render.GENERATE)
def test_the_guide_shows_the_results_that_are_there(page: str) -> None:
    assert render.guide(page) == (ROOT / page).read_text(encoding="utf-8"), "run: python benchmarks/render.py"
