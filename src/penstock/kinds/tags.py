"""An answer that is one of K tags for every word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from penstock.core.errors import DataError, suggest
from penstock.core.objective import Evaluation
from penstock.data.cells import place
from penstock.data.features import Classes
from penstock.data.ragged import Ragged
from penstock.kinds.answer import Series
from penstock.kinds.graded import GradedAnswer
from penstock.metrics.classification import confusion, macro_f1, precision_recall
from penstock.metrics.tagging import SpanScores, marks_spans, span_scores, spans
from penstock.objectives.tagging import IGNORED, named

_SCORES = ("precision", "recall", "f1", "support")


class TagAnswer(GradedAnswer):
    """A tag for every word; `counts` (K,) are their words in training."""

    word = "tags"

    def __init__(self, tags: Sequence[str], counts: Sequence[int]) -> None:
        self.tags, self.counts = list(tags), list(counts)
        self.outputs = len(self.tags)
        self.marks_spans = marks_spans(self.tags)
        self._numbers = {tag: number for number, tag in enumerate(self.tags)}

    @classmethod
    def fit(cls, labels: Series[Any], rows: np.ndarray) -> Self:
        """The tags of all sentences: which there may be is known before training, also of rare ones."""
        counts = Counter(tag for tags in labels.iloc[rows] for tag in tags)
        found = sorted({tag for tags in labels for tag in tags}, key=lambda tag: (tag != "O", tag[2:], tag))
        if len(found) < 2:
            problem = f"every word has the same tag, {found[0]!r}: there is nothing to tell apart"
            raise DataError(str(labels.index[0]), problem, "choose another column with --tag-column")
        if len(found) > 1000:
            problem = f"{len(found):,} different tags"
            raise DataError(str(labels.index[0]), problem, "choose the column of the tags with --tag-column")
        return cls(found, [counts[tag] for tag in found])

    def encode(self, labels: Series[Any]) -> Ragged:
        """Numbers of the tags, a row a sentence."""
        rows = [[self._numbers.get(tag, -1) for tag in tags] for tags in labels]
        for number, row in enumerate(rows):
            if -1 in row:
                tag = labels.iloc[number][row.index(-1)]
                problem = f"{tag!r} is none of the {self.outputs} tags of training"
                raise DataError(place(labels, number), problem, suggest(tag, self.tags))
        return Ragged.of(rows, padding=IGNORED)

    def facts(self, labels: Series[Any], splits: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """How many words of each tag stand in each split; of spans, how many begin."""
        counts = {part: Counter[str]() for part in splits}
        for part, rows in splits.items():
            for row in rows:
                tags = labels.iloc[row]
                counts[part].update(kind for kind, _, _ in spans(tags)) if self.marks_spans else counts[part].update(
                    tags
                )
        names = sorted({name for found in counts.values() for name in found}) if self.marks_spans else self.tags
        kinds = f" that mark spans of {len(names)} kinds" if self.marks_spans else ""
        each = [{"name": name} | {part: counts[part][name] for part in splits} for name in names]
        target = {"name": str(labels.name), "kind": self.word, "detail": f"{self.outputs} different tags{kinds}"}
        return {"target": target, "classes": each}

    def misfit(self, output: object, examples: int) -> tuple[str, str] | None:
        """Logits are (B, T, K)."""
        shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        if len(shape) == 3 and shape[0] == examples and shape[2] == self.outputs:
            return None
        problem = f"it gives {shape} for {examples} sentences, the data need ({examples}, words, {self.outputs})"
        return problem, f"make it answer every word, and its last layer {self.outputs} wide"

    def baseline(self, labels: Series[Any]) -> dict[str, Any]:
        """Always the commonest tag of the training split."""
        commonest = self.tags[int(np.argmax(self.counts))]
        truth = self.encode(labels)
        same = torch.full_like(truth.values, self._numbers[commonest])
        accuracy = float((same == truth.values).double().mean())
        if self.marks_spans:
            f1 = span_scores([[commonest] * len(tags) for tags in labels], list(labels))[0].f1
        else:
            f1 = macro_f1(confusion(same, truth.values, self.outputs))
        whole = float(np.mean([set(tags) == {commonest} for tags in labels]))
        metrics = {"accuracy": accuracy, "error": 1 - accuracy, "f1": f1, "exact_match": whole}
        return {"name": f"always {commonest!r}, the commonest tag", "metrics": metrics}

    def findings(self, evaluation: Evaluation) -> dict[str, Any]:
        """Which tags are confused; precision and recall of each, or of each kind of span."""
        records = evaluation.records
        table = confusion(records["predicted"], records["target"], self.outputs)
        if self.marks_spans:
            ours, theirs = (named(records[key], records["length"], self.tags) for key in ("predicted", "target"))
            each = [{"name": kind, **_row(scores)} for kind, scores in span_scores(ours, theirs)[1].items()]
        else:
            scores = precision_recall(table)
            rows = zip(self.tags, *(getattr(scores, key).tolist() for key in _SCORES), strict=True)
            each = [dict(zip(("name", *_SCORES), row, strict=True)) for row in rows]
        return {"classification": {"classes": self.tags, "confusion": table.tolist(), "per_class": each}}

    def mistakes(self, evaluation: Evaluation, limit: int) -> list[tuple[int, dict[str, Any]]]:
        """The sentences with the wrong words of which the model was surest."""
        records = evaluation.records
        lengths = records["length"].tolist()
        wrong = records["predicted"] != records["target"]
        sure = torch.where(wrong, records["probability"], torch.zeros(()))
        parts = [torch.split(part, lengths) for part in (sure, records["predicted"], records["target"])]
        found: list[tuple[int, dict[str, Any]]] = []
        for row, (strength, predicted, target) in enumerate(zip(*parts, strict=True)):
            at = int(strength.argmax())
            if predicted[at] != target[at]:
                said = {
                    "truth": self.tags[int(target[at])],
                    "predicted": self.tags[int(predicted[at])],
                    "confidence": float(strength[at]),
                    "tags": [self.tags[i] for i in predicted.tolist()],
                    "true_tags": [self.tags[i] for i in target.tolist()],
                }
                found.append((row, said))
        return sorted(found, key=lambda item: -float(item[1]["confidence"]))[:limit]

    def say(self, outputs: Any) -> list[dict[str, Any]]:
        """The tags of each sentence in one text and one by one, and how sure of each."""
        said = []
        for classes, probability in outputs:
            tags = [self.tags[i] for i in classes.tolist()]
            found = {"prediction": " ".join(tags), "tags": tags, "confidences": probability.double().tolist()}
            if self.marks_spans:
                found["spans"] = [{"kind": kind, "first": first, "end": end} for kind, first, end in spans(tags)]
            said.append(found)
        return said

    def to_json(self) -> dict[str, Any]:
        """The tags and counts."""
        return {"kind": self.word, "classes": Classes(self.tags).to_json(), "counts": self.counts}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TagAnswer:
        """The reverse of `to_json`."""
        return cls(Classes.from_json(value["classes"]).names, list(value["counts"]))


def _row(scores: SpanScores) -> dict[str, float]:
    return {key: getattr(scores, key) for key in _SCORES}
