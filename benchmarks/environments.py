"""How many steps a second environments make, without anything being learned.

    python benchmarks/environments.py [--seconds 2] [--rounds 5]

CartPole as a tensor program with actions at random, for several numbers of environments on one core and on all;
CartPole as Gymnasium has it, through our adapter and through Gymnasium's own vector environments. Then an environment
that takes 5 ms a step, waiting in one case and computing in the other, four in each of several processes: beside it
stands what as many processes reach that do nothing but step one, which is what can be achieved. Ways take turns; a
number is the median over the rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import gymnasium
import slow_world
import torch
from machine import processor

from penstock.core.machine import cores
from penstock.rl.cartpole import CartPole
from penstock.rl.environment import Environment
from penstock.rl.gym_environment import GymEnvironment
from penstock.rl.maker import Maker

RESULTS = Path(__file__).parent / "results" / "environments.json"
BAR_STEPS, BAR_SHARE = 1_000_000, 0.95
WAIT = 3.0
"""Seconds that processes get to start, so that they begin together."""
EACH = 4
"""Slow environments in a process: what a step of all costs besides is then divided among them."""
COUNTS = (64, 512, 4096, 16384)


def ours(world: Environment, threads: int = 1) -> Callable[[float], float]:
    """Steps a second of all environments together, over about so many seconds."""
    generator = torch.Generator().manual_seed(0)
    world.reset(0)

    def measure(seconds: float) -> float:
        torch.set_num_threads(threads)
        made, begin = 0, time.perf_counter()
        while time.perf_counter() - begin < seconds:
            for _ in range(8):
                world.step(world.action.sample(world.count, generator))
            made += 8
        return made * world.count / (time.perf_counter() - begin)

    return measure


def theirs(mode: str, count: int) -> Callable[[float], float]:
    """The same of Gymnasium's own."""
    world = gymnasium.make_vec("CartPole-v1", num_envs=count, vectorization_mode=mode)
    world.reset(seed=0)

    def measure(seconds: float) -> float:
        made, begin = 0, time.perf_counter()
        while time.perf_counter() - begin < seconds:
            for _ in range(8):
                world.step(world.action_space.sample())
            made += 8
        return made * count / (time.perf_counter() - begin)

    return measure


def achievable(processes: int, busy: bool) -> Callable[[float], float]:
    """What processes reach that only step one slow environment each, at the same time."""

    def measure(seconds: float) -> float:
        begin = time.time() + WAIT
        command = [sys.executable, slow_world.__file__, str(begin), str(seconds), *(["busy"] if busy else [])]
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
        return sum(float(process.communicate()[0]) for process in running)

    return measure


def slow(processes: int, busy: bool) -> Callable[[float], float]:
    """The same environments through our processes."""
    maker = Maker(name="Slow", module=slow_world.__file__, options={"busy": busy})
    return ours(GymEnvironment(maker, count=EACH * processes, workers=processes))


def main() -> None:
    """Measure, show and write down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    every = cores()
    tensors = {
        f"tensor CartPole, {count} at once, {threads} thread{'s' if threads > 1 else ''}": ours(
            CartPole(count=count), threads
        )
        for count in COUNTS
        for threads in sorted({1, every})
    }
    name = Maker(name="CartPole-v1")
    ways = tensors | {
        "Gymnasium's CartPole, 8 in this process": ours(GymEnvironment(name, count=8)),
        "Gymnasium's CartPole, 8 in its SyncVectorEnv": theirs("sync", 8),
        f"Gymnasium's CartPole, 8 in {every} processes": ours(GymEnvironment(name, count=8, workers=every)),
        "Gymnasium's CartPole, 8 in its AsyncVectorEnv": theirs("async", 8),
        "waiting 5 ms a step, 8 processes": slow(8, busy=False),
        "waiting 5 ms a step, achievable": achievable(8, busy=False),
        f"computing 5 ms a step, {every} processes": slow(every, busy=True),
        "computing 5 ms a step, achievable": achievable(every, busy=True),
    }
    found: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(given.rounds):
        for way, measure in ways.items():
            found[way].append(measure(given.seconds))
            print(f"{turn + 1}/{given.rounds}  {way:55} {found[way][-1]:14,.0f} steps/s", flush=True)
    median = {way: statistics.median(rates) for way, rates in found.items()}
    best = max(tensors, key=lambda way: median[way])
    shares = {
        kind: statistics.median(
            ours / possible
            for ours, possible in zip(found[f"{kind}, {count} processes"], found[f"{kind}, achievable"], strict=True)
        )
        for kind, count in (("waiting 5 ms a step", 8), ("computing 5 ms a step", every))
    }
    print(f"\n{best}: {median[best]:,.0f} steps/s (bar: {BAR_STEPS:,})")
    for kind, share in shares.items():
        print(f"{kind}: {share:.1%} of what is achievable (bar: {BAR_SHARE:.0%})")
    report = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": processor(),
        "cores": every,
        "torch": torch.__version__,
        "gymnasium": gymnasium.__version__,
        "seconds": given.seconds,
        "rounds": given.rounds,
        "best": best,
        "shares": shares,
        "median": median,
        "steps a second": found,
    }
    given.results.parent.mkdir(parents=True, exist_ok=True)
    given.results.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
