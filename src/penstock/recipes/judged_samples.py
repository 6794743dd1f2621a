"""What the report shows of pictures that were made: how like real ones, of which classes, and from whom learned."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from penstock.core.objective import Evaluation
from penstock.core.random import derive
from penstock.data.examples import Examples
from penstock.data.keyed import Keyed
from penstock.data.sources import InOrder
from penstock.kinds.drawing import picture_of, png_uri
from penstock.metrics.generation import nearest
from penstock.metrics.modes import class_shares
from penstock.recipes.creating import Creating, pixels_of
from penstock.recipes.examiner import looked_at

SHOWN = 8
"""Samples whose nearest training examples are shown."""
MOST = 10_000
"""Training examples among which the nearest is looked for."""
SURE = 0.9
"""The probability from which the examiner is called sure."""


def judged(
    trained: Creating,
    evaluation: Evaluation,
    examples: Examples,
    rows: np.ndarray,
    training: np.ndarray,
    *,
    split: str,
    count: int,
    seed: int,
) -> dict[str, Any]:
    """An evaluation on `rows` of all examples as a report has it; so many samples are looked at more closely."""
    examiner, compared = trained.examiner, trained.objective.compared
    real, seen = looked_at(examiner, _pictures(trained, examples, rows))
    learned = _pictures(trained, examples, some(training, MOST))
    known, _ = looked_at(examiner, learned)
    others = known[some(np.arange(len(known)), len(rows))]
    mixed, _ = looked_at(examiner, _mixed(learned[: len(rows)], seed))
    labels = trained.labels(count)
    made = trained.made(count, seed=seed, labels=labels)
    features, said = looked_at(examiner, made)
    found: dict[str, Any] = {
        "examiner": examiner.described(),
        "reference": {"name": "real ones", "metrics": compared(real, others)},
        "samples": count,
        **_neighbours(made, features, real, learned, known),
        "sheet": png_uri(trained.sample(min(count, 100), seed=seed).sheet()),
    }
    if examiner.classes:
        found |= _classes(trained, said, seen, labels)
    return {
        "split": split,
        "examples": len(rows),
        "metrics": evaluation.metrics,
        "baseline": {"name": "pixels at random", "metrics": compared(real, mixed)},
        "reference": found["reference"],
        "making": found,
        "mistakes": [],
    }


def _classes(trained: Creating, said: Tensor, seen: Tensor, labels: Tensor | None) -> dict[str, Any]:
    """What the examiner takes samples (N, K) for, and real examples (M, K)."""
    names, predicted = trained.examiner.classes, said.argmax(1)
    shares, real = (class_shares(found.argmax(1), len(names)) for found in (said, seen))
    agreement = None
    if labels is not None and trained.classes is not None:
        asked = [trained.classes.names[k] for k in labels.tolist()]
        agreement = float(np.mean([names[k] == one for k, one in zip(predicted.tolist(), asked, strict=True)]))
    return {
        "classes": [
            {"name": name, "share": share, "real": usual}
            for name, share, usual in zip(names, shares.shares.tolist(), real.shares.tolist(), strict=True)
        ],
        "entropy": shares.entropy,
        "real_entropy": real.entropy,
        "sure": float((said.max(1).values >= SURE).double().mean()),
        "real_sure": float((seen.max(1).values >= SURE).double().mean()),
        "agreement": agreement,
    }


def _neighbours(made: Tensor, features: Tensor, real: Tensor, learned: Tensor, known: Tensor) -> dict[str, Any]:
    """Samples beside what is nearest to them among training examples, and how near real ones come."""
    at, away = nearest(features, known)
    _, usual = nearest(real[: len(features)], known)
    shown = zip(pixels_of(made[:SHOWN]), pixels_of(learned[at[:SHOWN]]), away[:SHOWN].tolist(), strict=True)
    return {
        "neighbours": [
            {"made": png_uri(picture_of(one)), "nearest": png_uri(picture_of(other)), "distance": distance}
            for one, other, distance in shown
        ],
        "distance": float(away.median()),
        "real_distance": float(usual.median()),
    }


def _mixed(pictures: Tensor, seed: int) -> Tensor:
    """Each pixel from a picture of its own: (N, C, H, W) to the same. Of every pixel the distribution is right."""
    count, channels = pictures.shape[:2]
    generator = torch.Generator().manual_seed(derive(seed, "pixels at random"))
    rows = torch.randint(count, (count, 1, *pictures.shape[2:]), generator=generator)
    return pictures.gather(0, rows.expand(-1, channels, -1, -1))


def _pictures(trained: Creating, examples: Examples, rows: np.ndarray) -> Tensor:
    """(N, C, H, W) in [-1, 1], on the processor."""
    source = InOrder(examples, torch.from_numpy(rows), batch_size=512, transform=trained.kind.transform(training=False))
    return torch.cat([batch["image"].cpu() for batch in source])


def held_out(trained: Creating, examples: Examples, rows: np.ndarray) -> InOrder:
    """Some of the examples, in order, with keys that are always the same."""
    transform = Keyed(trained.kind.transform(training=False))
    return InOrder(examples, torch.from_numpy(rows), batch_size=64, transform=transform)


def some(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many, evenly spread."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).round().astype(np.int64)]
