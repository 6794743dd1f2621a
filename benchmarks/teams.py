"""How well agents learn together: whole `penstock train control` commands in PettingZoo's games, several seeds each.

    pip install "penstock[multi-agent]"
    python benchmarks/teams.py                   all cases but the long ones
    python benchmarks/teams.py spread-shared     some cases
    python benchmarks/teams.py --seeds 1         fewer seeds: they are shown, and not written down

The score of a seed is the mean return of an agent over 100 games, as in benchmarks/control.py; beside it stands what
actions at random bring in the same games. Each case writes results/teams-CASE.json. No published value is told: those
that are known were measured with other lengths of games, shares of rewards, or sums over agents.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile

from control import RESULTS, Case, measure, result_of

SPREAD = (
    "--env mpe2/simple_spread_v3 --algorithm ppo --threads 1 --environments 96 --rollout.steps 25"
    " --rollout.rounds 8 --batch-size 600 --optim.lr 2e-3 --measure.validation 50 --no-measure.film"
)
PURSUIT = (
    "--env pettingzoo/sisl/pursuit_v5 --algorithm ppo --threads 1 --environments 64 --rollout.steps 64"
    " --batch-size 1024 --measure.validation 4 --no-measure.film"
)
APART = " --team.learners independent"
CASES = {
    "spread-shared": Case(("simple_spread, shared", "simple_spread，共享"), SPREAD, -25, seeds=3, frames=300_000),
    "spread-independent": Case(
        ("simple_spread, independent", "simple_spread，独立"), SPREAD + APART, -25, seeds=3, frames=300_000
    ),
    "pursuit-shared": Case(("pursuit, shared", "pursuit，共享"), PURSUIT, 0, seeds=3, frames=400_000, long=True),
    "pursuit-independent": Case(
        ("pursuit, independent", "pursuit，独立"), PURSUIT + APART, 0, seeds=3, frames=400_000, long=True
    ),
}


def main() -> None:
    """Run the cases that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--frames", type=int, help="so many instead of those of the case")
    parser.add_argument("--seeds", type=int, help="so many instead of those of the case")
    given = parser.parse_args()
    if unknown := [name for name in given.cases if name not in CASES]:
        parser.error(f"there is no case {unknown[0]!r}: {', '.join(CASES)}")
    for name in given.cases or [name for name, case in CASES.items() if not case.long]:
        case, rows = CASES[name], []
        with tempfile.TemporaryDirectory() as runs:
            for seed in range(given.seeds or case.seeds):
                rows.append(measure(case.settings(given.frames), seed, runs))
                print(name, rows[-1], flush=True)
        found = result_of(name, case, rows) | {"command": f"python benchmarks/teams.py {name}"}
        found["at_random"] = round(statistics.fmean(row["at_random"] for row in rows), 2)
        told = f"interquartile mean {found['interquartile_mean']} {found['interval']}, at random {found['at_random']}"
        print(name, told, "bar", case.bar, "reached" if found["reached"] else "MISSED", flush=True)
        if given.seeds is None and given.frames is None:
            (RESULTS / f"teams-{name}.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
