"""Trading: made-up markets of which it is known what can be earned, and a real one, by `penstock train control`.

    python benchmarks/trading.py                  all cases
    python benchmarks/trading.py reversion walk   some of them

Five seeds each; of made-up markets a seed is another market, too. The agent learns from the first 60 % of the days,
its weights are chosen by the next 20 %, and the last are traded once. `reversion` is a market with a planted rule: the
bar is 60 % of what one earns who sees the rule's hidden state, in growth (logarithm of wealth), costs paid by both. In
`walk` nothing can be earned: the bar is to lose less than 2 % a year in the mean, trading less than a tenth of what
dice do. Of `aapl` there is no bar: it is what it is. Each case writes results/trading-CASE.json with every seed's row.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import torch
from machine import processor
from torch import Tensor

from penstock.core.machine import cores
from penstock.data.named import locate
from penstock.recipes.worlds import days_of
from penstock.rl.judge import judge
from penstock.rl.markets import Prices, Reversion, random_walk, reversion
from penstock.rl.tensor_environment import State
from penstock.rl.trading import DAY, HELD, WINDOW, Trading

RESULTS = Path(__file__).parent / "results"
DAYS = 20_000
"""Of a made-up market: with 201 numbers seen and so much noise, fewer are learned by heart."""
BAND = 0.008
"""Of the gap, within which one who knows it does nothing: the best on the days of training, to a few thousandths."""
SHARE, LOSS, LITTLE = 0.6, 0.02, 0.1
MANY = (
    "--environments 512 --rollout.steps 16 --rollout.rounds 3 --batch-size 2048 --rollout.decay 0.9 --discount 0.95"
    " --net.hidden 32 --world.normalise --measure.test 8 --measure.validation 1 --no-measure.film"
)


@dataclass(frozen=True)
class Case:
    """One command, to be run with several seeds."""

    title: str
    words: str
    market: Callable[[int], Prices | Reversion] | None = None


CASES = {
    "reversion": Case(
        f"a made-up market with a planted rule, {DAYS:,} days",
        f"{MANY} --frames 2000000 --evaluate-every 60",
        lambda seed: reversion(DAYS, seed=seed),
    ),
    "walk": Case(
        f"a made-up random walk, {DAYS:,} days",
        f"{MANY} --frames 1000000 --evaluate-every 15",
        lambda seed: random_walk(DAYS, seed=seed),
    ),
    "aapl": Case("Apple's shares, 506 days from 2015 to 2017", f"{MANY} --frames 300000 --evaluate-every 3"),
}


def measure(case: Case, seed: int, folder: Path) -> dict[str, Any]:
    """One training in a process of its own, and what the days of the test brought to whom."""
    market, path = case.market(seed) if case.market is not None else None, folder / f"prices-{seed}.csv"
    if market is not None:
        write(market.prices if isinstance(market, Reversion) else market, path)
    else:
        path = next(locate("aapl").glob("*.csv"))
    began = time.perf_counter()
    words = ["--prices", str(path), "--seed", str(seed), "--runs", str(folder), "--name", str(seed)]
    command = [sys.executable, "-m", "penstock", "train", "control", *shlex.split(case.words), *words]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    told = json.loads((folder / "control" / str(seed) / "evaluation.json").read_text())["trading"]
    traders = {trader["name"]: {k: round(v, 4) for k, v in trader["metrics"].items()} for trader in told["traders"]}
    row: dict[str, Any] = {"seed": seed, "seconds": round(seconds, 1), **traders}
    if isinstance(market, Reversion):
        row["knows the rule"] = {k: round(float(v.mean()), 4) for k, v in known(market).items()}
        row["share"] = round(growth(row["model"]) / growth(row["knows the rule"]), 4)
    return row


def known(market: Reversion) -> dict[str, Any]:
    """What one earns on the days of the test who sees how far the price is from its level."""
    first, last = days_of(len(market.prices), "test", WINDOW)
    plan = market.target(BAND)

    def trade(seen: Tensor, state: State) -> Tensor:
        wanted = plan[state[DAY]]
        return torch.where(wanted.isnan(), state[HELD], wanted)

    return judge(Trading(market.prices, count=1, first=first, last=last), trade).measures()


def growth(measures: dict[str, float]) -> float:
    """The logarithm of what became of 1."""
    return math.log1p(measures["profit"])


def write(prices: Prices, path: Path) -> None:
    """A table as one would have it from a broker."""
    assert prices.volume is not None
    lines = ["date,close,volume"]
    for day, (close, volume) in enumerate(zip(prices.close.tolist(), prices.volume.tolist(), strict=True)):
        lines.append(f"{date(1960, 1, 1) + timedelta(days=day)},{close:.6f},{volume:.0f}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def verdict(name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The mean over the seeds beside the bar."""
    if name == "reversion":
        share = statistics.mean(row["share"] for row in rows)
        return {"share": round(share, 4), "bar": SHARE, "reached": share >= SHARE}
    yearly = statistics.mean(row["model"]["yearly"] for row in rows)
    turnover = statistics.mean(row["model"]["turnover"] for row in rows)
    dice = statistics.mean(row["trades at random"]["turnover"] for row in rows)
    found = {"yearly": round(yearly, 4), "turnover": round(turnover, 2), "turnover of dice": round(dice, 2)}
    if name == "walk":
        found |= {"bar": [-LOSS, LITTLE], "reached": yearly > -LOSS and turnover < LITTLE * dice}
    return found


def main() -> None:
    """Run the cases that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for name in given.cases or CASES:
        case, rows = CASES[name], []
        with tempfile.TemporaryDirectory() as folder:
            for seed in range(given.seeds):
                rows.append(measure(case, seed, Path(folder)))
                print(name, json.dumps(rows[-1]), flush=True)
        found = verdict(name, rows)
        print(name, found, flush=True)
        result = {
            "case": case.title,
            "command": f"python benchmarks/trading.py {name}",
            "trains": f"penstock train control --prices FILE.csv {case.words}",
            **found,
            "machine": f"{platform.machine()}, {processor()}, {cores()} cores",
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            "rows": rows,
        }
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"trading-{name}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
