"""How good generated pictures are: Fashion-MNIST, each family for at most half an hour on two cores.

    python benchmarks/generation.py                          all cases, 30 minutes each
    python benchmarks/generation.py dcgan diffusion          some cases
    python benchmarks/generation.py dcgan --runs FOLDER      keeps the runs there; what is there is measured again

Each case is a whole `penstock train` command with `--minutes`, and its samples are looked at by a judge: a classifier
of the same architecture as the examiners of the runs, trained apart with another seed. It is kept with the runs.
Fréchet distances are of the judge's features, between 10,000 samples and the 10,000 test images, with 10,000 training
images beside them. Each case writes results/generation-CASE.json and a sheet, ../docs/pictures/generation-CASE.png.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import processor
from PIL import Image
from torch import Tensor

import penstock
from penstock.core.machine import cores
from penstock.data.named import load
from penstock.metrics.generation import fidelity, frechet
from penstock.recipes.examiner import ClassifierExaminer, examiner_from, looked_at
from penstock.recipes.sheets import FILM

RESULTS, PICTURES = Path(__file__).parent / "results", Path(__file__).parents[1] / "docs" / "pictures"
DATA = "fashion-mnist"
JUDGE = "classify --data fashion-mnist --model cnn --epochs 8 --seed 1000"
JUDGE_BAR, SURE, SURE_BAR, SHARES, AGREEMENT_BAR, LEARNED_BAR = 0.92, 0.9, 0.9, (0.05, 0.20), 0.92, 0.80
NEIGHBOURS = 2000
"""Examples of each side for precision, recall, density and coverage, whose time grows with the square."""
SHEET = 100
FRAMES, SMALL = 30, 400
"""Of the film for the guide, and its pixels a side."""


@dataclass(frozen=True)
class Case:
    """A command. `classes`: it is told of them."""

    title: str
    words: str
    classes: bool = False


CASES = {
    "dcgan": Case("DCGAN", "generate --model dcgan"),
    "conditional": Case("conditional DCGAN, projection", "generate --model dcgan --conditional", True),
    "auxiliary": Case(
        "conditional DCGAN, auxiliary classifier", "generate --model dcgan --conditional --gan.head auxiliary", True
    ),
    "sagan": Case("SAGAN", "generate --model sagan"),
    "diffusion": Case("diffusion, DDIM in 50 steps", "generate --model diffusion"),
    "vae": Case("variational autoencoder, 20 latents", "reconstruct --method variational --net.code 20"),
    "vae-gan": Case("VAE-GAN", "generate --model vae-gan"),
    "glo": Case("generative latent optimisation", "generate --model glo"),
    "energy": Case("energy-based", "generate --model energy"),
}


def trained(words: str, name: str, runs: Path) -> tuple[penstock.Run, float]:
    """A run, trained unless it is there, and the seconds of its process."""
    folder = runs / words.split()[0] / name
    began = time.perf_counter()
    command = [sys.executable, "-m", "penstock"]
    if (folder / "recipe.json").exists() and not (folder / "model").exists():
        subprocess.run([*command, "resume", str(folder)], check=True)
    elif not folder.exists():
        subprocess.run([*command, "train", *shlex.split(words), "--runs", str(runs), "--name", name], check=True)
    return penstock.load(folder), time.perf_counter() - began


def signed(pixels: np.ndarray) -> Tensor:
    """Pixels (N, C, H, W) uint8 from -1 to 1."""
    return torch.from_numpy(pixels).float() / 127.5 - 1


def judged(case: Case, run: penstock.Run, judge: ClassifierExaminer, count: int) -> dict[str, Any]:
    """What the judge makes of so many samples, and of as many real ones."""
    pixels, labels, parts = real_ones()
    began = time.perf_counter()
    samples = run.sample(count, seed=1).array
    seconds = time.perf_counter() - began
    test, other = signed(pixels[parts == "test"][:count]), signed(pixels[parts == "train"][:count])
    (made, said), (real, seen), (more, _) = (looked_at(judge, x) for x in (signed(samples), test, other))
    sure, usual = (float((found.max(1).values >= SURE).double().mean()) for found in (said, seen))
    shares = torch.bincount(said.argmax(1), minlength=len(judge.classes)).double() / count
    few = slice(None, None, max(count // NEIGHBOURS, 1))
    nearness = fidelity(real[few], made[few])
    found: dict[str, Any] = {
        "samples": count,
        "frechet": round(frechet(real, made), 4),
        "frechet_of_real_ones": round(frechet(real, more), 4),
        **{key: round(getattr(nearness, key), 4) for key in ("precision", "recall", "density", "coverage")},
        "sure": round(sure, 4),
        "sure_of_real_ones": round(usual, 4),
        "shares": dict(zip(judge.classes, [round(x, 4) for x in shares.tolist()], strict=True)),
        "sampling_seconds": round(seconds, 1),
    }
    reached = {
        "sure": sure >= SURE_BAR * usual,
        "shares": bool((shares.min() >= SHARES[0]) & (shares.max() <= SHARES[1])),
    }
    if case.classes:
        names = run.trained.config()["classes"]["names"]
        asked = [names[i % len(names)] for i in range(count)]
        given = [judge.classes[k] for k in said.argmax(1).tolist()]
        found["agreement"] = round(sum(a == b for a, b in zip(asked, given, strict=True)) / count, 4)
        found["learned_from_samples"] = round(learned(samples, asked, pixels, labels, parts), 4)
        reached["agreement"] = found["agreement"] >= AGREEMENT_BAR
        reached["learned_from_samples"] = found["learned_from_samples"] >= LEARNED_BAR
    return found | {"reached": reached}


def learned(samples: np.ndarray, asked: list[str], pixels: np.ndarray, labels: np.ndarray, parts: np.ndarray) -> float:
    """The accuracy on real test images of a classifier that saw samples alone."""
    data = {
        "x_train": samples,
        "y_train": np.array(asked),
        "x_test": pixels[parts == "test"],
        "y_test": labels[parts == "test"].astype(str),
    }
    with tempfile.TemporaryDirectory() as runs:
        run = penstock.train("classify", data=data, model="cnn", epochs=12, runs=runs, quiet=True)
        return run.evaluate()["accuracy"]


def real_ones() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels (N, 1, H, W), labels and parts."""
    found = load(DATA)
    assert found.images is not None
    assert found.labels is not None
    assert found.splits is not None
    return found.images.reshape(-1, 1, *found.images.shape[-2:]), np.asarray(found.labels), np.asarray(found.splits)


