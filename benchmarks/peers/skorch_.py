"""skorch: the torch module behind scikit-learn's interface, without validation and without printing."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback

from peers import torch_net
from peers.cases import Task
from peers.laps import Laps


class LapCallback(Callback):  # type: ignore[misc]
    """Sees epochs end."""

    def __init__(self, laps: Laps) -> None:
        self.laps = laps

    def on_epoch_end(self, net: NeuralNet, **given: Any) -> None:
        """An epoch is over."""
        self.laps.lap()


def train(task: Task, laps: Laps) -> np.ndarray:
    """Adam as torch has it."""
    torch.manual_seed(task.seed)
    module = torch_net.model(task)
    net = NeuralNet(
        module,
        criterion=type(torch_net.criterion(task)),
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=task.batch,
        max_epochs=laps.total,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
        callbacks=[("laps", LapCallback(laps))],
    )
    net.fit(task.data.x, task.data.y)
    return torch_net.outputs(net.module_, task.data.x)
