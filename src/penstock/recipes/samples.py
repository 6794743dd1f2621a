"""Samples that are written down while a model learns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.core.files import write_text
from penstock.core.objective import Evaluation
from penstock.engine.watcher import Watcher
from penstock.recipes.grown import TEXTS
from penstock.recipes.passages import sample
from penstock.recipes.writing import Writing

if TYPE_CHECKING:
    from penstock.engine.engine import Engine

LENGTH = 160
TEMPERATURE = 0.8


class SampleFile(Watcher):
    """After each evaluation has the model write a little into `samples.jsonl`, one line of JSON a sample."""

    def __init__(self, folder: Path, trained: Writing, prompt: str) -> None:
        self._path, self._trained, self._prompt = folder / TEXTS, trained, prompt

    def started(self, engine: Engine) -> None:
        """Drop what was written after the checkpoint that a run goes on from."""
        self._put([line for line in self._lines() if line["step"] <= engine.clock.step])

    def evaluated(self, engine: Engine, evaluation: Evaluation) -> None:
        """One more sample; it has random numbers of its own."""
        text = sample(self._trained, self._prompt, TEMPERATURE, LENGTH)
        said = {"step": engine.clock.step, "epoch": engine.clock.epoch, "prompt": self._prompt, "text": text}
        self._put([*(line for line in self._lines() if line["step"] < engine.clock.step), said])

    def _lines(self) -> list[dict[str, Any]]:
        """What was written so far; a damaged file counts as none: nothing depends on it."""
        try:
            return [json.loads(line) for line in self._path.read_text(encoding="utf-8").splitlines()]
        except (OSError, ValueError):
            return []

    def _put(self, lines: list[dict[str, Any]]) -> None:
        if lines:
            write_text(self._path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