def pictured(name: str, run: penstock.Run) -> None:
    """The sheet, and of a game the film, small enough for a guide."""
    PICTURES.mkdir(exist_ok=True)
    run.sample(SHEET, seed=0).write(PICTURES / f"generation-{name}.png")
    if name != "dcgan" or not (run.folder / FILM).exists():
        return
    with Image.open(run.folder / FILM) as film:
        count = getattr(film, "n_frames", 1)
        chosen = sorted({round(at * (count - 1) / (FRAMES - 1)) for at in range(FRAMES)})
        frames = []
        for at in chosen:
            film.seek(at)
            frames.append(film.convert("L").resize((SMALL, SMALL), Image.Resampling.BOX).quantize(16))
    times = [200] * (len(frames) - 1) + [2000]
    target = PICTURES / f"generation-{name}.gif"
    frames[0].save(target, save_all=True, append_images=frames[1:], duration=times, loop=0)


def measure(name: str, minutes: float, count: int, runs: Path) -> Mapping[str, Any]:
    """One case."""
    case, load_before = CASES[name], os.getloadavg()[0]
    judge, _ = trained(JUDGE, "judge", runs)
    accuracy = judge.summary and json.loads((judge.folder / "evaluation.json").read_text())["metrics"]["accuracy"]
    verb, _, rest = case.words.partition(" ")
    words = f"{verb} --data {DATA} {rest} --minutes {minutes:g} --seed 0"
    run, seconds = trained(words, name, runs)
    found = judged(case, run, examiner_from(judge.trained, accuracy), count)
    pictured(name, run)
    reached = found.pop("reached") | {"judge": accuracy >= JUDGE_BAR}
    summary = run.summary
    return {
        "case": f"{DATA}, {case.title}",
        "command": f"python benchmarks/generation.py {name}",
        "ran_as": shlex.join(["python", *sys.argv]),
        "trains": f"penstock train {words}",
        "judge": {"trains": f"penstock train {JUDGE}", "accuracy": round(accuracy, 4)},
        **found,
        "bars": {
            "judge": JUDGE_BAR,
            "sure": f"{SURE_BAR} of what it is of real ones",
            "shares": list(SHARES),
            "agreement": AGREEMENT_BAR,
            "learned_from_samples": LEARNED_BAR,
        },
        "reached": reached,
        "parameters": summary["parameters"],
        "steps": summary["steps"],
        "epochs": round(summary["epochs"], 2),
        "best_epoch": (summary["best"] or {}).get("epoch"),
        "precision_of_training": summary["precision"],
        "threads": summary["threads"],
        "training_seconds": round(summary["seconds"], 1),
        "process_seconds": round(seconds, 1),
        "machine": f"{processor()}, {cores()} cores, torch {torch.__version__}",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "load_before_and_after": [round(value, 1) for value in (load_before, os.getloadavg()[0])],
    }


def main() -> None:
    """Run the cases that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--minutes", type=float, default=30.0, help="of each training")
    parser.add_argument("--samples", type=int, default=10_000, help="that are judged")
    parser.add_argument("--runs", type=Path, help="where the runs are kept; nowhere if not given")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as nowhere:
        for name in given.cases or CASES:
            result = measure(name, given.minutes, given.samples, given.runs or Path(nowhere))
            RESULTS.mkdir(exist_ok=True)
            (RESULTS / f"generation-{name}.json").write_text(json.dumps(result, indent=1) + "\n")
            shown = ("frechet", "sure", "agreement", "learned_from_samples", "reached")
            print(name, {key: result.get(key) for key in shown}, flush=True)


if __name__ == "__main__":
    main()
