"""How soon a pole is balanced: Penstock against Stable-Baselines3, by turns, each in a process of its own.

    make bench-peers                                  once: an environment with the peers, .venv-peers
    python benchmarks/control_race.py                 PPO and DQN, five rounds each
    python benchmarks/control_race.py ppo --rounds 3  one of them
    python benchmarks/control_race.py --peers PYTHON  Stable-Baselines3 is in this interpreter's environment

CartPole-v1; Penstock with its own settings, Stable-Baselines3 with those of its zoo. Both are judged by the same rule:
after every 4,096 frames the best actions are played in 20 episodes, and who reaches a mean return of 475 is done. The
time is that of the whole process, its start and the evaluations included. Who does not get there within the frames of
its settings has not reached it, and its time, until then, is what it would at least have taken. Frames a second are
those of learning alone. The rounds have seeds of their own; times are medians over them, the ratio that of the medians.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from machine import processor

from penstock.core.machine import cores

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PEERS = HERE.parent / ".venv-peers" / "bin" / "python"
RULE = {"every": 4096, "episodes": 20, "bar": 475.0}
MOST = 0.5
"""What our time may be beside theirs."""
OURS, THEIRS = "penstock", "stable-baselines3"
SETTINGS: dict[str, dict[str, Any]] = {"ppo": {}, "dqn": {}}
"""Of ours, where they are not the usual ones."""
PACKAGES = ("torch", "stable-baselines3", "gymnasium", "numpy")
_VERSIONS = "import sys; from importlib.metadata import version; print(' '.join(version(n) for n in sys.argv[1:]))"


def run(python: Path, library: str, algorithm: str, seed: int) -> dict[str, Any]:
    """One learner once."""
    order = {"library": library, "algorithm": algorithm, "seed": seed, "settings": SETTINGS[algorithm], **RULE}
    environment = dict(os.environ) | {"PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent / "src")])}
    began = time.perf_counter()
    command = [str(python), "-m", "peers.reaching", json.dumps(order)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    whole = round(time.perf_counter() - began, 2)
    if done.returncode:
        raise SystemExit(f"{library}: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {"seed": seed, "whole_seconds": whole, **found, "frames_a_second": round(found["frames"] / found["seconds"])}


def race(algorithm: str, rounds: int, theirs: Path) -> dict[str, Any]:
    """All rounds."""
    rows: dict[str, list[dict[str, Any]]] = {OURS: [], THEIRS: []}
    for seed in range(rounds):
        for library, python in ((OURS, Path(sys.executable)), (THEIRS, theirs)):
            rows[library].append(run(python, library, algorithm, seed))
            print(algorithm, library, rows[library][-1], flush=True)
    median = {name: statistics.median(row["whole_seconds"] for row in found) for name, found in rows.items()}
    return {
        "algorithm": algorithm,
        "seconds": median,
        "reached": {name: sum(row["reached"] for row in found) for name, found in rows.items()},
        "rounds": rounds,
        "ratio": round(median[OURS] / median[THEIRS], 3),
        "bar": MOST,
        "frames_a_second": {
            name: statistics.median(row["frames_a_second"] for row in found) for name, found in rows.items()
        },
        "rows": rows,
    }


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("algorithms", nargs="*", metavar="ALGORITHM", help=", ".join(SETTINGS))
    parser.add_argument("--rounds", type=int, default=5, help="how often everyone takes a turn")
    parser.add_argument("--peers", type=Path, default=PEERS, metavar="PYTHON", help="the interpreter that has the peer")
    given = parser.parse_args()
    if unknown := [name for name in given.algorithms if name not in SETTINGS]:
        parser.error(f"there is no race of {unknown[0]!r}: {', '.join(SETTINGS)}")
    asked = subprocess.run([str(given.peers), "-c", _VERSIONS, *PACKAGES], capture_output=True, text=True, check=False)
    if asked.returncode:
        parser.error(f"{given.peers} does not have {THEIRS}; install it with: make bench-peers")
    for algorithm in given.algorithms or SETTINGS:
        found = race(algorithm, given.rounds, given.peers)
        found["command"] = f"python benchmarks/control_race.py {algorithm} --rounds {given.rounds}"
        found["origin"] = {
            "rule": RULE,
            "machine": f"{platform.machine()}, {processor()}, {cores()} cores",
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            "versions": dict(zip(PACKAGES, asked.stdout.split(), strict=True)),
        }
        print(algorithm, found["seconds"], "reached", found["reached"], "ratio", found["ratio"], flush=True)
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"control-race-{algorithm}.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
