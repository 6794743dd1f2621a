"""How soon a pole is balanced: Penstock against Stable-Baselines3, by turns, each in a process of its own.

    make bench-peers                                  once: an environment with the peers, .venv-peers
    python benchmarks/control_race.py                 PPO and DQN, five rounds each
    python benchmarks/control_race.py ppo --rounds 3  one of them
    python benchmarks/control_race.py --peers PYTHON  Stable-Baselines3 is in this interpreter's environment
    python benchmarks/control_race.py --many          without it: PPO in 8 to 512 environments at once

CartPole-v1; Penstock with its own settings, Stable-Baselines3 with those of its zoo. Both are judged by the same rule:
after every 4,096 frames the best actions are played in 20 episodes, and who reaches a mean return of 475 is done. The
time is that of the whole process, its start and the evaluations included. Who does not get there within the frames of
its settings has not reached it, and its time, until then, is what it would at least have taken. Frames a second are
those of learning alone; beside the time stand the seconds that a processor was at work, which a busy machine disturbs
less. The rounds have seeds of their own; times are medians over them, the ratio that of the medians.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from machine import processor

from penstock.core.machine import cores

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PEERS = HERE.parent / ".venv-peers" / "bin" / "python"
RULE = {"every": 4096, "episodes": 20, "bar": 475.0}
MOST = 0.5
"""What our time may be beside theirs."""
OURS, THEIRS = "penstock", "stable-baselines3"
ALGORITHMS = ("ppo", "dqn")
MANY = (8, 16, 32, 64, 128, 256, 512)
GATHERED = 2048
"""Frames that PPO gathers at a time, in however many environments."""
PACKAGES = ("torch", "stable-baselines3", "gymnasium", "numpy")
_VERSIONS = "import sys; from importlib.metadata import version; print(' '.join(version(n) for n in sys.argv[1:]))"


def run(
    python: Path, library: str, algorithm: str, seed: int, settings: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    """One learner once."""
    order = {"library": library, "algorithm": algorithm, "seed": seed, "settings": dict(settings), **RULE}
    environment = dict(os.environ) | {"PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent / "src")])}
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [str(python), "-m", "peers.reaching", json.dumps(order)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    whole, after = round(time.perf_counter() - began, 2), resource.getrusage(resource.RUSAGE_CHILDREN)
    processor_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if done.returncode:
        raise SystemExit(f"{library}: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {
        "seed": seed,
        "whole_seconds": whole,
        "processor_seconds": round(processor_seconds, 2),
        **found,
        "frames_a_second": round(found["frames"] / found["seconds"]),
    }


def race(algorithm: str, rounds: int, theirs: Path) -> dict[str, Any]:
    """All rounds."""
    rows: dict[str, list[dict[str, Any]]] = {OURS: [], THEIRS: []}
    for seed in range(rounds):
        for library, python in ((OURS, Path(sys.executable)), (THEIRS, theirs)):
            rows[library].append(run(python, library, algorithm, seed))
            print(algorithm, library, rows[library][-1], flush=True)
    median, busy = medians(rows, "whole_seconds"), medians(rows, "processor_seconds")
    return {
        "algorithm": algorithm,
        "seconds": median,
        "processor_seconds": busy,
        "reached": {name: sum(row["reached"] for row in found) for name, found in rows.items()},
        "rounds": rounds,
        "ratio": round(median[OURS] / median[THEIRS], 3),
        "ratio_of_processor_seconds": round(busy[OURS] / busy[THEIRS], 3),
        "bar": MOST,
        "frames_a_second": medians(rows, "frames_a_second"),
        "rows": rows,
    }


def scan(rounds: int) -> dict[str, Any]:
    """PPO in so many environments at once, all else being equal."""
    rows: dict[str, list[dict[str, Any]]] = {str(count): [] for count in MANY}
    for seed in range(rounds):
        for count in MANY:
            settings = {"environments": count, "rollout": {"steps": GATHERED // count}}
            rows[str(count)].append(run(Path(sys.executable), OURS, "ppo", seed, settings))
            print(count, rows[str(count)][-1], flush=True)
    busy = medians(rows, "processor_seconds")
    best = min(MANY, key=lambda count: (-sum(row["reached"] for row in rows[str(count)]), busy[str(count)]))
    median = medians(rows, "whole_seconds")
    return {
        "algorithm": "ppo",
        "rounds": rounds,
        "best": best,
        "seconds": median,
        "processor_seconds": busy,
        "frames_a_second": medians(rows, "frames_a_second"),
        "rows": rows,
    }


def medians(rows: Mapping[str, list[dict[str, Any]]], name: str) -> dict[str, float]:
    """Of one number, over the rounds."""
    return {key: statistics.median(row[name] for row in found) for key, found in rows.items()}


def written(found: dict[str, Any], name: str, command: str, versions: dict[str, str]) -> None:
    """Write it down, with where it was measured."""
    found["command"] = f"python benchmarks/control_race.py {command}"
    found["origin"] = {
        "rule": RULE,
        "machine": f"{platform.machine()}, {processor()}, {cores()} cores",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "versions": versions,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"control-race-{name}.json").write_text(json.dumps(found, indent=1) + "\n")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("algorithms", nargs="*", metavar="ALGORITHM", help=", ".join(ALGORITHMS))
    parser.add_argument("--rounds", type=int, default=5, help="how often everyone takes a turn")
    parser.add_argument("--peers", type=Path, default=PEERS, metavar="PYTHON", help="the interpreter that has the peer")
    parser.add_argument("--many", action="store_true", help="without a peer: how many environments are best")
    given = parser.parse_args()
    if given.many:
        found = scan(given.rounds)
        print("environments", found["seconds"], "best", found["best"], flush=True)
        written(found, "many", f"--many --rounds {given.rounds}", {"torch": torch.__version__})
        return
    if unknown := [name for name in given.algorithms if name not in ALGORITHMS]:
        parser.error(f"there is no race of {unknown[0]!r}: {', '.join(ALGORITHMS)}")
    asked = subprocess.run([str(given.peers), "-c", _VERSIONS, *PACKAGES], capture_output=True, text=True, check=False)
    if asked.returncode:
        parser.error(f"{given.peers} does not have {THEIRS}; install it with: make bench-peers")
    for algorithm in given.algorithms or ALGORITHMS:
        found = race(algorithm, given.rounds, given.peers)
        print(algorithm, found["seconds"], "reached", found["reached"], "ratio", found["ratio"], flush=True)
        versions = dict(zip(PACKAGES, asked.stdout.split(), strict=True))
        written(found, algorithm, f"{algorithm} --rounds {given.rounds}", versions)


if __name__ == "__main__":
    main()
