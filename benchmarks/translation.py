"""Translation: dates to ISO 8601, and English to Chinese, by whole `penstock train translate` commands.

    python benchmarks/translation.py                        all cases; those of cmn-eng take half an hour each
    python benchmarks/translation.py dates                  some of them
    python benchmarks/translation.py transformer --steps 60 a trial that writes no result

The sentences are those of manythings.org/anki (the named set cmn-eng), divided at
random into 90 % for training, 5 % for validation and 5 % for the test, which is read once at the end; beam of 5. BLEU
is of Chinese characters (sacrebleu's tokeniser `zh`). Each case writes results/translation-CASE.json with its command,
the machine, the date and, of cmn-eng, ten translations of the test.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from machine import processor

from penstock.core.machine import cores
from penstock.run.run import load

RESULTS = Path(__file__).parent / "results"
SHOWN = 10


@dataclass(frozen=True)
class Case:
    """One command, what it must reach, and how long it may take, in minutes."""

    title: str
    words: str
    metric: str
    bar: float
    minutes: float
    sentences: bool = True

    @property
    def command(self) -> list[str]:
        """The words after `penstock`."""
        data = ["--data", "cmn-eng"] if self.sentences else []
        return ["train", "translate", *data, *shlex.split(self.words)]


RECURRENT = "--net.width 256 --net.dropout 0.3 --batch-size 64 --epochs 10 --optim.lr 2e-3 --smoothing 0.1"
CASES = {
    "dates": Case("dates in 13 writings to ISO 8601, default model", "", "exact_match", 0.98, 2, sentences=False),
    "transformer": Case(
        "cmn-eng, English to Chinese, Transformer",
        "--model transformer --net.width 256 --net.layers 3 --net.heads 4 --net.dropout 0.2 --batch-size 64"
        " --epochs 10 --optim.lr 7e-4 --smoothing 0.1 --ema 0.999 --evaluate-every 2.5",
        "chrf",
        20,
        40,
    ),
    "gru": Case(
        "cmn-eng, English to Chinese, GRU with attention", f"--model gru {RECURRENT} --evaluate-every 2", "chrf", 0, 40
    ),
    "gru-plain": Case(
        "cmn-eng, English to Chinese, GRU without attention",
        f"--model gru-plain {RECURRENT} --evaluate-every 2",
        "chrf",
        0,
        40,
    ),
}
"""The GRU with attention is to be two points of chrF above the one without: see `compare`."""


def measure(case: Case, extra: list[str], runs: str) -> dict[str, Any]:
    """One training in a process of its own, and what it is like."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "penstock", *case.command, "--runs", runs, "--name", "one", *extra]
    subprocess.run(command, check=True)
    seconds = time.perf_counter() - began
    folder = Path(runs) / "translate" / "one"
    evaluation = json.loads((folder / "evaluation.json").read_text())
    summary = json.loads((folder / "summary.json").read_text())
    found = {
        "metrics": {name: round(value, 4) for name, value in evaluation["metrics"].items()},
        "steps": summary["steps"],
        "parameters": summary["parameters"],
        "precision": summary["precision"],
        "training_seconds": round(summary["seconds"], 1),
        "process_seconds": round(seconds, 1),
    }
    if case.sentences:
        found["translations"] = translations(folder)
    return found


def translations(folder: Path) -> list[dict[str, str]]:
    """Ten sentences of the test, drawn at random, what people made of them, and what the model does."""
    run = load(folder)
    material = run.recipe.read_material()  # type: ignore[attr-defined]
    rows = run.recipe.divide(material)["test"].tolist()  # type: ignore[attr-defined]
    rows = random.Random(0).sample(rows, SHOWN)
    sources = [material.show(row)["row"]["source"] for row in rows]
    said = [one["prediction"] for one in run.predict(sources)]
    return [
        {"source": source, "people": str(material.labels.iloc[row]), "model": found}
        for source, row, found in zip(sources, rows, said, strict=True)
    ]


def compare() -> None:
    """What attention is worth to the GRU, where both have been measured."""
    paths = [RESULTS / f"translation-{name}.json" for name in ("gru", "gru-plain")]
    if all(path.exists() for path in paths):
        with_it, without = (json.loads(path.read_text())["metrics"]["chrf"] for path in paths)
        verdict = "reached" if with_it - without >= 2 else "MISSED"
        print(f"attention is worth {with_it - without:.2f} points of chrF to the GRU; bar 2: {verdict}")


def main() -> None:
    """Run the cases that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--steps", type=int, help="a trial of so many steps, of which no result is written")
    given = parser.parse_args()
    extra = ["--steps", str(given.steps), "--epochs", "none"] if given.steps else []
    for name in given.cases or CASES:
        case = CASES[name]
        with tempfile.TemporaryDirectory() as runs:
            found = measure(case, extra, runs)
        value = found["metrics"][case.metric]
        reached = value >= case.bar and found["process_seconds"] <= 60 * case.minutes
        for line in found.get("translations", ()):
            print(f"{line['source']}  |  {line['people']}  |  {line['model']}")
        print(name, found["metrics"], f"{found['process_seconds']} s", "reached" if reached else "MISSED", flush=True)
        if given.steps:
            continue
        result = {
            "case": case.title,
            "command": f"python benchmarks/translation.py {name}",
            "trains": shlex.join(["penstock", *case.command]),
            "metric": case.metric,
            "bar": case.bar,
            "minutes": case.minutes,
            "reached": reached,
            "machine": f"{platform.machine()}, {processor()}, {cores()} cores",
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            **found,
        }
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"translation-{name}.json"
        path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    compare()


if __name__ == "__main__":
    main()
