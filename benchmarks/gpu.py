"""Seconds an epoch on a machine with CUDA: Penstock in bf16, eager and compiled, and Lightning in bf16-mixed.

    python benchmarks/gpu.py                                              both networks; needs lightning installed
    python benchmarks/gpu.py --device cpu --examples 1024 --epochs 1      tries the script itself where there is no GPU

Each training is a process of its own, by turns; the first epoch, in which things are compiled, is counted apart. What
the best could be is measured beside it: the rate of one large product in bf16, of which each training reaches a share.
Lightning's loader has workers and pinned memory, as its guide for speed advises. Writes results/gpu.json.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peers.cases import Data, pictures
from peers.laps import Laps
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from penstock import Adam, Classification, Engine, InMemory, Plan, Shuffled, Watcher
from penstock.models.cnn import CNN
from penstock.models.resnet import resnet18

RESULTS = Path(__file__).parent / "results" / "gpu.json"
ROUNDS, SIDE = 3, 8192


class Network(NamedTuple):
    """What is trained, and on what."""

    title: str
    model: Callable[[], nn.Module]
    data: Callable[[int], Data]
    examples: int
    batch: int


def photographs(examples: int) -> Data:
    """Noise in the shape of CIFAR's pictures (N, 3, 32, 32): speed does not depend on what they show."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(examples, 3, 32, 32, generator=generator)
    return Data(x.numpy(), torch.randint(0, 10, (examples,), generator=generator).numpy(), "random pictures")


NETWORKS = {
    "cnn": Network(
        "cnn on 28 x 28 pictures, batch 512",
        lambda: CNN(channels=1, height=28, width=28, outputs=10),
        pictures,
        59_904,
        512,
    ),
    "resnet18": Network(
        "resnet18 on 3 x 32 x 32 pictures, batch 512", lambda: resnet18(outputs=10), photographs, 49_664, 512
    ),
}
ROWS = {
    "compiled": "Penstock, bf16, compiled",
    "eager": "Penstock, bf16, eager",
    "lightning": "Lightning, bf16-mixed",
    "lightning-compiled": "Lightning, bf16-mixed, torch.compile",
}


class LapWatcher(Watcher):
    """Sees an epoch end in the engine's rows, of which there is one an epoch here."""

    def __init__(self, laps: Laps, wait: Callable[[], None]) -> None:
        self.laps, self.wait = laps, wait

    def measured(self, row: dict[str, Any]) -> None:
        """Once the device is done."""
        self.wait()
        self.laps.lap()


def penstock(network: Network, model: nn.Module, data: Data, laps: Laps, device: str, *, compiled: bool) -> None:
    """The engine, with the examples on the device."""
    tensors = {"x": torch.from_numpy(data.x), "target": torch.from_numpy(data.y)}
    examples = InMemory(tensors).to(torch.device(device))
    source = Shuffled(examples, torch.arange(len(data.x)), batch_size=network.batch, seed=0)
    plan = Plan(
        epochs=laps.total,
        device=device,
        precision="bf16",
        compile="on" if compiled else "off",
        log_every=source.epoch_steps,
    )
    watcher = LapWatcher(laps, waiter(device))
    Engine(Classification(model, ["x"]), source, plan, {"model": Adam(lr=1e-3)}, watchers=[watcher]).run()


def lightning(network: Network, model: nn.Module, data: Data, laps: Laps, device: str, *, compiled: bool) -> None:
    """The Trainer, with everything that is not training turned off."""
    import lightning as pl

    wait = waiter(device)
    net = torch.compile(model) if compiled else model

    class Module(pl.LightningModule):
        """The introduction's, without logging."""

        def __init__(self) -> None:
            super().__init__()
            self.net, self.criterion = net, nn.CrossEntropyLoss()

        def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
            loss: Tensor = self.criterion(self.net(batch[0]), batch[1])
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=1e-3)

        def on_train_epoch_end(self) -> None:
            wait()
            laps.lap()

    workers = {"num_workers": 4, "persistent_workers": True, "pin_memory": True} if device != "cpu" else {}
    pairs = TensorDataset(torch.from_numpy(data.x), torch.from_numpy(data.y))
    loader = DataLoader(pairs, batch_size=network.batch, shuffle=True, **workers)
    trainer = pl.Trainer(
        accelerator="cpu" if device == "cpu" else "gpu",
        devices=1,
        max_epochs=laps.total,
        precision="bf16-mixed",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Module(), loader)


def waiter(device: str) -> Callable[[], None]:
    """What waits until the device has done all that it was given."""
    return (lambda: None) if device == "cpu" else torch.cuda.synchronize


