"""How well it acts: whole `penstock train control` commands, several seeds each; the test is played once, at the end.

    python benchmarks/control.py                        all cases but the long ones: an hour
    python benchmarks/control.py cartpole-dqn           some cases
    python benchmarks/control.py hopper --peers PYTHON  beside SAC of Stable-Baselines3, which that interpreter has
    python benchmarks/control.py hopper --frames 20000  a case cut short: it is shown, and not written down

The score of a seed is the mean return of the best actions over 100 episodes, whose beginnings are neither those that
were learned from nor those by which the weights were chosen. Of the seeds' scores the interquartile mean is told, with
its 95 % bootstrap interval (Agarwal et al. 2021). Each case writes results/control-CASE.json with the command, the
machine, the date and every seed's row.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from machine import processor

from penstock.core.machine import cores
from penstock.metrics.interquartile import interquartile_mean, interval_of

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Case:
    """One command, to be run with several seeds.

    The mean over the seeds must reach `bar`; where `solved` is given, so many seeds must each reach it.
    """

    title: tuple[str, str]
    """In English and in Chinese."""
    words: str
    bar: float
    seeds: int = 5
    solved: int | None = None
    published: str = ""
    frames: int | None = None
    """The recipe's own, if not given."""
    peer: str | None = None
    """An environment in which Stable-Baselines3 learns beside it, for as many frames."""
    long: bool = False
    """Takes more than two minutes a seed."""

    def settings(self, frames: int | None = None) -> str:
        """Its words with so many frames, or its own."""
        chosen = frames or self.frames
        return f"{self.words} --frames {chosen}" if chosen else self.words

    def reached(self, returns: list[float]) -> bool:
        """Whether it is as good as was wanted."""
        if self.solved is not None:
            return sum(value >= self.bar for value in returns) >= self.solved
        return statistics.fmean(returns) >= self.bar


CASES = {
    "cartpole-ppo": Case(("CartPole-v1, PPO", "CartPole-v1，PPO"), "--env cartpole", 500, solved=4),
    "cartpole-dqn": Case(("CartPole-v1, DQN", "CartPole-v1，DQN"), "--env cartpole --algorithm dqn", 475),
    "acrobot": Case(
        ("Acrobot-v1, PPO", "Acrobot-v1，PPO"),
        "--env Acrobot-v1 --environments 16 --rollout.steps 256 --rollout.rounds 4 --rollout.decay 0.94",
        -80,
        published="-80",
        frames=500_000,
    ),
    "mountain-car": Case(
        ("MountainCar-v0, PPO", "MountainCar-v0，PPO"),
        "--env MountainCar-v0 --rollout.steps 16 --rollout.rounds 4 --rollout.decay 0.98 --batch-size 256",
        -110,
        published="-110",
        frames=1_000_000,
    ),
    "pendulum": Case(("Pendulum-v1, SAC", "Pendulum-v1，SAC"), "--env pendulum", -160, published="-160"),
    "lunar-lander": Case(
        ("LunarLander-v3, PPO", "LunarLander-v3，PPO"),
        "--env LunarLander-v3 --environments 16 --rollout.steps 1024 --rollout.rounds 4"
        " --rollout.decay 0.98 --discount 0.999 --policy.entropy-weight 0.01 --optim.lr 1e-3",
        200,
        published="200",
        frames=1_000_000,
        long=True,
    ),
    "hopper": Case(
        ("Hopper-v5, SAC, 100,000 frames", "Hopper-v5，SAC，10 万帧"),
        "--env Hopper-v5 --environments 1 --replay.batches 1 --replay.warmup 10000"
        " --batch-size 256 --net.hidden 256 256 --optim.lr 3e-4 --optim.schedule constant",
        2000,
        seeds=3,
        frames=100_000,
        peer="Hopper-v5",
        long=True,
    ),
}


