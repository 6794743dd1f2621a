"""How good the models are: whole `penstock train` commands, several seeds, the test split read once at the end.

    python benchmarks/quality.py                 all cases, some of which take half an hour
    python benchmarks/quality.py digits adult    some cases

Each case writes results/quality-CASE.json with the command, the machine, the date and every seed's row.
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from machine import processor

from penstock.core.machine import cores
from penstock.metrics.names import higher_is_better

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Case:
    """One command, to be run with several seeds. `bar` is what the mean of the metric must reach."""

    title: str
    words: str
    metric: str
    bar: float
    seeds: int
    published: str = ""
    scale: float = 1.0

    def reached(self, mean: float) -> bool:
        """Whether the mean is as good as the bar."""
        return mean >= self.bar if higher_is_better(self.metric) else mean <= self.bar


CASES = {
    "digits": Case("digits, default model (`make demo`)", "classify", "accuracy", 0.985, 5),
    "fashion-mlp": Case(
        "fashion-mnist, mlp 300-100",
        "classify --data fashion-mnist --model mlp --net.hidden 300 100 --image.shift 0",
        "accuracy",
        0.885,
        3,
        "88.4 %",
    ),
    "fashion-cnn": Case(
        "fashion-mnist, cnn",
        "classify --data fashion-mnist --model cnn --precision bf16 --image.flip --image.shift 0 --batch-size 128"
        " --epochs 18 --optim.lr 3e-3 --smoothing 0.1 --ema 0.999 --net.dropout 0.2",
        "accuracy",
        0.935,
        3,
        "91.6 to 92.5 % (two convolutions)",
    ),
    "california": Case(
        "california-housing, mlp, random 80/20",
        "regress --data california-housing --model mlp",
        "rmse",
        0.51,
        5,
        "0.4985 (tuned MLP)",
        scale=1e-5,
    ),
    "adult": Case(
        "adult, mlp, given split",
        "classify --data adult --model mlp",
        "accuracy",
        0.852,
        3,
        "85.2 %",
    ),
    "shakespeare-gpt": Case(
        "tinyshakespeare, GPT 4 x 4 x 128, context 64, batch 12, 2,000 steps",
        "language --data tinyshakespeare --model transformer --context 64 --batch-size 12 --steps 2000"
        " --net.layers 4 --net.heads 4 --net.width 128 --net.dropout 0 --optim.lr 3e-3 --optim.weight-decay 0.1",
        "loss",
        1.88,
        3,
        "1.88 (nanoGPT, its setting for a CPU)",
    ),
    "shakespeare-best": Case(
        "tinyshakespeare, LSTM 2 x 512, 12 minutes on 2 cores",
        "language --data tinyshakespeare --model lstm --net.layers 2 --net.width 512 --net.dropout 0.2"
        " --batch-size 64 --optim.lr 3e-3 --ema 0.99 --split.validation 0.01 --minutes 12",
        "loss",
        1.60,
        1,
    ),
    "spoken-digits": Case(
        "free-spoken-digit-dataset, speech, official split",
        "classify --data free-spoken-digit-dataset",
        "accuracy",
        0.98,
        3,
    ),
    "tides": Case("tide gauge, a day ahead, default model", "forecast", "mase", 0.5, 3, "0.98 (as a season before)"),
    "python-topics": Case(
        "paragraphs of Python's standard library by subject, default model",
        "classify --data python-topics",
        "accuracy",
        0.80,
        3,
    ),
    "python-roles": Case("the part of every name in Python's statements, default model", "tag", "f1", 0.96, 3),
    "vae-digits": Case(
        "black and white digits, variational autoencoder of 20 numbers, evidence lower bound in nats",
        "reconstruct --method variational --model dense --net.hidden 128 --net.code 20 --image.binary --steps 1500",
        "elbo",
        -20.5,
        3,
        "-19.7 (a reference written apart in tests/recipes/test_reconstruct_reference.py, 800 steps)",
    ),
    "digits-left-out": Case(
        "digits without the ones: how well the error tells them apart",
        "reconstruct --model dense --without class=1 --steps 1200",
        "auc",
        0.8,
        3,
    ),
    "morse": Case("Morse code at 10 dB, default model", "transcribe", "cer", 0.02, 3),
}


def measure(case: Case, seed: int, runs: str) -> dict[str, object]:
    """One training in a process of its own."""
    command = [sys.executable, "-m", "penstock", "train", *shlex.split(case.words), "--seed", str(seed)]
    began = time.perf_counter()
    subprocess.run([*command, "--runs", runs, "--name", str(seed)], check=True, capture_output=True)
    whole = time.perf_counter() - began
    folder = Path(runs) / case.words.split()[0] / str(seed)
    metrics = json.loads((folder / "evaluation.json").read_text())["metrics"]
    summary = json.loads((folder / "summary.json").read_text())
    return {
        "seed": seed,
        case.metric: round(metrics[case.metric] * case.scale, 5),
        "best_epoch": (summary["best"] or {}).get("epoch"),
        "epochs": summary["epochs"],
        "training_seconds": round(summary["seconds"], 1),
        "process_seconds": round(whole, 1),
    }


def main() -> None:
    """Run the cases that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    for name in parser.parse_args().cases or CASES:
        case = CASES[name]
        rows = []
        with tempfile.TemporaryDirectory() as runs:
            for seed in range(case.seeds):
                rows.append(measure(case, seed, runs))
                print(name, rows[-1], flush=True)
        mean = statistics.fmean(float(str(row[case.metric])) for row in rows)
        result = {
            "case": case.title,
            "command": f"python benchmarks/quality.py {name}",
            "trains": f"penstock train {case.words} --seed 0..{case.seeds - 1}",
            "metric": case.metric,
            "mean": round(mean, 5),
            "bar": case.bar,
            "reached": case.reached(mean),
            "published": case.published,
            "machine": f"{platform.machine()}, {processor()}, {cores()} cores",
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            "rows": rows,
        }
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"quality-{name}.json").write_text(json.dumps(result, indent=1) + "\n")
        print(name, "mean", case.metric, f"{mean:.5f}", "bar", case.bar, "reached" if result["reached"] else "MISSED")


if __name__ == "__main__":
    main()