def peak(device: str, side: int) -> float:
    """TFLOP/s of a product of two square matrices in bf16: the best of several."""
    a = torch.randn(side, side, device=device, dtype=torch.bfloat16)
    wait, best = waiter(device), float("inf")
    for _ in range(10):
        wait()
        began = time.perf_counter()
        a @ a
        wait()
        best = min(best, time.perf_counter() - began)
    return 2 * side**3 / best / 1e12


def step_flops(network: Network, data: Data) -> float:
    """Multiplications and additions of one step, forward and back, as torch counts them."""
    model = network.model()
    with FlopCounterMode(display=False) as counter:
        nn.functional.cross_entropy(model(torch.from_numpy(data.x[:8])), torch.from_numpy(data.y[:8])).backward()
    return counter.get_total_flops() / 8 * network.batch


def one(name: str, row: str, device: str, examples: int | None, epochs: int) -> dict[str, Any]:
    """One training in this process."""
    network = NETWORKS[name]
    examples = examples or network.examples
    data = network.data(examples)
    torch.manual_seed(0)
    model = network.model()
    laps = Laps(1, epochs)
    train = lightning if row.startswith("lightning") else penstock
    train(network, model, data, laps, device, compiled="compiled" in row)
    first, rest = laps.seconds()
    seconds = rest / epochs
    rate = step_flops(network, data) * (examples / network.batch) / seconds / 1e12
    side = SIDE if device != "cpu" else 1024
    return {
        "first_epoch_seconds": round(first, 3),
        "epoch_seconds": round(seconds, 4),
        "tflops": round(rate, 2),
        "peak_tflops": round(peak(device, side), 1),
        "loss": round(final_loss(model.to(device), data, device), 4),
    }


@torch.no_grad()
def final_loss(model: nn.Module, data: Data, device: str) -> float:
    """On the first examples, by the trained weights in float32."""
    x, y = torch.from_numpy(data.x[:4096]).to(device), torch.from_numpy(data.y[:4096]).to(device)
    return float(nn.functional.cross_entropy(model.eval()(x), y))


def main() -> None:
    """All networks and rows, by turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--examples", type=int, help="an epoch, in whole batches of 512")
    parser.add_argument("--epochs", type=int, default=5, help="that count, after the first")
    parser.add_argument("--one", nargs=2, metavar=("NETWORK", "ROW"), help="only this one, in this process")
    given = parser.parse_args()
    if given.device.startswith("cuda") and not torch.cuda.is_available():
        raise SystemExit("benchmarks/gpu.py: no CUDA device was found; run it on a machine that has one")
    if given.one:
        print(json.dumps(one(*given.one, given.device, given.examples, given.epochs)))
        return
    rows = [row for row in ROWS if not row.startswith("lightning") or importlib.util.find_spec("lightning")]
    if len(rows) < len(ROWS):
        print("Lightning is skipped, for it is not installed; install it with: pip install lightning")
    found: dict[str, dict[str, list[dict[str, Any]]]] = {name: {row: [] for row in rows} for name in NETWORKS}
    for number in range(ROUNDS):
        for name in NETWORKS:
            for row in rows:
                words = [sys.executable, __file__, "--device", given.device, "--epochs", str(given.epochs)]
                words += ["--examples", str(given.examples)] if given.examples else []
                done = subprocess.run([*words, "--one", name, row], capture_output=True, text=True, check=False)
                if done.returncode:
                    raise SystemExit(f"{name}, {ROWS[row]}: failed: {done.stderr.strip().splitlines()[-1]}")
                found[name][row].append(json.loads(done.stdout.splitlines()[-1]))
                print(f"{name}, round {number + 1}: {ROWS[row]}: {found[name][row][-1]}", flush=True)
    cuda = given.device.startswith("cuda")
    result = {
        "command": "python benchmarks/gpu.py",
        "device": torch.cuda.get_device_name() if cuda else "the processor: a trial of the script, not a measurement",
        "torch": torch.__version__,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "rounds": found,
    }
    if cuda:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for name, measured in found.items():
        print(f"{NETWORKS[name].title}; {result['device']}, torch {torch.__version__}")
        for row, several in measured.items():
            seconds = statistics.median(each["epoch_seconds"] for each in several)
            share = statistics.median(each["tflops"] / each["peak_tflops"] for each in several)
            first = several[0]["first_epoch_seconds"]
            print(f"  {ROWS[row]:<40} {seconds:8.3f} s an epoch, {share:6.1%} of the peak; first epoch {first:.1f} s")


if __name__ == "__main__":
    main()
