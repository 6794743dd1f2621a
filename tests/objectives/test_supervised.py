"""Supervised objectives against torch.nn.functional, closed forms and scikit-learn."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn import metrics as sklearn_metrics
from torch import Tensor, nn
from torch.nn import functional

from penstock.core.batch import Batch
from penstock.core.errors import DataError
from penstock.objectives.supervised import Classification, Regression

COUNT, CLASSES = 37, 4


def labelled() -> Batch:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(COUNT, 3, generator=generator, dtype=torch.float64)
    target = torch.randint(0, CLASSES, (COUNT,), generator=generator)
    return Batch(x=x, target=target)


def measured() -> Batch:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(COUNT, 3, generator=generator, dtype=torch.float64)
    return Batch(x=x, target=x[:, 0] - 0.5 * x[:, 1] + 0.1 * torch.randn(COUNT, generator=generator).double())


def classifier(**options: object) -> Classification:
    torch.manual_seed(0)
    return Classification(nn.Linear(3, CLASSES).double(), ["x"], **options)


def weighed_by_hand(logits: Tensor, target: Tensor, weights: Tensor, smoothing: float) -> Tensor:
    """Over classes, the smoothed target times the weight times -log p; divided by the weights of the targets."""
    smooth = torch.full_like(logits, smoothing / CLASSES)
    smooth[torch.arange(len(target)), target] += 1 - smoothing
    return -(smooth * weights * logits.log_softmax(1)).sum() / weights[target].sum()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighed", [False, True])
def test_cross_entropy_with_class_weights_and_smoothing(smoothing: float, weighed: bool) -> None:
    batch = labelled()
    weights = torch.tensor([0.5, 1.0, 2.0, 4.0], dtype=torch.float64)
    objective = classifier(smoothing=smoothing, class_weights=weights if weighed else None)
    update = objective.loss(batch)
    logits, target = objective.model(batch["x"]), batch["target"]
    used = weights if weighed else torch.ones(CLASSES, dtype=torch.float64)
    torch.testing.assert_close(update.loss, weighed_by_hand(logits, target, used, smoothing), rtol=1e-12, atol=0)
    assert update.role == "model"
    assert update.weight == pytest.approx(float(used[target].sum()))
    if not weighed and not smoothing:
        torch.testing.assert_close(update.loss, functional.cross_entropy(logits, target), rtol=0, atol=0)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighed", [False, True])
def test_the_weights_of_parts_add_up_to_the_whole(smoothing: float, weighed: bool) -> None:
    weights = torch.tensor([0.5, 1.0, 2.0, 4.0], dtype=torch.float64) if weighed else None
    objective, batch = classifier(smoothing=smoothing, class_weights=weights), labelled()
    whole, parts = objective.loss(batch), [objective.loss(part) for part in batch.split(5)]
    total = sum(part.weight for part in parts)
    assert total == pytest.approx(whole.weight)
    joined = sum(float(part.loss.detach()) * part.weight for part in parts) / total
    assert joined == pytest.approx(float(whole.loss.detach()), rel=1e-12)


def test_class_weights_are_not_part_of_the_model_but_follow_it() -> None:
    objective = classifier(class_weights=torch.ones(CLASSES))
    assert list(objective.state_dict()) == ["model.weight", "model.bias"]
    assert objective.double().class_weights.dtype == torch.float64


@pytest.mark.parametrize("size", [1, 5, 36, 37, 100])
def test_classification_is_evaluated_alike_whatever_the_batch_size(size: int) -> None:
    objective, batch = classifier(smoothing=0.3, class_weights=torch.rand(CLASSES)), labelled()
    parts = [Batch({name: value[i : i + size] for name, value in batch.items()}) for i in range(0, COUNT, size)]
    with torch.no_grad():
        found = objective.evaluate(parts)
        logits = objective.model(batch["x"]).float().double()
    target = batch["target"]
    probability = logits.softmax(1)
    torch.testing.assert_close(found.records["probability"], probability, rtol=1e-6, atol=1e-7)
    assert torch.equal(found.records["target"], target)
    right = int((logits.argmax(1) == target).sum())
    expected = {
        "loss": sklearn_metrics.log_loss(target, probability),  # neither smoothed nor weighed
        "accuracy": right / COUNT,
        "error": 1 - right / COUNT,
        "f1": sklearn_metrics.f1_score(target, logits.argmax(1), average="macro"),
        "auc": sklearn_metrics.roc_auc_score(target, probability, multi_class="ovr"),
    }
    assert found.metrics == pytest.approx(expected, rel=1e-6)


def test_probabilities_of_a_batch() -> None:
    objective, batch = classifier(), labelled()
    with torch.no_grad():
        found = objective.predict(batch)
    torch.testing.assert_close(found, objective.model(batch["x"]).float().softmax(1).detach())
    torch.testing.assert_close(found.sum(1), torch.ones(COUNT))


def regressor(outputs: int = 1, **options: object) -> Regression:
    torch.manual_seed(0)
    model: nn.Module = nn.Linear(3, outputs).double()
    return Regression(model, ["x"], **options)


def test_squared_error_is_the_default_and_shapes_do_not_broadcast() -> None:
    objective, batch = regressor(), measured()
    output = objective.model(batch["x"])
    assert output.shape == (COUNT, 1)
    update = objective.loss(batch)
    torch.testing.assert_close(update.loss, (output[:, 0] - batch["target"]).square().mean(), rtol=1e-12, atol=0)
    assert update.weight == COUNT
    flat = Regression(nn.Sequential(objective.model, nn.Flatten(0)), ["x"])
    torch.testing.assert_close(flat.loss(batch).loss, update.loss, rtol=0, atol=0)
    with pytest.raises(RuntimeError, match="invalid for input of size"):
        regressor(2).loss(batch)


def test_another_criterion() -> None:
    objective, batch = regressor(criterion=functional.l1_loss), measured()
    expected = (objective.model(batch["x"])[:, 0] - batch["target"]).abs().mean()
    torch.testing.assert_close(objective.loss(batch).loss, expected, rtol=1e-12, atol=0)
    with torch.no_grad():
        assert objective.evaluate([batch]).metrics["loss"] == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("size", [1, 5, 36, 37, 100])
def test_regression_is_evaluated_in_the_unit_of_its_target_whatever_the_batch_size(size: int) -> None:
    centre, scale = 250_000.0, 80_000.0
    objective, batch = regressor(centre=centre, scale=scale), measured()
    parts = [Batch({name: value[i : i + size] for name, value in batch.items()}) for i in range(0, COUNT, size)]
    with torch.no_grad():
        found = objective.evaluate(parts)
        output = objective.model(batch["x"])[:, 0]
    truth, prediction = batch["target"] * scale + centre, output * scale + centre
    expected = {
        "loss": float(functional.mse_loss(output, batch["target"])),  # as in training: standardised
        "rmse": math.sqrt(sklearn_metrics.mean_squared_error(truth, prediction)),
        "mae": sklearn_metrics.mean_absolute_error(truth, prediction),
        "r2": sklearn_metrics.r2_score(truth, prediction),
    }
    assert found.metrics == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(found.records["prediction"], prediction, rtol=1e-6, atol=0)
    torch.testing.assert_close(found.records["target"], truth, rtol=1e-12, atol=0)
    torch.testing.assert_close(objective.predict(batch).detach(), prediction, rtol=1e-12, atol=0)


def test_inputs_are_given_in_the_order_named() -> None:
    class Difference(nn.Module):
        def forward(self, first: Tensor, second: Tensor) -> Tensor:
            return first - second

    batch = Batch(a=torch.tensor([5.0]), b=torch.tensor([3.0]), target=torch.zeros(1))
    assert Regression(Difference(), ["a", "b"]).predict(batch).item() == 2
    assert Regression(Difference(), ["b", "a"]).predict(batch).item() == -2


@pytest.mark.parametrize("objective", [classifier(), regressor()], ids=["classify", "regress"])
def test_nothing_to_evaluate_on_is_said(objective: Classification | Regression) -> None:
    with pytest.raises(DataError, match=r"^evaluation: there are no examples; "):
        objective.evaluate([])
