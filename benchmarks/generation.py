"""How good generated pictures are: Fashion-MNIST, each family for so many minutes.

    python benchmarks/generation.py                          all cases, 30 minutes each
    python benchmarks/generation.py dcgan diffusion          some cases
    python benchmarks/generation.py --minutes 10             all, 10 minutes each
    python benchmarks/generation.py dcgan --runs FOLDER      keeps the runs there; what is there is measured again

Each case is a whole `penstock train` command with `--minutes`, and its samples are looked at by a judge: a classifier
of the same architecture as the examiners of the runs, trained apart with another seed. It is kept with the runs.
Fréchet distances are of the judge's features, between 10,000 samples and the 10,000 test images, with 10,000 training
images beside them. Each case writes results/generation-CASE-MINUTES.json and a sheet with the same name in
../docs/pictures; where codes are normal, samples from the middle of them are judged too.
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
JUDGE = (
    "classify --data fashion-mnist --model cnn --epochs 8 --batch-size 128 --image.flip --image.shift 0 "
    "--optim.lr 3e-3 --ema 0.999 --net.dropout 0.2 --seed 1000"
)
JUDGE_BAR, SURE, SURE_BAR, SHARES, AGREEMENT_BAR, LEARNED_BAR = 0.92, 0.9, 0.9, (0.05, 0.20), 0.92, 0.80
NEIGHBOURS = 2000
"""Examples of each side for precision, recall, density and coverage, whose time grows with the square."""
SHEET = 100
TRUNCATION = 0.7
"""Of codes, for the second look at samples."""
FRAMES, SMALL = 30, 400
"""Of the film for the guide, and its pixels a side."""


@dataclass(frozen=True)
class Case:
    """A command. `classes`: it is told of them. `normal`: so are its codes."""

    title: str
    words: str
    classes: bool = False
    normal: bool = True


CASES = {
    "dcgan": Case("DCGAN", "generate --model dcgan"),
    "conditional": Case("conditional DCGAN, projection", "generate --model dcgan --conditional", True),
    "auxiliary": Case(
        "conditional DCGAN, auxiliary classifier", "generate --model dcgan --conditional --gan.head auxiliary", True
    ),
    "sagan": Case("SAGAN", "generate --model sagan"),
    "diffusion": Case("diffusion, DDIM in 50 steps", "generate --model diffusion", normal=False),
    "vae": Case("variational autoencoder, 20 latents", "reconstruct --method variational --net.code 20"),
    "vae-gan": Case("VAE-GAN", "generate --model vae-gan"),
    "glo": Case("generative latent optimisation", "generate --model glo", normal=False),
    "energy": Case("energy-based", "generate --model energy", normal=False),
}


def trained(words: str, name: str, runs: Path) -> penstock.Run:
    """A run, trained unless it is there."""
    folder = runs / words.split()[0] / name
    command = [sys.executable, "-m", "penstock"]
    if (folder / "recipe.json").exists() and not (folder / "model").exists():
        subprocess.run([*command, "resume", str(folder)], check=True)
    elif not folder.exists():
        subprocess.run([*command, "train", *shlex.split(words), "--runs", str(runs), "--name", name], check=True)
    return penstock.load(folder)


def signed(pixels: np.ndarray) -> Tensor:
    """Pixels (N, C, H, W) uint8 from -1 to 1."""
    return torch.from_numpy(pixels).float() / 127.5 - 1


def judged(
    case: Case, run: penstock.Run, judge: ClassifierExaminer, count: int, truncation: float | None = None
) -> dict[str, Any]:
    """What the judge makes of so many samples."""
    pixels, labels, parts = real_ones()
    began = time.perf_counter()
    samples = run.sample(count, seed=1, truncation=truncation).array
    seconds = time.perf_counter() - began
    (made, said), (real, seen) = looked_at(judge, signed(samples)), looked_at(judge, real_pictures(count, "test"))
    shares = torch.bincount(said.argmax(1), minlength=len(judge.classes)).double() / count
    found: dict[str, Any] = {
        "samples": count,
        **near(real, made),
        "sure": sure(said),
        "shares": dict(zip(judge.classes, [round(x, 4) for x in shares.tolist()], strict=True)),
        "sampling_seconds": round(seconds, 1),
    }
    reached = {
        "sure": found["sure"] >= SURE_BAR * sure(seen),
        "shares": bool((shares.min() >= SHARES[0]) & (shares.max() <= SHARES[1])),
    }
    if case.classes:
        names = run.trained.config()["classes"]["names"]
        asked = [names[i % len(names)] for i in range(count)]
        given = [judge.classes[k] for k in said.argmax(1).tolist()]
        found["agreement"] = round(sum(a == b for a, b in zip(asked, given, strict=True)) / count, 4)
        reached["agreement"] = found["agreement"] >= AGREEMENT_BAR
    if case.classes and truncation is None:
        found["learned_from_samples"] = round(learned(samples, asked, pixels, labels, parts), 4)
        reached["learned_from_samples"] = found["learned_from_samples"] >= LEARNED_BAR
    return found | {"reached": reached}


def near(real: Tensor, made: Tensor) -> dict[str, float]:
    """Measures of features (N, F) of both."""
    nearness = fidelity(real[:NEIGHBOURS], made[:NEIGHBOURS])  # the first: of every n-th, classes in turn are missing
    measures = {key: round(getattr(nearness, key), 4) for key in ("precision", "recall", "density", "coverage")}
    return {"frechet": round(frechet(real, made), 4), **measures}


def sure(said: Tensor) -> float:
    """The share of probabilities (N, K) of which one is high."""
    return round(float((said.max(1).values >= SURE).double().mean()), 4)


def real_pictures(count: int, part: str) -> Tensor:
    """So many of the training or of the test."""
    pixels, _, parts = real_ones()
    return signed(pixels[parts == part][:count])


def of_real_ones(judge: ClassifierExaminer, count: int) -> dict[str, float]:
    """The same measures of training images beside those of the test, and how sure the judge is of the latter."""
    (real, seen), (other, _) = (looked_at(judge, real_pictures(count, part)) for part in ("test", "train"))
    return {**near(real, other), "sure": sure(seen)}


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


def pictured(name: str, run: penstock.Run, film: bool) -> None:
    """The sheet, and of a game the film, small enough for a guide."""
    PICTURES.mkdir(exist_ok=True)
    run.sample(SHEET, seed=0).write(PICTURES / f"generation-{name}.png")
    if not film or not (run.folder / FILM).exists():
        return
    with Image.open(run.folder / FILM) as frames_of:
        count = getattr(frames_of, "n_frames", 1)
        chosen = sorted({round(at * (count - 1) / (FRAMES - 1)) for at in range(FRAMES)})
        frames = []
        for at in chosen:
            frames_of.seek(at)
            frames.append(frames_of.convert("L").resize((SMALL, SMALL), Image.Resampling.BOX).quantize(16))
    times = [200] * (len(frames) - 1) + [2000]
    target = PICTURES / f"generation-{name}.gif"
    frames[0].save(target, save_all=True, append_images=frames[1:], duration=times, loop=0)


def measure(name: str, minutes: float, count: int, runs: Path) -> Mapping[str, Any]:
    """One case."""
    case, load_before, labelled = CASES[name], os.getloadavg()[0], f"{name}-{minutes:g}"
    judge_run = trained(JUDGE, "judge", runs)
    accuracy = json.loads((judge_run.folder / "evaluation.json").read_text())["metrics"]["accuracy"]
    judge = examiner_from(judge_run.trained, accuracy)
    verb, _, rest = case.words.partition(" ")
    words = f"{verb} --data {DATA} {rest} --minutes {minutes:g} --seed 0"
    run = trained(words, labelled, runs)
    found = judged(case, run, judge, count)
    reached = found.pop("reached") | {"judge": accuracy >= JUDGE_BAR}
    middle = {"bound": TRUNCATION, **judged(case, run, judge, count, TRUNCATION)} if case.normal else None
    pictured(labelled, run, film=name == "dcgan")
    summary = run.summary
    return {
        "case": f"{DATA}, {case.title}",
        "minutes": minutes,
        "command": f"python benchmarks/generation.py {name} --minutes {minutes:g}",
        "trains": f"penstock train {words}",
        "judge": {"trains": f"penstock train {JUDGE}", "accuracy": round(accuracy, 4)},
        **found,
        "of_real_ones": of_real_ones(judge, count),
        "truncated": middle,
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
            (RESULTS / f"generation-{name}-{given.minutes:g}.json").write_text(json.dumps(result, indent=1) + "\n")
            shown = ("frechet", "sure", "agreement", "learned_from_samples", "reached")
            print(name, {key: result.get(key) for key in shown}, flush=True)


if __name__ == "__main__":
    main()
