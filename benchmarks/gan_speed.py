"""Images a second of a DCGAN, through the engine and in a loop of one's own with two optimizers.

    python benchmarks/gan_speed.py [--rounds 10] [--steps 50] [--threads 2]

Both train the same networks from the same weights on the same batches of Fashion-MNIST, batch 64, with Adam: the engine
with its automatic precision and layout, the loop as such loops are usually written. They take turns, so many steps each
and so many rounds; the medians are compared, and at the end how near samples of both are to real ones, in coarse
pixels. Writes results/gan-speed.json.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import shlex
import statistics
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import processor
from torch import Tensor, nn
from torch.nn.functional import softplus

from penstock.core.machine import cores
from penstock.core.random import seed_all
from penstock.data.examples import InMemory
from penstock.data.keyed import Keyed
from penstock.data.named import load
from penstock.data.pixels import PixelScaling, PixelTransform
from penstock.data.sources import Shuffled
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.engine.watcher import Row, Watcher
from penstock.metrics.generation import frechet
from penstock.models.dcgan import DCGANGenerator, DCGANTrunk
from penstock.models.discriminator import Discriminator, PlainHead
from penstock.models.generator import Generator
from penstock.objectives.adversarial import Adversarial
from penstock.optim.adam import Adam
from penstock.recipes.examiner import CoarseExaminer

BATCH, CODE, WIDTH, RATE, BETAS = 64, 100, 64, 2e-4, (0.5, 0.999)
BAR, NEARLY = 1.5, 0.35
"""How many times as fast the engine is to be, and by how much the Fréchet distances may differ, as a share."""
SAMPLES = 5000


class Loop:
    """Two networks and two optimizers, in float32."""

    def __init__(self, generator: Generator, discriminator: Discriminator, pictures: Tensor) -> None:
        self.generator, self.discriminator, self.pictures = generator, discriminator, pictures
        self.optimizers = [
            torch.optim.Adam(network.parameters(), lr=RATE, betas=BETAS) for network in (generator, discriminator)
        ]
        self.rows = torch.Generator().manual_seed(0)

    def step(self) -> None:
        """The discriminator's turn and the generator's."""
        of_generator, of_discriminator = self.optimizers
        real = self.pictures[torch.randint(len(self.pictures), (BATCH,), generator=self.rows)].float() / 127.5 - 1
        of_discriminator.zero_grad()
        fake = self.generator(torch.randn(BATCH, CODE))
        loss = (
            softplus(-self.discriminator(real).score).mean() + softplus(self.discriminator(fake.detach()).score).mean()
        )
        loss.backward()
        of_discriminator.step()
        of_generator.zero_grad()
        loss = softplus(-self.discriminator(self.generator(torch.randn(BATCH, CODE))).score).mean()
        loss.backward()
        of_generator.step()


class Turns(Watcher):
    """Times the engine from log to log, and lets the loop make as many steps in between."""

    def __init__(self, loop: Loop, steps: int) -> None:
        self.loop, self.steps, self.since = loop, steps, 0.0
        self.engine_seconds: list[float] = []
        self.loop_seconds: list[float] = []

    def measured(self, row: Row) -> None:
        """The engine has made its steps."""
        now = time.perf_counter()
        if self.since:  # the first round finds out about the machine
            self.engine_seconds.append(now - self.since)
        for _ in range(self.steps):
            self.loop.step()
        if self.since:
            self.loop_seconds.append(time.perf_counter() - now)
        self.since = time.perf_counter()


def networks() -> tuple[Generator, Discriminator]:
    """As in Radford et al. 2016, for 28 pixels a side."""
    generator = Generator(
        code=CODE, body=lambda inputs: DCGANGenerator(inputs=inputs, channels=1, size=28, width=WIDTH)
    )
    trunk = DCGANTrunk(channels=1, size=28, width=WIDTH, norm=nn.BatchNorm2d)
    return generator, Discriminator(trunk, PlainHead(trunk.outputs))


def nearness(generator: nn.Module, pictures: Tensor) -> float:
    """The Fréchet distance of samples from as many pictures, in coarse pixels."""
    look = CoarseExaminer()
    generator.eval()
    with torch.no_grad():
        codes = torch.randn(SAMPLES, CODE, generator=torch.Generator().manual_seed(1))
        made = torch.cat([generator(part) for part in torch.split(codes, 250)])
    return frechet(look(pictures[:SAMPLES].float() / 127.5 - 1), look(made.float()))


def main() -> None:
    """Run it once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    found, load_before = load("fashion-mnist"), os.getloadavg()[0]
    assert found.images is not None
    pictures = torch.from_numpy(np.ascontiguousarray(found.images)).reshape(-1, 1, 28, 28)[:60_000]
    seed_all(0)
    ours = networks()
    loop = Loop(*copy.deepcopy(ours), pictures)
    for network in (loop.generator, loop.discriminator):
        network.train()
    objective = Adversarial(*ours)
    half = PixelTransform(PixelScaling([127.5], [127.5]))
    source = Shuffled(
        InMemory({"image": pictures}), torch.arange(len(pictures)), batch_size=BATCH, seed=0, transform=Keyed(half)
    )
    plan = Plan(steps=(given.rounds + 1) * given.steps, log_every=given.steps, threads=given.threads, device="cpu")
    turns, adam = Turns(loop, given.steps), Adam(lr=RATE, beta1=BETAS[0], beta2=BETAS[1])
    engine = Engine(objective, source, plan, {"generator": adam, "discriminator": adam}, watchers=[turns])
    engine.run()
    rates = {
        name: BATCH * given.steps / statistics.median(seconds)
        for name, seconds in (("engine", turns.engine_seconds), ("loop", turns.loop_seconds))
    }
    near = {"engine": nearness(ours[0], pictures), "loop": nearness(loop.generator, pictures)}
    times = rates["engine"] / rates["loop"]
    result: dict[str, Any] = {
        "case": f"DCGAN of {WIDTH} channels, fashion-mnist, batch {BATCH}",
        "command": "python benchmarks/gan_speed.py",
        "ran_as": shlex.join(["python", *sys.argv]),
        "images_per_second": {name: round(rate, 1) for name, rate in rates.items()},
        "times": round(times, 3),
        "bar": BAR,
        "reached": times >= BAR,
        "steps_of_each": (given.rounds + 1) * given.steps,
        "frechet_in_coarse_pixels": {name: round(value, 4) for name, value in near.items()},
        "alike": abs(near["engine"] - near["loop"]) <= NEARLY * max(near.values()),
        "engine": {"precision": engine.plan.precision, "threads": engine.plan.threads, "channels_last": True},
        "seconds_a_round": {
            "engine": [round(value, 3) for value in turns.engine_seconds],
            "loop": [round(value, 3) for value in turns.loop_seconds],
        },
        "machine": f"{processor()}, {cores()} cores, torch {torch.__version__}",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "load_before_and_after": [round(value, 1) for value in (load_before, os.getloadavg()[0])],
    }
    results = Path(__file__).parent / "results"
    (results / "gan-speed.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({key: result[key] for key in ("images_per_second", "times", "frechet_in_coarse_pixels")}))


if __name__ == "__main__":
    main()
