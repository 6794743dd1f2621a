"""Classification metrics against scikit-learn, brute force and properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from torch import Tensor

from penstock.core.errors import DataError
from penstock.metrics.classification import (
    accuracy,
    auc,
    confusion,
    log_loss,
    macro_f1,
    precision_recall,
    reliability,
)

CLOSE = {"rel": 1e-7, "abs": 1e-7}


def example(seed: int, n: int, classes: int, present: list[int], levels: int | None = None) -> tuple[Tensor, Tensor]:
    """Probabilities that sum to one, of `levels` distinct logits (ties) or any, and targets among `present`."""
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, classes, generator=draw, dtype=torch.float64)
    if levels is not None:
        logits = (logits * levels / 4).round()
    picks = torch.randint(len(present), (n,), generator=draw)
    return logits.softmax(1), torch.tensor(present)[picks]


CASES = [
    example(0, 200, 2, [0, 1]),
    example(1, 200, 2, [0, 1], levels=3),
    example(2, 300, 5, [0, 1, 2, 3, 4]),
    example(3, 300, 5, [0, 1, 2, 3, 4], levels=2),
    example(4, 300, 6, [0, 2, 5]),
    example(5, 40, 4, [3]),
    example(6, 1, 3, [1]),
]


@pytest.mark.parametrize(("probabilities", "targets"), CASES)
def test_counts_against_scikit_learn(probabilities: Tensor, targets: Tensor) -> None:
    predicted, classes = probabilities.argmax(1), probabilities.shape[1]
    labels = list(range(classes))
    assert accuracy(probabilities, targets) == pytest.approx(sk.accuracy_score(targets, predicted), **CLOSE)
    assert accuracy(probabilities.log(), targets) == accuracy(probabilities, targets)
    matrix = confusion(predicted, targets, classes)
    assert matrix.dtype == torch.int64
    assert np.array_equal(matrix.numpy(), sk.confusion_matrix(targets, predicted, labels=labels))
    ours = precision_recall(matrix)
    theirs = sk.precision_recall_fscore_support(targets, predicted, labels=labels, zero_division=0)
    for mine, reference in zip((ours.precision, ours.recall, ours.f1, ours.support), theirs, strict=True):
        assert np.allclose(mine.numpy(), reference, rtol=1e-7, atol=1e-7)
    reference = sk.f1_score(targets, predicted, average="macro", zero_division=0)
    assert macro_f1(matrix) == pytest.approx(reference, **CLOSE)


@pytest.mark.parametrize(("probabilities", "targets"), CASES)
def test_log_loss_against_scikit_learn(probabilities: Tensor, targets: Tensor) -> None:
    labels = list(range(probabilities.shape[1]))
    reference = sk.log_loss(targets.numpy(), probabilities.numpy(), labels=labels)
    assert log_loss(probabilities, targets) == pytest.approx(reference, **CLOSE)


def test_a_sure_mistake_is_finite_in_every_precision() -> None:
    for dtype in (torch.float64, torch.float32):
        sure = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=dtype)
        targets = torch.tensor([1, 1])
        assert log_loss(sure, targets) == pytest.approx(-math.log(torch.finfo(dtype).eps) / 2, rel=1e-6)
        assert log_loss(sure, targets) == pytest.approx(sk.log_loss([1, 1], sure.numpy(), labels=[0, 1]), rel=1e-6)


@pytest.mark.parametrize(("probabilities", "targets"), CASES)
def test_auc_against_scikit_learn(probabilities: Tensor, targets: Tensor) -> None:
    present = targets.unique().tolist()
    if len(present) == 1:
        assert math.isnan(auc(probabilities, targets))
        return
    compared = [1] if probabilities.shape[1] == 2 else present
    each = [sk.roc_auc_score((targets == k).numpy(), probabilities[:, k].numpy()) for k in compared]
    assert auc(probabilities, targets) == pytest.approx(sum(each) / len(each), **CLOSE)
    if len(present) == probabilities.shape[1] > 2:
        whole = sk.roc_auc_score(targets.numpy(), probabilities.numpy(), multi_class="ovr", average="macro")
        assert auc(probabilities, targets) == pytest.approx(whole, **CLOSE)


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=30))
@settings(max_examples=60, deadline=None)
def test_auc_is_the_share_of_pairs_in_order(rows: list[tuple[int, bool]]) -> None:
    score = torch.tensor([value / 4 for value, _ in rows], dtype=torch.float64)
    targets = torch.tensor([int(positive) for _, positive in rows], dtype=torch.int64)
    good, bad = score[targets == 1], score[targets == 0]
    found = auc(torch.stack([1 - score, score], dim=1), targets)
    if len(good) == 0 or len(bad) == 0:
        assert math.isnan(found)
        return
    wins = sum(1.0 if g > b else 0.5 if g == b else 0.0 for g in good.tolist() for b in bad.tolist())
    assert found == pytest.approx(wins / (len(good) * len(bad)), abs=1e-12)
    turned = auc(torch.stack([score, 1 - score], dim=1), targets)
    assert found + turned == pytest.approx(1.0, abs=1e-12)
    assert auc(torch.stack([1 - score, score], dim=1).exp(), targets) == pytest.approx(found, abs=1e-12)


def test_auc_of_half_precision_and_of_nan() -> None:
    probabilities, targets = CASES[0]
    coarse = probabilities.to(torch.bfloat16)
    assert auc(coarse, targets) == pytest.approx(sk.roc_auc_score(targets, coarse[:, 1].double()), **CLOSE)
    assert math.isnan(auc(torch.full((4, 2), math.nan), torch.tensor([0, 1, 0, 1])))


@pytest.mark.parametrize(("probabilities", "targets"), CASES)
@pytest.mark.parametrize("bins", [1, 7, 15])
def test_reliability_by_brute_force(probabilities: Tensor, targets: Tensor, bins: int) -> None:
    found = reliability(probabilities, targets, bins)
    error = 0.0
    for m in range(bins):
        inside = [
            (float(row.max()), float(row.argmax() == target))
            for row, target in zip(probabilities, targets, strict=True)
            if m / bins < float(row.max()) <= (m + 1) / bins
        ]
        assert int(found.count[m]) == len(inside)
        if not inside:
            assert math.isnan(found.confidence[m])
            assert math.isnan(found.accuracy[m])
            continue
        confidence, hits = (sum(column) / len(inside) for column in zip(*inside, strict=True))
        assert float(found.confidence[m]) == pytest.approx(confidence, **CLOSE)
        assert float(found.accuracy[m]) == pytest.approx(hits, **CLOSE)
        error += len(inside) / len(targets) * abs(hits - confidence)
    assert found.error == pytest.approx(error, **CLOSE)


def test_reliability_at_the_edges() -> None:
    sure = torch.tensor([[0.0, 1.0], [0.5, 0.5]])
    found = reliability(sure, torch.tensor([1, 1]), bins=2)
    assert found.count.tolist() == [1, 1]
    assert found.error == pytest.approx(0.25)


@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(1, 50))
@settings(max_examples=40, deadline=None)
def test_properties(seed: int, classes: int, n: int) -> None:
    probabilities, targets = example(seed, n, classes, list(range(classes)), levels=2)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    matrix = confusion(probabilities.argmax(1), targets, classes)
    assert matrix.sum() == n
    assert accuracy(probabilities, targets) == pytest.approx(float(matrix.trace()) / n)
    assert np.array_equal(matrix.sum(1), targets.bincount(minlength=classes))
    assert 0 <= macro_f1(matrix) <= 1
    assert 0 <= reliability(probabilities, targets).error <= 1
    for metric in (accuracy, auc, log_loss, lambda p, t: reliability(p, t).error):
        value = metric(probabilities, targets)
        assert metric(probabilities[order], targets[order]) == pytest.approx(value, abs=1e-12, nan_ok=True)


def test_no_example_gives_nan() -> None:
    probabilities, targets = torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64)
    assert math.isnan(accuracy(probabilities, targets))
    assert math.isnan(auc(probabilities, targets))
    assert math.isnan(log_loss(probabilities, targets))
    assert math.isnan(reliability(probabilities, targets).error)
    assert math.isnan(macro_f1(confusion(targets, targets, 3)))


def test_what_does_not_fit_is_refused() -> None:
    probabilities = torch.full((3, 2), 0.5)
    with pytest.raises(DataError, match="class 2 where there are 2 classes"):
        accuracy(probabilities, torch.tensor([0, 1, 2]))
    with pytest.raises(DataError, match="class -1"):
        confusion(torch.tensor([0]), torch.tensor([-1]), 2)
    with pytest.raises(DataError, match="differ in shape"):
        confusion(torch.tensor([0, 1]), torch.tensor([0]), 2)
    with pytest.raises(DataError, match="do not match"):
        log_loss(probabilities, torch.tensor([0, 1]))
    with pytest.raises(DataError, match="do not match"):
        auc(probabilities[:, 1], torch.tensor([0, 1, 1]))
    with pytest.raises(DataError, match="1 column"):
        auc(probabilities[:, :1], torch.tensor([0, 0, 0]))
    with pytest.raises(DataError, match="0 bins"):
        reliability(probabilities, torch.tensor([0, 1, 1]), bins=0)
