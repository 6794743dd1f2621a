"""Spoken digits, several one after the other, to text: random concatenations of 3 to 7 clips of the official split.

    python benchmarks/spoken_strings.py                      train, test, and write results/spoken-strings.json
    python benchmarks/spoken_strings.py --minutes 1          for a look; writes nothing
    python benchmarks/spoken_strings.py --folder FOLDER      only make the recordings and their table

Training strings are made of training clips alone, test strings of test clips alone; a tenth of the training clips make
the validation strings. Between two clips is a pause of up to a quarter of a second.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import soundfile
from machine import processor

from penstock.core.machine import cores
from penstock.data.audio import read_sound
from penstock.data.named import load

RATE = 8000
STRINGS = {"train": 4000, "validation": 200, "test": 500}
WORDS = "--units words --epochs 8"
BAR = 0.03
RESULTS = Path(__file__).parent / "results"


def write_strings(folder: Path, seed: int = 0) -> Path:
    """The recordings, and the table that lists them."""
    random = np.random.default_rng(seed)
    found = load("free-spoken-digit-dataset")
    assert found.sounds is not None
    assert found.splits is not None
    clips = [read_sound(file, RATE) for file in found.sounds.files]
    train = random.permutation(np.flatnonzero(found.splits == "train"))
    rows = {"validation": train[:270], "train": train[270:], "test": np.flatnonzero(found.splits == "test")}
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "strings.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file", "digits", "part"])
        for part, count in STRINGS.items():
            (folder / part).mkdir(exist_ok=True)
            for number in range(count):
                chosen = random.choice(rows[part], random.integers(3, 8))
                pieces = []
                for row in chosen:
                    pieces += [clips[row], np.zeros(random.integers(RATE // 4), np.float32)]
                name = f"{part}/{number}.wav"
                soundfile.write(folder / name, np.concatenate(pieces[:-1]), RATE, subtype="PCM_16")
                table.writerow([name, " ".join(found.sounds.labels[row] for row in chosen), part])
    return folder / "strings.csv"


def main() -> None:
    """Make the strings, train on them, and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, help="train no longer, and write nothing")
    parser.add_argument("--folder", type=Path, help="only write the recordings there")
    given = parser.parse_args()
    if given.folder is not None:
        print(write_strings(given.folder))
        return
    with tempfile.TemporaryDirectory() as folder:
        place = write_strings(Path(folder) / "strings")
        words = f"transcribe --data {place} --target digits --split.column part {WORDS}"
        words += f" --minutes {given.minutes}" if given.minutes else ""
        command = [sys.executable, "-m", "penstock", "train", *words.split(), "--runs", folder, "--name", "0"]
        began = time.perf_counter()
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - began
        run = Path(folder) / "transcribe" / "0"
        metrics = json.loads((run / "evaluation.json").read_text())["metrics"]
    result = {
        "case": "spoken digits, random concatenations of 3 to 7 test clips",
        "command": "python benchmarks/spoken_strings.py",
        "trains": f"penstock train transcribe --data strings.csv --target digits --split.column part {WORDS}",
        "metric": "wer",
        "wer": round(metrics["wer"], 5),
        "cer": round(metrics["cer"], 5),
        "exact_match": round(metrics["exact_match"], 5),
        "bar": BAR,
        "reached": metrics["wer"] <= BAR,
        "process_seconds": round(seconds, 1),
        "machine": f"{platform.machine()}, {processor()}, {cores()} cores",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }
    print(json.dumps(result, indent=1))
    if not given.minutes:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "spoken-strings.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
