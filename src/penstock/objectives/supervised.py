"""Learning from examples with answers: classification and regression."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.core.batch import Batch
from penstock.core.errors import DataError
from penstock.core.objective import Evaluation, Update
from penstock.core.shared import rows
from penstock.metrics.classification import auc, confusion, macro_f1
from penstock.metrics.regression import mae, r2, rmse
from penstock.objectives.predicting import Predicting


class Supervised(Predicting):
    """A model from the fields `inputs` of a batch, passed in that order, to an output compared with "target"."""

    def forward(self, batch: Batch) -> Tensor:
        """The model's output on a batch."""
        output: Tensor = self.model(*[batch[name] for name in self.inputs])
        return output

    def collect(self, source: Iterable[Batch]) -> tuple[Tensor, Tensor]:
        """Outputs and targets of a whole source, in float32 on the processor."""
        found = rows(source, lambda batch: (self(batch).float(), batch["target"]))
        if not found:
            raise DataError("evaluation", "there are no examples", "give at least one example to evaluate on")
        outputs, targets = zip(*found, strict=True)
        return torch.cat(outputs).cpu(), torch.cat(targets).cpu()


class Classification(Supervised):
    """Cross-entropy over K classes; `model` gives logits (B, K), "target" is (B,) int64.

    `smoothing` mixes the target with the uniform distribution (Szegedy et al. 2016, section 7); `class_weights` (K,)
    weigh the examples of each class in training.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Sequence[str],
        *,
        smoothing: float = 0.0,
        class_weights: Tensor | None = None,
    ) -> None:
        super().__init__(model, inputs)
        self.smoothing = smoothing
        self.register_buffer("class_weights", class_weights, persistent=False)

    def loss(self, batch: Batch) -> Update:
        """Mean cross-entropy; with class weights, the weighted mean."""
        target = batch["target"]
        weights = self.get_buffer("class_weights") if self.class_weights is not None else None
        loss = F.cross_entropy(self(batch), target, weight=weights, label_smoothing=self.smoothing)
        return Update(loss, weight=len(target) if weights is None else float(weights[target].sum()))

    def evaluate(self, source: Iterable[Batch]) -> Evaluation:
        """Loss (plain cross-entropy), accuracy, error, macro F1 and AUC; records: probability (N, K), target (N,)."""
        logits, target = self.collect(source)
        probability = logits.double().softmax(1)
        predicted = logits.argmax(1)
        accuracy = float((predicted == target).double().mean())
        metrics = {
            "loss": float(F.cross_entropy(logits.double(), target)),
            "accuracy": accuracy,
            "error": 1 - accuracy,
            "f1": macro_f1(confusion(predicted, target, logits.shape[1])),
            "auc": auc(probability, target),
        }
        return Evaluation(metrics, {"probability": probability, "target": target})

    def predict(self, batch: Batch) -> Tensor:
        """Probabilities (B, K)."""
        logits: Tensor = self(batch)
        return logits.float().softmax(1)


class Regression(Supervised):
    """A number for each example; `model` gives (B, 1) or (B,), "target" is (B,), standardised.

    Evaluations and predictions are in the target's own unit: `centre` and `scale` are the mean and the deviation by
    which it was standardised. `criterion` compares outputs and targets: mean squared error unless another is given.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Sequence[str],
        *,
        centre: float = 0.0,
        scale: float = 1.0,
        criterion: Callable[[Tensor, Tensor], Tensor] = F.mse_loss,
    ) -> None:
        super().__init__(model, inputs)
        self.centre, self.scale, self.criterion = centre, scale, criterion

    def loss(self, batch: Batch) -> Update:
        """The criterion on standardised values."""
        target = batch["target"]
        return Update(self.criterion(self(batch).reshape(target.shape), target), weight=len(target))

    def evaluate(self, source: Iterable[Batch]) -> Evaluation:
        """Loss as in training; RMSE, MAE and R2 in the target's unit; records: prediction (N,), target (N,)."""
        output, target = self.collect(source)
        output, target = output.reshape(target.shape).double(), target.double()
        prediction, truth = (value * self.scale + self.centre for value in (output, target))
        metrics = {
            "loss": float(self.criterion(output, target)),
            "rmse": rmse(prediction, truth),
            "mae": mae(prediction, truth),
            "r2": r2(prediction, truth),
        }
        return Evaluation(metrics, {"prediction": prediction, "target": truth})

    def predict(self, batch: Batch) -> Tensor:
        """Predictions (B,) in the target's unit."""
        output: Tensor = self(batch).cpu().double().reshape(batch.size)
        return output * self.scale + self.centre
