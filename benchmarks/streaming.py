"""Training on pictures that are read from the disk as needed, against the same pictures held in memory.

    python benchmarks/streaming.py [--pictures 20000] [--side 64] [--steps 4] [--rounds 9] [--epochs 5]

Makes pictures on the disk and trains the default cnn on them in three ways, which take turns, a block of steps each,
in one process: held in memory; streamed with a budget that holds half of the decoded pictures; streamed with none kept,
so that every picture is decoded again in every epoch. Each is what `penstock train` builds, with the number of workers
that it chooses. All see the same batches: that their losses agree to the last bit is checked. Beside the time stands
the processor time of this process and its workers, which a busy machine falsifies less. Then the sources alone, without
training, go through several epochs, while the resident memory of this process and its workers is watched.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from penstock.core.machine import cores, share_cores

share_cores()  # as the command does, before the first parallel region

from penstock.data.image_files import ImageFiles  # noqa: E402
from penstock.engine.engine import Engine  # noqa: E402
from penstock.engine.watcher import Row, Watcher  # noqa: E402
from penstock.recipes.classify import Classify  # noqa: E402
from penstock.recipes.job import Job, Supplied  # noqa: E402
from penstock.run.execute import make_engine  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "streaming.json"
BAR = 0.9
CLASSES = 10


def make_pictures(folder: Path, count: int, side: int) -> int:
    """Coloured pictures with large shapes and some noise, half PNG and half JPEG; their bytes on the disk."""
    rng = np.random.default_rng(0)
    for label in range(CLASSES):
        (folder / f"class {label}").mkdir(parents=True)
    size = 0
    for number in range(count):
        label = number % CLASSES
        coarse = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        coarse[label % 6, :, label % 3] = 255
        smooth = np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC), dtype=np.int16)
        pixels = np.clip(smooth + rng.integers(-6, 7, smooth.shape), 0, 255).astype(np.uint8)
        path = folder / f"class {label}" / f"{number}.{'png' if number % 20 < 10 else 'jpg'}"
        Image.fromarray(pixels).save(path, **({} if path.suffix == ".png" else {"quality": 90}))
        size += path.stat().st_size
    return size


class Last(Watcher):
    """The last loss that was measured."""

    def __init__(self) -> None:
        self.loss = float("nan")

    def measured(self, row: Row) -> None:
        self.loss = float(row["loss"])


class Way:
    """One way of reading, and an engine that trains on it."""

    def __init__(self, data: Path, memory: float) -> None:
        settings = {"data": str(data), "image": {"memory": memory}, "steps": 10**9, "log_every": 8}
        self.job: Job = Classify.parse(settings).build(Supplied())
        self.engine: Engine = make_engine(self.job)
        self.engine.validation = None
        self.last = Last()
        self.engine.watchers = [self.last]
        self.seconds: list[float] = []
        self.processor_seconds: list[float] = []

    def block(self, steps: int) -> None:
        """Train so many steps on; dropout draws what it draws in the other ways."""
        torch.manual_seed(self.engine.clock.step)
        self.engine.clock.total = self.engine.clock.step + steps
        began, busy = time.perf_counter(), self._processor_seconds()
        self.engine.run()
        self.seconds.append(time.perf_counter() - began)
        self.processor_seconds.append(self._processor_seconds() - busy)

    def _processor_seconds(self) -> float:
        """Of this process, and of the workers that there are by now."""
        ticks = 0
        for pid in workers_of(self.job):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")

    def watched(self, epochs: int) -> dict[str, Any]:
        """Resident memory after each of some epochs of the source alone, and the rate."""
        source = self.job.source
        shown: dict[str, Any] = {"parent_mib": [], "workers_mib": []}
        began = time.perf_counter()
        for _ in range(epochs):
            for _ in range(source.epoch_steps):
                next(source)
            shown["parent_mib"].append(resident(os.getpid()))
            shown["workers_mib"].append(sum(map(resident, workers_of(self.job))))
        rate = epochs * len(source.indices) / (time.perf_counter() - began)
        return {"images_per_second_without_training": round(rate), **shown}


def workers_of(job: Job) -> list[int]:
    """The processes that read for a job."""
    examples = job.source.examples
    pool = examples._reader.pool if isinstance(examples, ImageFiles) else None
    return [process.pid for process in pool.processes] if pool else []


def resident(pid: int) -> int:
    """MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20


def main() -> None:
    """Make the pictures, measure, write the result."""
    flags = argparse.ArgumentParser()
    for name, value in (("pictures", 20_000), ("side", 64), ("steps", 4), ("rounds", 9), ("epochs", 5)):
        flags.add_argument(f"--{name}", type=int, default=value)
    given = flags.parse_args()
    load = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory() as folder:
        disk = make_pictures(Path(folder) / "pictures", given.pictures, given.side)
        result = measured(Path(folder) / "pictures", given)
    decoded = given.pictures * given.side**2 * 3
    result = {
        "command": shlex.join(["python", *sys.argv]),
        "machine": f"{os.uname().machine}, {cores()} cores, torch {torch.__version__}",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "load_before_and_after": [round(value, 1) for value in (*load, os.getloadavg()[0])],
        "bar": BAR,
        "pictures": given.pictures,
        "side": given.side,
        "mib_on_disk": disk >> 20,
        "mib_decoded": decoded >> 20,
        **result,
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def measured(data: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Rounds of all three ways, in turn."""
    torch.set_num_threads(cores())
    half = given.pictures * given.side**2 * 3 / 2**31
    makers: dict[str, Callable[[], Way]] = {
        "held": lambda: Way(data, 4.0),
        "half kept": lambda: Way(data, half),
        "none kept": lambda: Way(data, 1e-9),
    }
    ways = {name: make() for name, make in makers.items()}
    assert [way.job.facts["image"]["detail"].count("as needed") for way in ways.values()] == [0, 1, 1]
    for way in ways.values():
        way.block(4)
    order = list(ways.values())
    for number in range(given.rounds):
        for way in order[number % 3 :] + order[: number % 3]:
            way.block(given.steps)
    losses = {way.last.loss for way in ways.values()}
    assert len(losses) == 1, f"the ways differ: losses {losses}"
    held = ways["held"]
    batch = held.job.source.batch_size
    rows = {}
    for name, way in ways.items():
        seconds = way.seconds[1:]
        rows[name] = {
            "images_per_second": round(given.steps * batch / statistics.median(seconds), 1),
            "ratio": round(statistics.median(a / b for a, b in zip(held.seconds[1:], seconds, strict=True)), 3),
            "processor_ratio": round(
                statistics.median(
                    a / b for a, b in zip(held.processor_seconds[1:], way.processor_seconds[1:], strict=True)
                ),
                3,
            ),
            "seconds_of_each_block": [round(value, 3) for value in seconds],
            "workers": way.job.recipe.image.workers,
        }
    for name, way in ways.items():
        if way is not held:
            rows[name] |= way.watched(given.epochs)
        way.job.close()
    return {"batch_size": batch, "steps_a_block": given.steps, "loss": losses.pop(), "rows": rows}


if __name__ == "__main__":
    main()
