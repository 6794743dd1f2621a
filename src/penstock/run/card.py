"""The model card: what a saved model is, for whoever finds its folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock.recipes.job import Job


def model_card(job: Job, findings: Mapping[str, Any]) -> str:
    """Markdown."""
    facts, trained = job.facts, job.trained
    target = facts.get("target")
    measured = ", ".join(f"{name} {value:.4g}" for name, value in findings["metrics"].items())
    baseline = findings["baseline"]
    trivial = ", ".join(f"{name} {value:.4g}" for name, value in baseline["metrics"].items())
    answers = f"- Answers: {target['name']} ({target['detail']})\n" if target else ""
    counts = ", ".join(f"{count} {part}" for part, count in facts["splits"].items())
    return f"""# A model for the task {job.recipe.task!r}

- Architecture: {trained.architecture}, {trained.parameters:,} parameters
- Data: {facts["name"]} ({facts["kind"]}), {counts}
{answers}- On the test split: {measured}
- For comparison, {baseline["name"]}: {trivial}

Use it with `{job.recipe.use.format(run="RUN")}`, or in Python:

    import penstock
    run = penstock.load("RUN")
    {job.recipe.python_use}

`weights.safetensors` holds the weights, `config.json` the architecture's sizes and the preprocessing, which `predict`
applies: inputs are given raw, as the training data were. `manifest.json` has their sizes and digests, by which they are
verified; this card may be edited.
"""
