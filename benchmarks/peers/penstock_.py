"""Penstock's engine, from Python."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from peers import torch_net
from peers.cases import Task
from peers.laps import Laps
from penstock import (
    Adam,
    Batch,
    Classification,
    Engine,
    InMemory,
    Objective,
    Plan,
    Regression,
    Shuffled,
    Update,
    Watcher,
)

LOG_EVERY: int = Plan.model_fields["log_every"].default


class LapWatcher(Watcher):
    """Sees an epoch end in the engine's own rows of training loss."""

    def __init__(self, laps: Laps) -> None:
        self.laps = laps

    def measured(self, row: dict[str, Any]) -> None:
        """A row may fall within an epoch; only those at its end count."""
        if row["split"] == "train" and row["epoch"] == int(row["epoch"]):
            self.laps.lap()


class Adversarial(Objective):
    """Two networks against each other: Goodfellow et al. 2014, algorithm 1, with the non-saturating loss."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.generator = torch_net.build(task.nets["generator"], task.weights["generator"])
        self.discriminator = torch_net.build(task.nets["discriminator"], task.weights["discriminator"])
        self.width = task.nets["generator"][0].inputs

    def roles(self) -> dict[str, Any]:
        """Both."""
        return {"generator": self.generator, "discriminator": self.discriminator}

    def generate(self, count: int) -> Tensor:
        """Made points (count, 2)."""
        made: Tensor = self.generator(torch.randn(count, self.width))
        return made

    def step(self, batch: Batch) -> Iterator[Update]:
        """The discriminator's turn, then the generator's."""
        real = batch["x"]
        fake = self.generate(len(real)).detach()
        loss = (softplus(-self.discriminator(real)) + softplus(self.discriminator(fake))).mean()
        yield Update(loss, role="discriminator", weight=len(real))
        loss = softplus(-self.discriminator(self.generate(len(real)))).mean()
        yield Update(loss, role="generator", weight=len(real))


class EveryStep(Objective):
    """The next character at every step."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.model, self.criterion = torch_net.model(task), torch_net.criterion(task)

    def loss(self, batch: Batch) -> Update:
        """Cross-entropy over all steps."""
        return Update(self.criterion(self.model(batch["x"]), batch["target"]), weight=batch["target"].numel())


def train(task: Task, laps: Laps, **plan: Any) -> np.ndarray:
    """One role; `plan` are settings of the engine's plan other than its defaults."""
    if task.data.y.ndim > 1 and task.classes:
        objective: Any = EveryStep(task)
    else:
        objective = (Classification if task.classes else Regression)(torch_net.model(task), ["x"])
    x, y = torch_net.tensors(task)
    _run(task, laps, objective, {"x": x, "target": y if task.classes else y[:, 0]}, plan)
    return torch_net.outputs(objective.model, task.data.x)


def train_pair(task: Task, laps: Laps, **plan: Any) -> np.ndarray:
    """Two roles."""
    torch.manual_seed(task.seed)
    objective = Adversarial(task)
    _run(task, laps, objective, {"x": torch.from_numpy(task.data.x)}, plan)
    return torch_net.pair_outputs(task, objective.generator, objective.discriminator)


def _run(task: Task, laps: Laps, objective: Objective, fields: dict[str, Tensor], settings: dict[str, Any]) -> None:
    source = Shuffled(InMemory(fields), torch.arange(len(task.data.x)), batch_size=task.batch, seed=task.seed)
    log_every = math.gcd(LOG_EVERY, source.epoch_steps)
    plan = Plan(epochs=laps.total, device="cpu", log_every=log_every, **settings)
    adam = Adam(lr=1e-3, beta1=0.5 if "generator" in task.nets else 0.9)
    Engine(objective, source, plan, dict.fromkeys(objective.roles(), adam), watchers=[LapWatcher(laps)]).run()
