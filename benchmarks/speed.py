"""Steps per second of the engine against a hand-written in-memory PyTorch loop: same model, data, batches, optimizer.

    python benchmarks/speed.py

The two take turns, a block of steps each, in one process; the ratio is the median over the pairs of blocks. Both start
from the same weights and see the same batches: after 20 steps their losses must agree, and that is checked. The
hand-written loop is what a careful person writes: the data as tensors, shuffled by index once an epoch, torch's fused
AdamW, no DataLoader. It never reads the loss; the engine reads it, and looks at the gradient's norm, at every step.
"""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from penstock import AdamW, Classification, Engine, InMemory, Plan, Regression, Shuffled
from penstock.core.machine import cores
from penstock.core.random import derive
from penstock.models.cnn import CNN
from penstock.models.mlp import MLP

RESULTS = Path(__file__).parent / "results" / "speed.json"
PAIRS = 15


def mlp() -> tuple[nn.Module, torch.Tensor, torch.Tensor, int, bool]:
    """8-64-64-1 on 20,000 rows."""
    model = MLP(inputs=8, outputs=1, hidden=(64, 64))
    x = torch.randn(20_000, 8)
    return model, x, (x[:, 0] * x[:, 1]).sin() + 0.1 * torch.randn(20_000), 256, False


def cnn() -> tuple[nn.Module, torch.Tensor, torch.Tensor, int, bool]:
    """conv32-conv64-fc128 on 28 x 28 grey pictures."""
    model = CNN(
        channels=1, height=28, width=28, outputs=10, widths=(32, 64), convolutions=1, hidden=[128], batch_norm=False
    )
    return model, torch.randn(6_400, 1, 28, 28), torch.randint(0, 10, (6_400,)), 128, True


def hand_written(
    model: nn.Module, x: torch.Tensor, y: torch.Tensor, batch: int, classes: bool
) -> Iterator[torch.Tensor]:
    """One step each time it is advanced."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0, fused=True)
    epoch = 0
    while True:
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(derive(0, "order", epoch)))
        for start in range(0, len(x), batch):
            rows = order[start : start + batch]
            output = model(x[rows])
            target = y[rows]
            loss = F.cross_entropy(output, target) if classes else F.mse_loss(output.reshape(target.shape), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield loss.detach()
        epoch += 1


def engine_steps(
    model: nn.Module, x: torch.Tensor, y: torch.Tensor, batch: int, classes: bool
) -> Callable[[int], float]:
    """A function that lets the engine's own loop go on by so many steps."""
    examples = InMemory({"x": x, "target": y})
    source = Shuffled(examples, torch.arange(len(x)), batch_size=batch, seed=0)
    objective = Classification(model, ["x"]) if classes else Regression(model, ["x"])
    plan = Plan(steps=10**9, device="cpu", log_every=50)
    engine = Engine(objective, source, plan, {"model": AdamW(lr=1e-3, weight_decay=0.0)})

    def go_on(steps: int) -> float:
        engine.clock.total = engine.clock.step + steps
        began = time.perf_counter()
        engine.run()
        return time.perf_counter() - began

    return go_on


def compare(
    make: Callable[[], tuple[nn.Module, torch.Tensor, torch.Tensor, int, bool]], steps: int
) -> dict[str, float]:
    """Interleaved blocks of steps; medians."""
    torch.manual_seed(0)
    model, x, y, batch, classes = make()
    twin = make()[0]
    twin.load_state_dict(model.state_dict())
    engine = engine_steps(model, x, y, batch, classes)
    plain = hand_written(twin, x, y, batch, classes)

    def by_hand(count: int) -> float:
        began = time.perf_counter()
        for _ in range(count):
            next(plain)
        return time.perf_counter() - began

    def loss(net: nn.Module) -> float:
        with torch.no_grad():
            output = net.eval()(x[:2048])
        net.train()
        target = y[:2048]
        return float(F.cross_entropy(output, target) if classes else F.mse_loss(output.reshape(target.shape), target))

    engine(20), by_hand(20)
    assert abs(loss(model) - loss(twin)) < 1e-4, f"the two loops differ: losses {loss(model)} and {loss(twin)}"
    pairs = [(engine(steps), by_hand(steps)) for _ in range(PAIRS)]
    return {
        "engine_steps_per_second": round(steps / statistics.median(a for a, _ in pairs), 1),
        "hand_written_steps_per_second": round(steps / statistics.median(b for _, b in pairs), 1),
        "ratio": round(statistics.median(b / a for a, b in pairs), 3),
        "engine_loss": round(loss(model), 5),
        "hand_written_loss": round(loss(twin), 5),
    }


def main() -> None:
    """Both cases, on all cores."""
    torch.set_num_threads(cores())
    rows = {"MLP 8-64-64-1, batch 256": compare(mlp, 400), "CNN conv32-conv64-fc128, batch 128": compare(cnn, 12)}
    result = {
        "command": "python benchmarks/speed.py",
        "machine": f"{platform.machine()}, {cores()} cores, torch {torch.__version__}",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "bar": 0.95,
        "rows": rows,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    for name, row in rows.items():
        speeds = f"{row['engine_steps_per_second']} against {row['hand_written_steps_per_second']} steps/s"
        print(f"{name}: {row['ratio']:.2f} x ({speeds}), losses {row['engine_loss']} and {row['hand_written_loss']}")


if __name__ == "__main__":
    main()