def measure(words: str, seed: int, runs: str) -> dict[str, Any]:
    """One training in a process of its own."""
    command = [sys.executable, "-m", "penstock", "train", "control", *shlex.split(words), "--seed", str(seed)]
    began = time.perf_counter()
    subprocess.run([*command, "--runs", runs, "--name", str(seed)], check=True, capture_output=True)
    whole = time.perf_counter() - began
    folder = Path(runs) / "control" / str(seed)
    evaluation, summary, facts = (
        json.loads((folder / name).read_text(encoding="utf-8"))
        for name in ("evaluation.json", "summary.json", "data.json")
    )
    frames = round(facts["examples"] * summary["epochs"])
    return {
        "seed": seed,
        "return": round(evaluation["metrics"]["return"], 2),
        "deviation_of_episodes": round(evaluation["metrics"]["return_deviation"], 2),
        "at_random": round(evaluation["baseline"]["metrics"]["return"], 2),
        "frames": frames,
        "best_at_frame": round(frames * (summary["best"] or {}).get("epoch", 0) / summary["epochs"]),
        "training_seconds": round(summary["seconds"], 1),
        "process_seconds": round(whole, 1),
    }


def measure_peer(python: Path, env: str, frames: int, seed: int) -> dict[str, Any]:
    """Stable-Baselines3 in a process of its own, judged by as many episodes as we are."""
    order = {"env": env, "frames": frames, "seed": seed, "episodes": 100, "threads": cores()}
    environment = dict(os.environ) | {"PYTHONPATH": str(Path(__file__).parent)}
    began = time.perf_counter()
    command = [str(python), "-m", "peers.acting", json.dumps(order)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found | {"process_seconds": round(time.perf_counter() - began, 1)}


def result_of(name: str, case: Case, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What is written down."""
    returns = [float(row["return"]) for row in rows]
    low, high = interval_of(torch.tensor(returns), seed=0)
    return {
        "case": case.title,
        "command": f"python benchmarks/control.py {name}",
        "trains": f"penstock train control {case.settings()} --seed 0..{case.seeds - 1}",
        "seeds": len(rows),
        "interquartile_mean": round(float(interquartile_mean(torch.tensor(returns))), 2),
        "interval": [round(low, 2), round(high, 2)],
        "mean": round(statistics.fmean(returns), 2),
        "bar": case.bar,
        "solved": case.solved,
        "reached": case.reached(returns),
        "published": case.published,
        "process_seconds": round(sum(row["process_seconds"] for row in rows), 1),
        "machine": f"{platform.machine()}, {processor()}, {cores()} cores",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "rows": rows,
    }


def main() -> None:
    """Run the cases that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--frames", type=int, help="so many instead of those of the case")
    parser.add_argument("--peers", type=Path, metavar="PYTHON", help="an interpreter that has Stable-Baselines3")
    parser.add_argument("--seeds", type=int, help="so many instead of those of the case")
    given = parser.parse_args()
    if unknown := [name for name in given.cases if name not in CASES]:
        parser.error(f"there is no case {unknown[0]!r}: {', '.join(CASES)}")
    whole = given.frames is None and given.seeds is None
    for name in given.cases or [name for name, case in CASES.items() if not case.long]:
        case, rows, theirs = CASES[name], [], []
        with tempfile.TemporaryDirectory() as runs:
            for seed in range(given.seeds or case.seeds):
                rows.append(measure(case.settings(given.frames), seed, runs))
                print(name, rows[-1], flush=True)
                if case.peer and case.frames and given.peers:
                    theirs.append(measure_peer(given.peers, case.peer, given.frames or case.frames, seed))
                    print("its peer", theirs[-1], flush=True)
        found = result_of(name, case, rows) | ({"peer": theirs} if theirs else {})
        told = f"interquartile mean {found['interquartile_mean']} {found['interval']}, mean {found['mean']}"
        print(name, told, "bar", case.bar, "reached" if found["reached"] else "MISSED", flush=True)
        if whole:
            RESULTS.mkdir(exist_ok=True)
            (RESULTS / f"control-{name}.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
