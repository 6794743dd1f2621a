"""What each part of Rainbow is worth on one task: deep Q-learning without any, with all, and with all but one.

    python benchmarks/rainbow.py                       CartPole, three seeds each: ten minutes on one thread
    python benchmarks/rainbow.py --seeds 5             more of them; what was measured before is kept
    python benchmarks/rainbow.py --picture             draw the result that is there

After Hessel et al. 2018, "Rainbow", section 5, who take one part away at a time. All learn from as many frames, with
the usual settings of the recipe beside the parts; fifty greedy episodes are played at sixteen times of the training.
"best" is the highest of these means, "mean" their mean over the training: the higher, the sooner it was learned and the
less it was lost again. Results go to results/rainbow.json, the picture to docs/pictures/rainbow.png.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from machine import processor
from matplotlib.figure import Figure

from penstock.core.machine import cores
from penstock.core.random import derive, seed_all
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.engine.watcher import Watcher
from penstock.recipes.control import Control
from penstock.recipes.control_rules import BATCHES_AN_EPOCH, frames_of
from penstock.recipes.job import Supplied
from penstock.recipes.recipe import recipe_from

RESULT = Path(__file__).parent / "results" / "rainbow.json"
PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "rainbow.png"
FRAMES, TIMES = 64_000, 16
PARTS: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "double": ({"values": {"doubled": True}}, {"values": {"doubled": False}}),
    "dueling": ({"values": {"dueling": True}}, {"values": {"dueling": False}}),
    "prioritised": ({"replay": {"prioritised": True}}, {"replay": {"prioritised": False}}),
    "ten steps": ({"replay": {"reach": 10}}, {"replay": {"reach": 1}}),
    "noisy": ({"values": {"noisy": True}}, {"values": {"noisy": False}}),
    "distribution": ({"values": {"form": "c51"}}, {"values": {"form": "mean"}}),
}
"""Settings with a part and without it."""
ALL, NONE = "all", "none"
VARIANTS = (NONE, *(f"all but {part}" for part in PARTS), ALL)


def settings_of(variant: str) -> dict[str, Any]:
    """Of the recipe."""
    found: dict[str, Any] = {"values": {}, "replay": {}}
    for part, (having, lacking) in PARTS.items():
        chosen = having if variant not in (NONE, f"all but {part}") else lacking
        for group, values in chosen.items():
            found[group] |= values
    return found


def measure(variant: str, seed: int) -> dict[str, Any]:
    """One training."""
    settings = {"task": "control", "env": "cartpole", "algorithm": "dqn", "frames": FRAMES, "threads": 1, "seed": seed}
    job = recipe_from(settings | settings_of(variant), variant).build(Supplied())
    recipe = job.recipe
    assert isinstance(recipe, Control)
    assert recipe.steps is not None
    curve: list[tuple[int, float]] = []

    class Notes(Watcher):
        def measured(self, row: dict[str, Any]) -> None:
            if row["split"] == "validation":
                curve.append((frames_of(recipe, row["step"]), round(row["return"], 1)))

    often = {"evaluate_every": recipe.steps / TIMES / BATCHES_AN_EPOCH}
    plan = Plan.model_validate({name: getattr(recipe, name) for name in Plan.model_fields} | often)
    seed_all(derive(seed, "training"))
    parts = {"validation": job.held_out["validation"], "watchers": [Notes()]}
    engine = Engine(job.trained.objective, job.source, plan, job.optimizers, **parts)  # type: ignore[arg-type]
    began = time.process_time()
    engine.run()
    seconds = time.process_time() - began
    job.close()
    returns = [value for _, value in curve]
    best, mean = max(returns), round(statistics.fmean(returns), 1)
    return {"variant": variant, "seed": seed, "best": best, "mean": mean, "seconds": round(seconds, 1), "curve": curve}


def shown(rows: list[dict[str, Any]]) -> str:
    """A line for each variant: medians and extremes over the seeds."""
    lines = ["| deep Q-learning with | seeds | mean return while learning | best | seconds of a processor |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for variant in VARIANTS:
        own = [row for row in rows if row["variant"] == variant]
        if own:
            means = [row["mean"] for row in own]
            best = ", ".join(f"{row['best']:.0f}" for row in own)
            seconds = statistics.median(row["seconds"] for row in own)
            middle = f"**{statistics.median(means):.0f}** ({min(means):.0f} – {max(means):.0f})"
            lines.append(f"| {variant} | {len(own)} | {middle} | {best} | {seconds:.0f} |")
    return "\n".join(lines)


def draw(rows: list[dict[str, Any]]) -> None:
    """Each variant between none and all: the mean of the seeds' curves."""
    variants = [variant for variant in VARIANTS[1:-1] if any(row["variant"] == variant for row in rows)]
    figure = Figure(figsize=(9.0, 4.4), dpi=110, layout="constrained")
    axes = figure.subplots(2, 3, sharex=True, sharey=True)
    for place, variant in zip(axes.flat, variants, strict=False):
        for name, colour, width in ((NONE, "#b0b7bf", 1.2), (ALL, "#0068a8", 1.2), (variant, "#c75300", 2.0)):
            own = [row["curve"] for row in rows if row["variant"] == name]
            frames = [at for at, _ in own[0]]
            middle = torch.tensor([[value for _, value in curve] for curve in own]).mean(0).tolist()
            place.plot(frames, middle, color=colour, linewidth=width, label=name)
        place.set_title(variant, fontsize=9, color="#c75300")
        place.tick_params(labelsize=7)
        place.locator_params(axis="x", nbins=4)
        place.spines[["top", "right"]].set_visible(False)
    axes[0, 0].legend(*(part[:2] for part in axes[0, 0].get_legend_handles_labels()), fontsize=7, frameon=False)
    axes[0, 0].set_ylabel("return", fontsize=8)
    for place in axes[1]:
        place.set_xlabel("frames", fontsize=8)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE)


def main() -> None:
    """Measure what is missing, show all of it, and draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--picture", action="store_true", help="draw the result that is there")
    parser.add_argument("--output", type=Path, default=RESULT)
    asked = parser.parse_args()
    found = json.loads(asked.output.read_text(encoding="utf-8")) if asked.output.exists() else {"rows": []}
    rows = [row for row in found["rows"] if len(row["curve"]) == TIMES]
    for seed in range(0 if asked.picture else asked.seeds):
        for variant in VARIANTS:
            if any((row["variant"], row["seed"]) == (variant, seed) for row in rows):
                continue
            rows.append(measure(variant, seed))
            print({key: value for key, value in rows[-1].items() if key != "curve"}, flush=True)
            found = {
                "case": f"CartPole, {FRAMES:,} frames",
                "command": "python benchmarks/rainbow.py",
                "machine": f"{platform.machine()}, {processor()}, {cores()} cores",
                "date": datetime.now(UTC).strftime("%Y-%m-%d"),
                "rows": rows,
            }
            asked.output.parent.mkdir(exist_ok=True)
            asked.output.write_text(json.dumps(found) + "\n", encoding="utf-8")
    print(shown(rows))
    draw(rows)


if __name__ == "__main__":
    main()
