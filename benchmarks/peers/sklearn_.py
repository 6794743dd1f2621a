"""scikit-learn's own multilayer perceptrons: `partial_fit` is one epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor

from peers.cases import Task
from peers.laps import Laps


def train(task: Task, laps: Laps) -> np.ndarray:
    """The same sizes, without weight decay."""
    settings: dict[str, Any] = {
        "hidden_layer_sizes": [layer.outputs for layer in task.nets["model"] if layer.kind == "linear"][:-1],
        "activation": "relu",
        "solver": "adam",
        "alpha": 0.0,
        "batch_size": task.batch,
        "learning_rate_init": 1e-3,
        "shuffle": True,
        "random_state": task.seed,
    }
    given = task.weights["model"]

    class Started(MLPClassifier if task.classes else MLPRegressor):  # type: ignore[misc]
        """Begins with the task's weights, in place of its own."""

        def _initialize(self, *args: Any) -> None:
            super()._initialize(*args)
            for own, layer in zip(self.coefs_, given, strict=True):
                own[...] = layer.weight.T
            for own, layer in zip(self.intercepts_, given, strict=True):
                own[...] = layer.bias

    net = Started(**settings)
    x, y = task.data.x, task.data.y if task.classes else task.data.y[:, 0]
    more = {"classes": np.unique(y)} if task.classes else {}
    for _ in range(laps.total):
        net.partial_fit(x, y, **more)
        laps.lap()
    return np.log(net.predict_proba(x) + 1e-12) if task.classes else net.predict(x)
