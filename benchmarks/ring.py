"""Eight normal distributions on a ring, in the plane: does a generator make them all, and nothing between them?

    python benchmarks/ring.py [CASE ...]        all cases, three seeds each, one thread; about a minute a run

The modes lie at distance 2 from the middle, 1.53 from one another, and have a standard deviation of 0.1. A sample is
near a mode within three of these; a mode is found where it has a tenth of its even share of near samples (see
penstock.metrics.modes). One case is a bad setting that collapses: the measures are to say so. Each case writes
results/ring-CASE.json with the command, the machine, the date and every seed's row.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from machine import processor

from penstock.core.draws import keys_of
from penstock.core.machine import cores
from penstock.core.random import seed_all
from penstock.data.examples import InMemory
from penstock.data.keyed import Keyed
from penstock.data.sources import Shuffled
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.metrics.generation import fidelity, frechet
from penstock.metrics.modes import Modes, modes_found
from penstock.models.discriminator import DenseTrunk, Discriminator, PlainHead
from penstock.models.generator import Generator
from penstock.models.mlp import MLP
from penstock.objectives.adversarial import Adversarial
from penstock.objectives.adversarial_losses import Wasserstein
from penstock.objectives.penalties import R1, GradientPenalty
from penstock.optim.adam import Adam
from penstock.optim.schedules import Cosine

RESULTS = Path(__file__).parent / "results"
MODES, RADIUS, DEVIATION = 8, 2.0, 0.1
POINTS, SAMPLES, SEEDS, BATCH, WIDTH = 8000, 4000, 3, 256, 64
MODES_BAR, NEAR_BAR = 8, 0.9


@dataclass(frozen=True)
class Case:
    """A way of training. `bad`: it is expected to miss modes."""

    title: str
    options: dict[str, Any]
    steps: int
    generator: Adam
    discriminator: Adam
    bad: bool = False

    def reached(self, modes: Modes) -> bool:
        """Whether the measures say what they should."""
        good = modes.found >= MODES_BAR and modes.near >= NEAR_BAR
        return not good if self.bad else good


def adam(lr: float) -> Adam:
    """Without momentum, in a game the usual choice; the rate falls to nothing."""
    return Adam(lr=lr, beta1=0.0, beta2=0.99, schedule=Cosine())


CASES: dict[str, Callable[[], Case]] = {
    "gan": lambda: Case(
        "GAN: non-saturating loss, R1 of 0.02", {"penalties": [R1(weight=0.02)]}, 6000, adam(2e-3), adam(2e-3)
    ),
    "wgan-gp": lambda: Case(
        "WGAN-GP: gradient penalty of 0.1",
        {"loss": Wasserstein(), "penalties": [GradientPenalty(weight=0.1)]},
        8000,
        adam(2e-3),
        adam(2e-3),
    ),
    "collapsed": lambda: Case(
        "a bad setting: no penalty, and a discriminator of a thirtieth of the generator's rate",
        {},
        2000,
        adam(1e-2),
        adam(3e-4),
        bad=True,
    ),
}


def centres() -> torch.Tensor:
    """(MODES, 2)."""
    angle = torch.arange(MODES) * (2 * math.pi / MODES)
    return RADIUS * torch.stack([angle.cos(), angle.sin()], 1)


def points(seed: int) -> torch.Tensor:
    """(POINTS, 2), as many of each mode."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(POINTS, 2, generator=generator)
    return centres()[torch.arange(POINTS) % MODES] + DEVIATION * noise


def measure(case: Case, seed: int) -> dict[str, Any]:
    """One training, and what its samples are like."""
    seed_all(seed)
    generator = Generator(code=16, body=lambda inputs: MLP(inputs=inputs, outputs=2, hidden=(WIDTH,) * 3))
    discriminator = Discriminator(DenseTrunk(inputs=2, hidden=(WIDTH,) * 3), PlainHead(WIDTH))
    objective = Adversarial(generator, discriminator, field="point", **case.options)
    stored = InMemory({"point": points(seed=0)})
    source = Shuffled(stored, torch.arange(POINTS), batch_size=BATCH, seed=seed, transform=Keyed())
    plan = Plan(
        steps=case.steps,
        ema=0.999,
        device="cpu",
        precision="float32",
        compile="off",
        onednn="off",
        threads=1,
        log_every=1000,
        seed=seed,
    )
    optimizers = {"generator": case.generator, "discriminator": case.discriminator}
    began = time.perf_counter()
    Engine(objective, source, plan, optimizers).run()
    seconds = time.perf_counter() - began
    with torch.no_grad():
        made = objective.sample(keys_of(seed + 100, torch.arange(SAMPLES)))
    real = points(seed=1)[:SAMPLES]
    modes, nearness = modes_found(made, centres(), DEVIATION), fidelity(real, made)
    return {
        "seed": seed,
        "modes": modes.found,
        "near": round(modes.near, 4),
        "counts": modes.counts.tolist(),
        "frechet": round(frechet(real, made), 5),
        "precision": round(nearness.precision, 4),
        "recall": round(nearness.recall, 4),
        "density": round(nearness.density, 4),
        "coverage": round(nearness.coverage, 4),
        "seconds": round(seconds, 1),
        "reached": case.reached(modes),
    }


def main() -> None:
    """Run the cases that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    torch.set_num_threads(1)
    for name in parser.parse_args().cases or CASES:
        case, rows, load = CASES[name](), [], [os.getloadavg()[0]]
        for seed in range(SEEDS):
            rows.append(measure(case, seed))
            print(name, rows[-1], flush=True)
        result = {
            "case": case.title,
            "command": f"python benchmarks/ring.py {name}",
            "ran_as": shlex.join(["python", *sys.argv]),
            "machine": f"{platform.machine()}, {processor()}, {cores()} cores, 1 thread, torch {torch.__version__}",
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            "load_before_and_after": [round(value, 1) for value in (*load, os.getloadavg()[0])],
            "radius": RADIUS,
            "deviation": DEVIATION,
            "steps": case.steps,
            "bar": "it is seen to miss modes" if case.bad else {"modes": MODES_BAR, "near": NEAR_BAR},
            "reached": all(row["reached"] for row in rows),
            "rows": rows,
        }
        (RESULTS / f"ring-{name}.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
