"""How long networks remember: the adding problem, in which two marked numbers of a long row are to be added.

    python benchmarks/memory.py                                    about an hour on two cores
    python benchmarks/memory.py --lengths 50 --models lstm gru     some of it
    python benchmarks/memory.py --picture                          draw what was measured

Of T numbers between 0 and 1 one in the first half is marked and one in the second; the answer after the last step is
their sum (Hochreiter and Schmidhuber 1997, "Long short-term memory", section 5.4, in the form of Le et al. 2015, "A
simple way to initialize recurrent networks of rectified linear units"). Always to say 1 is off by 1/6 (mean square):
who does no better has forgotten the first number. Every model has the same width and optimizer, and the same number of
steps, unless its error falls to a tenth of what counts as solved before. Beside it stands how large the gradient of the
answer is with respect to each step before. Writes results/memory.json after each network;
what is in it already is not measured again.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from machine import processor
from torch import Tensor, nn

from penstock.core.batch import Batch
from penstock.core.machine import cores
from penstock.core.random import derive, seed_all
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.models.horizon import gradients_through_time, horizon
from penstock.models.recurrent import GRU, LSTM, Elman
from penstock.models.tcn import TCN
from penstock.models.transformer import Encoder
from penstock.models.trunk import Trunk
from penstock.objectives.supervised import Regression
from penstock.optim.adam import Adam
from penstock.optim.schedules import Cosine

RESULT = Path(__file__).parent / "results" / "memory.json"
PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "memory.png"
LENGTHS = (50, 100, 200, 500)
WIDTH, BATCH, HELD_OUT = 64, 64, 1024
TRIVIAL, SOLVED = 1 / 6, 0.01
COLOURS = {"rnn": "#c75300", "lstm": "#0068a8", "gru": "#00795c", "tcn": "#8a5fbf", "transformer": "#59636e"}

MODELS: dict[str, Callable[[int], Trunk]] = {
    "rnn": lambda length: Elman(inputs=WIDTH, width=WIDTH),
    "lstm": lambda length: LSTM(inputs=WIDTH, width=WIDTH, memory=length),  # as much as the task asks for
    "gru": lambda length: GRU(inputs=WIDTH, width=WIDTH),
    "tcn": lambda length: TCN(inputs=WIDTH, width=WIDTH, layers=max((length // 4).bit_length(), 1)),
    "transformer": lambda length: Encoder(width=WIDTH, layers=2, heads=4),
}


class Adder(nn.Module):
    """Reads (B, T, 2) by a trunk and answers from the last step: (B, 1)."""

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.front, self.trunk, self.head = nn.Linear(2, WIDTH), trunk, nn.Linear(trunk.outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.trunk(self.front(x))[:, -1])
        return found


class Sums:
    """Rows to add, without end."""

    epoch_steps = 200

    def __init__(self, length: int, seed: int) -> None:
        self.length, self.seed, self.drawn = length, seed, 0

    def __next__(self) -> Batch:
        self.drawn += 1
        return self.batch(BATCH, self.drawn)

    def batch(self, count: int, number: int) -> Batch:
        """The batch of that number."""
        random = torch.Generator().manual_seed(derive(self.seed, "sums", number))
        values = torch.rand(count, self.length, generator=random)
        half = self.length // 2
        places = torch.stack([torch.randint(half, (count,), generator=random) + at for at in (0, half)], 1)
        marks = torch.zeros(count, self.length).scatter_(1, places, 1.0)
        return Batch(x=torch.stack([values, marks], 2), target=(values * marks).sum(1))

    def state_dict(self) -> dict[str, Any]:
        return {"drawn": self.drawn}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.drawn = state["drawn"]


def measure(name: str, length: int, steps: int, seed: int) -> dict[str, Any]:
    """Train one model on rows of one length."""
    seed_all(seed)
    net = Adder(MODELS[name](length))
    sums = Sums(length, seed)
    held_out = [sums.batch(HELD_OUT // 4, -number) for number in range(1, 5)]
    began, fresh = time.perf_counter(), reach(net, held_out[0])
    plan = Plan(steps=steps, until=SOLVED / 10, clip_norm=1.0, monitor="loss", precision="float32")
    engine = Engine(
        Regression(net, ["x"]), sums, plan, {"model": Adam(lr=2e-3, schedule=Cosine(warmup=0.05))}, validation=held_out
    )
    engine.run()
    error = mean_square(engine.objective, held_out)
    taught = reach(net, held_out[0])
    return {
        "model": name,
        "length": length,
        "seed": seed,
        "error": round(error, 5),
        "solved": error < SOLVED,
        "steps": engine.clock.step,
        "parameters": sum(p.numel() for p in net.parameters()),
        "seconds": round(time.perf_counter() - began, 1),
        "reach_before": horizon(fresh),
        "reach_after": horizon(taught),
        "gradients_before": [float(f"{value:.3g}") for value in fresh.tolist()],
        "gradients_after": [float(f"{value:.3g}") for value in taught.tolist()],
    }


def mean_square(objective: Regression, source: Iterable[Batch]) -> float:
    """The mean squared error on rows that were not trained on."""
    with torch.no_grad():
        return objective.eval().evaluate(source).metrics["loss"]


def reach(net: Adder, batch: Batch) -> Tensor:
    """Sizes of gradients by distance from the last step."""
    return gradients_through_time(net.trunk.eval(), net.front(batch["x"][:16]))


def draw(result: dict[str, Any]) -> None:
    """Errors over lengths, and gradients over distances at the longest length, before training and after."""
    from matplotlib.figure import Figure

    rows = result["rows"]
    lengths = sorted({row["length"] for row in rows})
    figure = Figure(figsize=(10, 3.4), layout="constrained", dpi=110)
    left, middle, right = figure.subplots(1, 3)
    for name, colour in COLOURS.items():
        own = {length: row for length in lengths for row in rows if (row["model"], row["length"]) == (name, length)}
        if own:
            left.plot(list(own), [row["error"] for row in own.values()], "o-", color=colour, label=name)
        if lengths[-1] in own:
            for axes, when in ((middle, "gradients_before"), (right, "gradients_after")):
                axes.plot([max(value, 1e-30) for value in own[lengths[-1]][when]], color=colour, linewidth=1)
    left.axhline(TRIVIAL, color="#59636e", linewidth=1, dashes=(4, 3))
    left.set(xscale="log", yscale="log", xlabel="length", title="mean squared error (dashed: always to say 1)")
    left.set_xticks(lengths, [str(length) for length in lengths], minor=False)
    left.minorticks_off()
    figure.legend(loc="outside lower center", ncols=len(COLOURS), frameon=False, fontsize=8)
    for axes, when in ((middle, "before training"), (right, "after training")):
        axes.set(yscale="log", ylim=(1e-12, 1e2), xlabel="steps back", title=f"gradient norm, {when}")
    for axes in (left, middle, right):
        axes.title.set_fontsize(9)
        axes.spines[["top", "right"]].set_visible(False)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE)


def main() -> None:
    """Measure what was asked for, or draw what has been measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", nargs="+", type=int, default=LENGTHS)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", action="store_true", help="draw the result that is there")
    parser.add_argument("--output", type=Path, default=RESULT)
    asked = parser.parse_args()
    if asked.picture:
        draw(json.loads(asked.output.read_text()))
        return
    rows = kept(asked.output, asked.steps, asked.seed)
    done = {(row["model"], row["length"]) for row in rows}
    for length in asked.lengths:
        for name in asked.models:
            if (name, length) in done:
                continue
            rows.append(measure(name, length, asked.steps, asked.seed))
            shown = {key: value for key, value in rows[-1].items() if not key.startswith("gradients")}
            print(json.dumps(shown), flush=True)
            result = {
                "case": f"adding problem: width {WIDTH}, {asked.steps} steps of {BATCH} rows at most, Adam 2e-3",
                "command": f"python benchmarks/memory.py --steps {asked.steps} --seed {asked.seed}",
                "steps": asked.steps,
                "trivial": round(TRIVIAL, 4),
                "solved_below": SOLVED,
                "machine": f"{platform.machine()}, {processor()}, {cores()} cores",
                "date": datetime.now(UTC).strftime("%Y-%m-%d"),
                "rows": rows,
            }
            asked.output.parent.mkdir(exist_ok=True)
            asked.output.write_text(json.dumps(result, indent=1) + "\n")
    if asked.output == RESULT:
        draw(json.loads(asked.output.read_text()))


def kept(place: Path, steps: int, seed: int) -> list[dict[str, Any]]:
    """What has been measured with so many steps and that seed: it is not measured again."""
    found = json.loads(place.read_text()) if place.exists() else {"steps": None, "rows": []}
    return [row for row in found["rows"] if found["steps"] == steps and row["seed"] == seed]


if __name__ == "__main__":
    main()
