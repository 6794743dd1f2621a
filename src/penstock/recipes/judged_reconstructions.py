"""An evaluation of an autoencoder as the report shows it. N examples, Z numbers of a code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.objective import Evaluation
from penstock.data.examples import Examples
from penstock.data.ragged import LENGTH
from penstock.data.sounds import AUDIO
from penstock.kinds.audio import AudioKind
from penstock.kinds.drawing import png_uri
from penstock.kinds.kind import Kind, Material
from penstock.kinds.table import TableKind
from penstock.metrics.principal import principal
from penstock.nn.steps import within
from penstock.objectives.coding import EVALUATION_SEED
from penstock.objectives.variational import Variational
from penstock.recipes.making import MadePictures, MadeRows
from penstock.recipes.reconstructing import Reconstructing
from penstock.recipes.rendering import drawn, rendered
from penstock.recipes.supervised import held_out, labelled

SHOWN = 12
"""Examples beside their reconstructions; and as many of those that are farthest off."""
POINTS = 2000
"""Of the map, at most."""
BINS = 40
SAMPLES = 24


def judged(
    trained: Reconstructing,
    evaluation: Evaluation,
    material: Material,
    rows: np.ndarray,
    outside: np.ndarray,
    split: str,
    importance: int,
) -> dict[str, Any]:
    """See `Reconstruct.judged`. `outside` are the rows that were left out by `only` and `without`."""
    examples = labelled(trained, material)
    metrics = dict(evaluation.metrics)
    source = held_out(trained, examples, rows)
    if importance and isinstance(trained.objective, Variational):
        metrics["iwelbo"] = _tighter(trained, trained.objective, source, importance)
    errors = evaluation.records["error"]
    apart: Tensor | None = None
    if len(outside):
        apart = trained.evaluate(held_out(trained, examples, outside)).records["error"]
        metrics["auc"] = _told_apart(errors, apart)
    worst = errors.argsort(descending=True, stable=True)[:SHOWN].tolist()
    evenly = np.linspace(0, len(rows) - 1, min(SHOWN, len(rows))).round().astype(int)
    found: dict[str, Any] = {
        "pairs": _pairs(trained, material, examples, rows[evenly], errors[evenly]),
        "worst": _pairs(trained, material, examples, rows[worst], errors[worst]),
        "map": _map(trained, evaluation.records["code"], material, rows),
        "errors": _histogram(errors, apart, trained.answer.threshold),
    }
    if isinstance(trained.objective, Variational):
        found |= _samples(trained)
    return {
        "split": split,
        "examples": len(rows),
        "metrics": metrics,
        "baseline": {"name": "the mean of all", "metrics": {"rmse": _spread(trained.kind, source)}},
        "reconstruction": found,
        "mistakes": [],
    }


def _tighter(trained: Reconstructing, objective: Variational, source: Iterable[Batch], samples: int) -> float:
    """The mean importance-weighted bound, in nats."""
    total, count = 0.0, 0
    with torch.no_grad():
        for batch in trained.moved(source):
            generator = torch.Generator(trained.device).manual_seed(EVALUATION_SEED)
            bound = objective.importance_bound(batch, samples, generator)
            total, count = total + float(bound.double().sum()), count + len(bound)
    return total / count


def _told_apart(usual: Tensor, other: Tensor) -> float:
    """How often an example that was left out has the larger error of two: the area under the curve."""
    from sklearn.metrics import roc_auc_score

    truth = np.repeat([0, 1], [len(usual), len(other)])
    return float(roc_auc_score(truth, torch.cat([usual, other]).double().numpy()))


def _spread(kind: Kind, source: Iterable[Batch]) -> float:
    """The root mean square of what examples differ by from the mean of all, by value, as `rmse` has it."""
    count, total, squares = 0.0, torch.zeros(()).double(), torch.zeros(()).double()
    for batch in source:
        values = _values(kind, batch).double().cpu()
        count += len(values)
        total, squares = total + values.sum(0), squares + values.square().sum(0)
    return float((squares / count - (total / count).square()).clamp(min=0).mean().sqrt())


def _values(kind: Kind, batch: Batch) -> Tensor:
    """What is compared, (N, ...): pixels, numbers with categories as 0 and 1, or the real steps of all sounds."""
    if isinstance(kind, TableKind):
        parts = [batch["numbers"]]
        for at, count in enumerate(kind.encoder.cardinalities):
            parts.append(torch.nn.functional.one_hot(batch["categories"][:, at], count).float())
        return torch.cat(parts, 1)
    if isinstance(kind, AudioKind):
        bands = batch[AUDIO]
        return bands[within(batch[AUDIO + LENGTH], bands.shape[1])]
    return batch["image"]


def _pairs(
    trained: Reconstructing, material: Material, examples: Examples, rows: np.ndarray, errors: Tensor
) -> list[dict[str, Any]]:
    """Examples, and what they look like after they were coded."""
    (batch,) = trained.moved(held_out(trained, examples, rows, batch_size=len(rows)))
    trained.objective.eval()
    with torch.no_grad():
        mean = trained.objective.reconstruct(batch)
    before = drawn(trained.kind, batch[trained.objective.inputs[0]], batch)
    after = drawn(trained.kind, mean, batch)
    again: list[dict[str, Any] | None] = [None] * len(rows)
    if isinstance(trained.kind, TableKind):
        made = rendered(trained.kind, mean, [""] * len(rows))
        assert isinstance(made, MadeRows)
        again = [{str(name): _cell(cell) for name, cell in row.items()} for row in made.frame.to_dict("records")]
    found = []
    for at, row in enumerate(rows.tolist()):
        label = material.labels.iloc[row]
        cells = material.show(row)["row"] if again[at] is not None else None
        found.append(
            {
                "place": str(material.labels.index[row]),
                "label": None if label is None or label != label else str(label),
                "error": float(errors[at]),
                "before": before[at],
                "after": after[at],
                "row": None if cells is None else {name: cells.get(name) for name in again[at] or {}},
                "again": again[at],
            }
        )
    return found


def _cell(value: object) -> str | None:
    return None if value is None or value != value else str(value)


def _map(trained: Reconstructing, codes: Tensor, material: Material, rows: np.ndarray) -> dict[str, Any] | None:
    """The codes in a plane: as they are where they have two numbers, else where they vary most."""
    chosen = np.linspace(0, len(rows) - 1, min(POINTS, len(rows))).round().astype(int)
    if codes.shape[1] < 2:
        return None
    places, how = plane(codes)
    classes = trained.answer.encode(material.labels.iloc[rows[chosen]])
    return {
        "points": [[round(x, 5), round(y, 5)] for x, y in places[chosen].tolist()],
        "classes": classes.tolist(),
        "names": list(trained.answer.names),
        "how": how,
    }


def plane(codes: Tensor) -> tuple[Tensor, str]:
    """Codes (N, Z) as points (N, 2), and how they came about."""
    if codes.shape[1] == 2:
        return codes.double(), "the two numbers of each code"
    places, shares = principal(codes)
    return (
        places,
        f"where codes vary most: {100 * float(shares.sum()):.0f} % of the variance of {codes.shape[1]} numbers",
    )


def _histogram(usual: Tensor, apart: Tensor | None, threshold: float | None) -> dict[str, Any]:
    """Counts of errors, of those that were left out too; far ones are counted in the last bin."""
    every = usual if apart is None else torch.cat([usual, apart])
    high = max(float(torch.quantile(every.double()[:100_000], 0.995)), (threshold or 0.0) * 1.2)
    low = min(float(every.min()), high)
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    found: dict[str, Any] = {"edges": edges.tolist(), "threshold": threshold}
    for name, errors in (("counts", usual), ("apart", apart)):
        if errors is not None:
            clipped = np.clip(errors.double().numpy(), edges[0], edges[-1])
            found[name] = np.histogram(clipped, edges)[0].tolist()
            if threshold is not None:
                found[f"{name}_above"] = float((errors > threshold).double().mean())
    return found


def _samples(trained: Reconstructing) -> dict[str, Any]:
    """A sheet of new examples, or rows of them; sounds are not drawn."""
    if isinstance(trained.kind, AudioKind):
        return {}
    made = trained.sample(SAMPLES)
    if isinstance(made, MadePictures):
        return {"samples": png_uri(MadePictures(made.array, columns=8).sheet())}
    assert isinstance(made, MadeRows)
    rows = made.frame.head(10).to_dict("records")
    return {"sampled": [{str(name): _cell(cell) for name, cell in row.items()} for row in rows]}
