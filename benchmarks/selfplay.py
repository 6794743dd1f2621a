"""Board games learned by self-play, each against opponents that learn nothing.

python benchmarks/selfplay.py tic-tac-toe [--seeds 0 1 2]
python benchmarks/selfplay.py connect-four
python benchmarks/selfplay.py --run runs/selfplay/NAME      a run that is finished already

One thread, the default settings of `penstock train selfplay`: the last weights. The games that count are others than
those that judged it while it learned: 200 against each opponent, half of them begun by it. Tic-tac-toe is to lose none
to perfect play; connect four and go are to win 95 % against chance and against one who looks a move ahead.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from machine import processor

import penstock
from penstock.core.machine import cores
from penstock.run.run import Run

RESULTS = Path(__file__).with_name("results")
GAMES = 200
BAR = 0.95
KEPT = ("return", "episode_length", "wins", "draws", "losses")


def reached(game: str, metrics: Mapping[str, float]) -> bool:
    """Whether the bar of this game is met."""
    if game == "tic-tac-toe":
        return metrics["losses_perfect"] == 0
    return min(metrics["wins_random"], metrics["wins_one_ply"]) >= BAR


def row_of(run: Run) -> dict[str, Any]:
    """What a run's policy wins with its search, and what is left without either."""
    game, found = run.recipe.data, run.findings(episodes=GAMES)
    metrics = {key: round(value, 4) for key, value in found["metrics"].items() if key.startswith(KEPT)}
    alone = {key: round(value, 4) for key, value in found["reference"]["metrics"].items() if key.startswith(KEPT)}
    chance = {key: round(value, 4) for key, value in found["baseline"]["metrics"].items() if key.startswith(KEPT)}
    best = run.summary["best"]
    return {
        "seed": run.recipe.seed,
        "reached": reached(game, metrics),
        "metrics": metrics,
        "without_search": alone,
        "at_random": chance,
        "steps": run.summary["steps"],
        "kept": run.summary["kept"],
        "best_step": best["step"] if best else None,
        "parameters": run.summary["parameters"],
        "training_seconds": run.summary["seconds"],
    }


def trained(game: str, seed: int, folder: str) -> dict[str, Any]:
    """A seed's row, with the wall and the processor's time of its training."""
    wall, cpu = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_utime
    run = penstock.train("selfplay", data=game, seed=seed, threads=1, runs=folder, quiet=True)
    wall, cpu = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_SELF).ru_utime - cpu
    return {**row_of(run), "seconds": round(wall, 1), "processor_seconds": round(cpu, 1)}


def main() -> None:
    """Measure, print, and write the result of the game."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("game", nargs="?", default="tic-tac-toe")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--run", default=None)
    given = parser.parse_args()
    if given.run is not None:
        run = penstock.load(given.run)
        game, rows = run.recipe.data, [row_of(run)]
        kept = run.recipe.keep
    else:
        game, kept = given.game, "last"
        with tempfile.TemporaryDirectory() as folder:
            rows = [trained(game, seed, folder) for seed in given.seeds]
    for row in rows:
        print(json.dumps(row))
    result = {
        "case": f"self-play: {game}, default settings",
        "command": f"python benchmarks/selfplay.py {game}",
        "trains": f"penstock train selfplay --data {game} --threads 1" + (" --keep best" if kept == "best" else ""),
        "games_each": GAMES,
        "bar": "no game lost to perfect play" if game == "tic-tac-toe" else f"wins >= {BAR} against random, one-ply",
        "reached": all(row["reached"] for row in rows),
        "machine": f"{platform.machine()}, {processor()}, {cores()} cores",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "rows": rows,
    }
    (RESULTS / f"selfplay-{game}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
