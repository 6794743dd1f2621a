"""Voices converted: an autoencoder whose decoder is told the speaker, judged by networks that know real voices alone.

    python benchmarks/voice.py                        train, convert, judge, and write results/voice.json
    python benchmarks/voice.py --minutes 1            for a look; writes no result
    python benchmarks/voice.py --folder FOLDER        keep runs and sounds there; what is there already is not made anew

Every test clip of the official split is given each of the other five voices. Nobody has trained on these clips: neither
the autoencoder nor the two classifiers, of speakers and of digits, which then hear the converted wav files.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from machine import processor

from penstock.core.machine import cores
from penstock.data.named import load

DATA = "free-spoken-digit-dataset"
SIZES = "--net.code 32 --net.width 96 --batch-size 32 --optim.lr 2e-3 --precision float32"
TRAINS = f"reconstruct --data {DATA} --told speaker {SIZES} --epochs 40"
ONE_VOICE = f"reconstruct --data {DATA} --only speaker={{speaker}} --net.anonymous {SIZES} --epochs 160"
ALONE = "jackson"
"""The voice of the simple case, in which nothing but it is learnt."""
BARS = {"target": 0.7, "digit": 0.8}
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Train the judges and the autoencoders, convert, and write what the judges say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, help="train each no longer, and write no result")
    parser.add_argument("--folder", type=Path, help="keep runs and sounds there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        result = measured(given.folder or Path(scratch), given.minutes)
    print(json.dumps(result, indent=1))
    if not given.minutes:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "voice.json").write_text(json.dumps(result, indent=1) + "\n")


def measured(folder: Path, minutes: float | None) -> dict[str, Any]:
    """The result of both cases, told and alone."""
    clips = Clips()
    judges = {
        "digit": train(folder, f"classify --data {DATA}", "digits", minutes),
        "speaker": train(folder, f"classify --data {DATA} --target speaker", "speakers", minutes),
    }
    began = time.perf_counter()
    told = train(folder, TRAINS, "voices", minutes)
    seconds = time.perf_counter() - began
    heard = []
    for speaker in clips.speakers:
        heard += clips.judged(folder, told, judges, speaker, ["--told", f"speaker={speaker}"])
    alone = train(folder, ONE_VOICE.format(speaker=ALONE), f"only-{ALONE}", minutes)
    through = clips.judged(folder, alone, judges, ALONE, [])
    found = shares(heard)
    return {
        "case": "voices of free-spoken-digit-dataset converted, test clips to each of the other five speakers",
        "command": "python benchmarks/voice.py",
        "trains": f"penstock train {TRAINS}",
        "converts": "penstock reconstruct RUN CLIPS --told speaker=NAME --output FOLDER",
        "clips": len(heard),
        **found,
        "bars": BARS,
        "reached": all(found[name] >= bar for name, bar in BARS.items()),
        "to": {name: shares([one for one in heard if one["to"] == name]) for name in clips.speakers},
        "real clips": {name: metrics(run)["accuracy"] for name, run in judges.items()},
        "one voice alone": {
            "trains": f"penstock train {ONE_VOICE.format(speaker=ALONE)}",
            "clips": len(through),
            **shares(through),
        },
        "training_seconds": round(seconds, 1),
        "machine": f"{platform.machine()}, {processor()}, {cores()} cores",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


class Clips:
    """The test clips, with digit and speaker."""

    def __init__(self) -> None:
        found = load(DATA)
        assert found.sounds is not None
        assert found.splits is not None
        rows = np.flatnonzero(found.splits == "test")
        self.clips = [
            (found.sounds.files[row], found.sounds.labels[row], found.sounds.about["speaker"][row]) for row in rows
        ]
        self.speakers = sorted({speaker for _, _, speaker in self.clips})

    def judged(
        self, folder: Path, run: Path, judges: Mapping[str, Path], speaker: str, told: Sequence[str]
    ) -> list[dict[str, str]]:
        """The clips of all others, converted to this speaker, as the judges hear them."""
        chosen = [clip for clip in self.clips if clip[2] != speaker]
        converted = folder / "converted" / f"{run.name}-{speaker}"
        if not converted.is_dir():
            converted.parent.mkdir(parents=True, exist_ok=True)
            penstock(
                ["reconstruct", str(run), *(str(file) for file, _, _ in chosen), *told, "--output", str(converted)]
            )
        said = {name: predictions(folder, judge, converted) for name, judge in judges.items()}
        return [
            {"to": speaker, "from": origin, "digit": digit, "heard digit": one, "heard speaker": other}
            for (_, digit, origin), one, other in zip(chosen, said["digit"], said["speaker"], strict=True)
        ]


def shares(heard: Sequence[Mapping[str, str]]) -> dict[str, float]:
    """How many are taken for the target's voice, how many still for the source's, and of how many the digit is read."""
    counts = Counter[str]()
    for one in heard:
        counts["target"] += one["heard speaker"] == one["to"]
        counts["source"] += one["heard speaker"] == one["from"]
        counts["digit"] += one["heard digit"] == one["digit"]
    return {name: round(counts[name] / len(heard), 4) for name in ("target", "source", "digit")}


def train(folder: Path, words: str, name: str, minutes: float | None) -> Path:
    """The folder of a run."""
    run = folder / words.split()[0] / name
    if not (run / "evaluation.json").is_file():
        limit = ["--minutes", str(minutes)] if minutes else []
        penstock(["train", *words.split(), *limit, "--runs", str(folder), "--name", name])
    return run


def metrics(run: Path) -> dict[str, float]:
    """Of a run, on its test split."""
    found: dict[str, float] = json.loads((run / "evaluation.json").read_text())["metrics"]
    return found


def predictions(folder: Path, run: Path, sounds: Path) -> list[str]:
    """What a run says to the wav files in a folder, in their order."""
    said = folder / "said.json"
    penstock(["predict", str(run), str(sounds), "--format", "json", "--output", str(said)])
    rows = sorted(json.loads(said.read_text()), key=lambda row: int(Path(row["input"]).stem))
    return [row["prediction"] for row in rows]


def penstock(words: Sequence[str]) -> None:
    """One whole command."""
    subprocess.run([sys.executable, "-m", "penstock", *words], check=True)


if __name__ == "__main__":
    main()
