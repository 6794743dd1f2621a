"""What one step of the engine is made of, in microseconds: an MLP 8-64-64-1, batch 256, float32, one thread.

    python benchmarks/overhead.py

Each part is run alone, many times, the parts taking turns; a number is the median over the rounds, in processor time.
The whole step is the engine's own loop. What it costs beyond batch, forward and backward pass in turn, which every loop
needs, is the engine's own part. A bare loop does the same work with `torch.optim.Adam(fused=True)` and
`clip_grad_norm_` on the same batches.
"""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch.nn import functional as F

from penstock import Adam, Engine, InMemory, Plan, Regression, Shuffled
from penstock.models.mlp import MLP

RESULTS = Path(__file__).parent / "results" / "overhead.json"
NEEDED = "batch, forward and backward"
ROUNDS, STEPS, BATCH, CLIP = 15, 400, 256, 1.0


def source() -> Shuffled:
    """20,480 rows, as batches of 256."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(20_480, 8, generator=generator)
    return Shuffled(InMemory({"x": x, "target": x.prod(1)}), torch.arange(len(x)), batch_size=BATCH, seed=0)


def engine(**plan: object) -> Engine:
    """One that goes on for as long as its clock is told."""
    torch.manual_seed(0)
    objective = Regression(MLP(inputs=8, outputs=1, hidden=(64, 64)), ["x"])
    settings = {"steps": 1, "device": "cpu", "threads": 1, "compile": "off", "log_every": 50, "keep": "last"}
    return Engine(objective, source(), Plan(**(settings | plan)), {"model": Adam(lr=1e-3)})  # type: ignore[arg-type]


def whole(**plan: object) -> Callable[[], None]:
    """The engine's loop, `STEPS` steps of it."""
    made = engine(precision="float32", onednn="off", **plan)

    def go_on() -> None:
        made.clock.total = made.clock.step + STEPS
        made.run()

    return go_on


def bare(clip: float | None) -> Callable[[], None]:
    """What a careful person writes, on the engine's own batches."""
    model = MLP(inputs=8, outputs=1, hidden=(64, 64))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    batches = source()

    def go_on() -> None:
        for _ in range(STEPS):
            batch = next(batches)
            optimizer.zero_grad()
            F.mse_loss(model(batch["x"])[:, 0], batch["target"]).backward()
            if clip is not None:
                torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()

    return go_on


def parts() -> dict[str, Callable[[], None]]:
    """Each part of a step, `STEPS` times."""
    made = engine(precision="float32", onednn="off", clip_norm=CLIP)
    role = made.stepper.roles["model"]
    batches, batch = source(), next(source())
    loss, norm = torch.tensor(1.0), torch.tensor(1.0)

    def forward_and_backward() -> None:
        made.objective.loss(batch).loss.backward()

    def repeated(part: Callable[[], object]) -> Callable[[], None]:
        def repeat() -> None:
            for _ in range(STEPS):
                part()

        return repeat

    def needed() -> None:
        made.objective.loss(next(batches)).loss.backward()

    return {
        NEEDED: repeated(needed),
        "batch": repeated(lambda: next(batches)),
        "forward and backward": repeated(forward_and_backward),
        "rate": repeated(lambda: role.rate_at(0.5)),
        "zero gradient": repeated(lambda: role.flat.gradient.zero_()),
        "read loss": repeated(lambda: loss.item()),
        "norm": repeated(lambda: torch.linalg.vector_norm(role.flat.gradient)),
        "read norm": repeated(lambda: norm.item()),
        "clip": repeated(lambda: role.flat.gradient.mul_(0.999)),
        "update": repeated(role.update),
    }


def main() -> None:
    """Measure, show and write down."""
    torch.set_num_threads(1)
    contestants = parts() | {
        "whole step": whole(),
        "whole step, clipping": whole(clip_norm=CLIP),
        "whole step, clipping and moving average": whole(clip_norm=CLIP, ema=0.99),
        "bare loop": bare(None),
        "bare loop, clipping": bare(CLIP),
    }
    rounds: dict[str, list[float]] = {name: [] for name in contestants}
    for warm in range(ROUNDS + 1):
        for name, contestant in contestants.items():
            began = time.process_time()
            contestant()
            if warm:
                rounds[name].append((time.process_time() - began) / STEPS * 1e6)
    found = {name: round(statistics.median(times), 1) for name, times in rounds.items()}
    needed = found[NEEDED]
    compared = ("whole step", "whole step, clipping", "bare loop, clipping")
    own = {name: round(found[name] - needed, 1) for name in compared}
    result = {
        "command": "python benchmarks/overhead.py",
        "machine": f"{platform.machine()}, {torch.cpu.get_capabilities()['cpu_name']}, torch {torch.__version__}",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "microseconds": found,
        "beyond batch, forward and backward": own,
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    for name, value in found.items():
        print(f"{value:8.1f}  {name}")
    for name, value in own.items():
        print(f"{value:8.1f}  {name}, beyond batch, forward and backward")


if __name__ == "__main__":
    main()
