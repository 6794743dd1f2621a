"""How well predicted classes and their probabilities agree with the truth. N examples, K classes.

Sums are taken on the CPU in float64, which not every accelerator has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from penstock.core.errors import DataError


@dataclass(frozen=True, slots=True)
class ClassScores:
    """Per class, (K,) float64 each, and 0 where undefined; `support` (K,) int64 counts the true examples."""

    precision: Tensor
    recall: Tensor
    f1: Tensor
    support: Tensor


@dataclass(frozen=True, slots=True)
class Reliability:
    """Per bin of confidence, (bins,): mean confidence and accuracy, NaN where the bin is empty, and examples.

    `error` is the expected calibration error.
    """

    confidence: Tensor
    accuracy: Tensor
    count: Tensor
    error: float


def accuracy(scores: Tensor, targets: Tensor) -> float:
    """The share of examples whose class has the highest of its scores (N, K), logits or probabilities; NaN of none."""
    _check("accuracy", scores, targets)
    return (scores.argmax(1) == targets).cpu().double().mean().item()


def confusion(predicted: Tensor, targets: Tensor, classes: int) -> Tensor:
    """Counts (K, K) int64 of true class (row) and predicted class (column), from two (N,) of classes.

    Raises DataError for a class outside 0 to `classes` - 1 and for tensors of different length.
    """
    if predicted.shape != targets.shape:
        problem = f"predicted {tuple(predicted.shape)} and targets {tuple(targets.shape)} differ in shape"
        raise DataError("confusion", problem, "give one predicted class for each target")
    _check_range("confusion", predicted, classes)
    _check_range("confusion", targets, classes)
    cell = targets.long() * classes + predicted.long()
    return torch.bincount(cell.flatten(), minlength=classes * classes).reshape(classes, classes)


def precision_recall(matrix: Tensor) -> ClassScores:
    """Precision, recall, F1 and support of each class, from a confusion matrix (K, K) with the truth in rows."""
    matrix = matrix.cpu()
    hits = matrix.diagonal().double()
    support, claimed = matrix.sum(1), matrix.sum(0)
    return ClassScores(
        precision=hits / claimed.clamp(min=1),
        recall=hits / support.clamp(min=1),
        f1=2 * hits / (support + claimed).clamp(min=1),
        support=support,
    )


def macro_f1(matrix: Tensor) -> float:
    """The mean F1 of the classes that occur in truth or prediction, from a confusion matrix (K, K); NaN of none."""
    occurs = (matrix.sum(0) + matrix.sum(1) > 0).cpu()
    return precision_recall(matrix).f1[occurs].mean().item()


def auc(probabilities: Tensor, targets: Tensor) -> float:
    """Area under the receiver operating characteristic, from (N, K) and (N,).

    With two classes that of class 1; with more the mean, over the classes that occur, of each against the rest. It is
    the chance that an example of the class is ranked above one that is not, ties counting half, found from mid-ranks
    (Hanley and McNeil 1982, "The meaning and use of the area under a ROC curve"). NaN where no class has both examples
    and others, and where a probability is NaN.
    """
    _check("auc", probabilities, targets)
    classes = probabilities.shape[1]
    if classes < 2:
        raise DataError("auc", f"{classes} column of probabilities", "give one column for each of at least two classes")
    if probabilities.isnan().any():
        return math.nan
    probabilities, targets = probabilities.cpu().double(), targets.cpu()
    compared = [1] if classes == 2 else targets.bincount().nonzero().flatten().tolist()
    areas = [_rank_area(probabilities[:, k], targets == k) for k in compared]
    defined = [area for area in areas if not math.isnan(area)]
    return sum(defined) / len(defined) if defined else math.nan


def reliability(probabilities: Tensor, targets: Tensor, bins: int = 15) -> Reliability:
    """Confidence against accuracy in equal bins (a, b] of the highest probability, from (N, K) and (N,).

    `error` is the mean over examples of their bin's |accuracy - confidence|: Guo et al. 2017, "On calibration of modern
    neural networks", equation (3). It is NaN where there is no example.
    """
    _check("reliability", probabilities, targets)
    if bins < 1:
        raise DataError("reliability", f"{bins} bins", "give at least one")
    confidence, predicted = probabilities.cpu().double().max(1)
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64)
    index = torch.bucketize(confidence, edges[1:-1])  # bin i holds edges[i] < confidence <= edges[i + 1]
    count = torch.bincount(index, minlength=bins)
    mean_confidence = torch.bincount(index, weights=confidence, minlength=bins) / count  # 0 / 0 is the NaN we promise
    mean_accuracy = torch.bincount(index, weights=(predicted == targets.cpu()).double(), minlength=bins) / count
    gaps = (mean_accuracy - mean_confidence).abs().nan_to_num(0.0) * count
    error = gaps.sum() / count.sum()
    return Reliability(mean_confidence, mean_accuracy, count, error.item())


def log_loss(probabilities: Tensor, targets: Tensor) -> float:
    """The mean of -log of the true class's probability, from (N, K) and (N,); NaN where there is no example.

    Probabilities are kept away from 0 and 1 by the machine epsilon of their type, so that one sure mistake is dear but
    finite.
    """
    _check("log_loss", probabilities, targets)
    epsilon = torch.finfo(probabilities.dtype).eps
    true = probabilities.gather(1, targets.long().unsqueeze(1)).cpu().double()
    return -true.clamp(epsilon, 1 - epsilon).log().mean().item()


def _rank_area(scores: Tensor, positive: Tensor) -> float:
    """The share of pairs of a positive and a negative example that scores (N,) put in order, ties counting half."""
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if positives == 0 or negatives == 0:
        return math.nan
    ordered, of_positives = scores.sort().values, scores[positive]
    below = torch.searchsorted(ordered, of_positives).sum().item()
    below_or_level = torch.searchsorted(ordered, of_positives, right=True).sum().item()
    mid_ranks = (below + below_or_level + positives) / 2  # summed, each counted from 1
    return (mid_ranks - positives * (positives + 1) / 2) / (positives * negatives)


def _check(where: str, scores: Tensor, targets: Tensor) -> None:
    """Scores are (N, K), targets are (N,) of classes below K. Raises DataError."""
    if scores.ndim != 2 or targets.ndim != 1 or len(scores) != len(targets):
        problem = f"scores {tuple(scores.shape)} do not match targets {tuple(targets.shape)}"
        raise DataError(where, problem, "give a row of scores for each target, with a column for each class")
    _check_range(where, targets, scores.shape[1])


def _check_range(where: str, labels: Tensor, classes: int) -> None:
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        wrong = labels[(labels < 0) | (labels >= classes)][0].item()
        raise DataError(where, f"class {wrong} where there are {classes} classes", "number the classes from 0")
