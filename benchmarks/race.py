"""Penstock against its peers: the same networks, data, batches and optimizer, by turns, each in a process of its own.

    make bench-peers                               once: an environment with the peers, .venv-peers
    python benchmarks/race.py                      quick: a quarter of an hour
    python benchmarks/race.py --full               longer stretches and more rounds: an hour
    python benchmarks/race.py table short          some cases; the others keep what was measured before
    python benchmarks/race.py --peers PYTHON       the peers are in this interpreter's environment

A round lets every contestant of a case train once; figures are medians over the rounds, ratios medians of each round's
ratio. Warm-up epochs, in which some compile, are not in the seconds but beside them. That all do the same is checked
twice: after 20 steps on one batch of all examples, where no order matters, losses must agree to half a percent (three
percent in bfloat16); and final losses may differ by no more than the order of the examples explains. Every number of
every round is written to results/race.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from machine import processor
from peers.cases import CASES
from peers.entries import RACES, Entry
from peers.verdict import judge, lines

from penstock.core.machine import cores

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "race.json"
PEERS = HERE.parent / ".venv-peers" / "bin" / "python"
ROUNDS = {"quick": 3, "full": 5}
PACKAGES = ("torch", "lightning", "keras", "jax", "jaxlib", "skorch", "scikit-learn", "numpy")
TIMEOUT = 900
_ASK = """
import json, sys
from importlib import metadata
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


class Failure(Exception):
    """A contestant did not come home; the text says why, in one line."""


def versions(python: Path) -> dict[str, str]:
    """What of the packages an interpreter has."""
    if not python.exists():
        return {}
    given = subprocess.run([str(python), "-c", _ASK, *PACKAGES], check=True, capture_output=True, text=True)
    found: dict[str, str] = json.loads(given.stdout)
    return found


def run(entry: Entry, name: str, form: str, python: Path, cache: str, round_number: int) -> dict[str, Any]:
    """One contestant once. Raises Failure."""
    order = {
        "case": name,
        "form": form,
        "module": entry.module,
        "function": entry.function,
        "settings": dict(entry.settings),
        "seed": round_number,
        "trial": round_number == 0 and not CASES[name].whole,
    }
    environment = {key: value for key, value in os.environ.items() if key not in ("OMP_NUM_THREADS", "KERAS_BACKEND")}
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE), str(HERE.parent / "src")])
    environment |= {"TORCHINDUCTOR_CACHE_DIR": cache} | dict(entry.environment)
    with tempfile.TemporaryDirectory() as folder:
        words = list(entry.command) or ["-m", "peers.worker", json.dumps(order)]
        words += ["--runs", folder, "--name", "raced"] if "penstock" in words else []
        began = time.perf_counter()
        try:
            done = subprocess.run(
                [str(python), *words], capture_output=True, text=True, env=environment, timeout=TIMEOUT, check=False
            )
        except subprocess.TimeoutExpired:
            raise Failure(f"took more than {TIMEOUT} s") from None
        whole = round(time.perf_counter() - began, 3)
        if done.returncode:
            raise Failure((done.stderr.strip().splitlines() or ["it said nothing"])[-1])
        if entry.command:
            return {"seconds": whole, "whole_seconds": whole} | _command_loss(Path(folder))
        found = json.loads(done.stdout.splitlines()[-1]) | {"whole_seconds": whole}
        return found | ({"seconds": whole} if CASES[name].whole else {})


def _command_loss(folder: Path) -> dict[str, float]:
    """The last training loss that the command wrote down."""
    for path in folder.glob("*/raced/metrics.jsonl"):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return {"loss": round([row["loss"] for row in rows if row["split"] == "train"][-1], 5)}
    return {}


def race(name: str, form: str, rounds: int, pythons: dict[str, Path], cache: str) -> dict[str, Any]:
    """All rounds of one case."""
    case, field = CASES[name], RACES[name]
    measured: list[dict[str, dict[str, Any]]] = []
    left = {key: entry for key, entry in field.entries.items() if key in pythons}
    failed: dict[str, str] = {}
    for number in range(rounds):
        measured.append({})
        for key, entry in left.items():
            if key in failed:
                continue
            try:
                found = run(entry, name, form, pythons[key], cache, number)
            except Failure as error:
                failed[key] = str(error)
                print(f"{name}, round {number + 1}: {entry.label}: FAILED: {error}", flush=True)
                continue
            measured[-1][key] = found
            print(f"{name}, round {number + 1}: {entry.label}: {found['seconds']:.3f} s", flush=True)
    return judge(case, field, case.quick if form == "quick" else case.full, measured, failed)


def main() -> None:
    """Run the cases that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--full", action="store_true", help="longer stretches, more rounds")
    parser.add_argument("--rounds", type=int, help="how often everyone takes a turn")
    parser.add_argument(
        "--peers", type=Path, default=PEERS, metavar="PYTHON", help="the interpreter that has the peers"
    )
    given = parser.parse_args()
    if unknown := [name for name in given.cases if name not in CASES]:
        parser.error(f"there is no case {unknown[0]!r}: {', '.join(CASES)}")
    form = "full" if given.full else "quick"
    rounds = given.rounds or ROUNDS[form]
    here = Path(sys.executable)
    theirs = given.peers if given.peers.exists() else here
    has, ours = versions(theirs), versions(here)
    if has.get("torch") != ours.get("torch"):
        print(f"note: torch is {ours.get('torch')} for Penstock, {has.get('torch')} for the peers")
    skipped: set[str] = set()
    old = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() and given.cases else {}
    result = {"cases": old.get("cases", {})}
    for name in given.cases or CASES:
        pythons = {}
        for key, entry in RACES[name].entries.items():
            if all(package in has for package in entry.needs):
                pythons[key] = theirs if entry.needs else here
            else:
                skipped.add(entry.label.partition(",")[0])
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as cache:  # what is compiled in the first round is compiled from nothing
            found = race(name, form, rounds, pythons, cache)
        found["origin"] = {
            "command": "python benchmarks/race.py"
            + (" --full" if given.full else "")
            + (f" --rounds {given.rounds}" if given.rounds else ""),
            "rounds": rounds,
            "minutes": round((time.perf_counter() - began) / 60, 1),
            "processor": processor(),
            "machine": f"{platform.system()} {platform.machine()}, {cores()} cores",
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            "versions": {"python": platform.python_version(), **has, **ours},
        }
        result["cases"][name] = found
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        print("\n".join(lines(found)), flush=True)
    if skipped:
        print(f"skipped, for they are not installed: {', '.join(sorted(skipped))}; install them with: make bench-peers")


if __name__ == "__main__":
    main()
