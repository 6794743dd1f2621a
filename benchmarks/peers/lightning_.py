"""Lightning: a LightningModule, a DataLoader and the Trainer, with everything that is not training turned off."""

from __future__ import annotations

import logging
import warnings

import lightning as pl
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from peers import torch_net
from peers.cases import Task
from peers.laps import Laps


class Module(pl.LightningModule):
    """The introduction's, without logging."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.net, self.criterion = torch_net.model(task), torch_net.criterion(task)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """The loss of a batch."""
        inputs, target = batch
        loss: Tensor = self.criterion(self.net(inputs), target)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam as torch has it."""
        return torch.optim.Adam(self.parameters(), lr=1e-3)


class LapCallback(pl.Callback):
    """Sees epochs end."""

    def __init__(self, laps: Laps) -> None:
        self.laps = laps

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """An epoch is over."""
        self.laps.lap()


def train(task: Task, laps: Laps, *, precision: str = "32-true") -> np.ndarray:
    """`precision` as the Trainer names it."""
    warnings.filterwarnings("ignore")
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    pl.seed_everything(task.seed, verbose=False)
    module = Module(task)
    loader = DataLoader(TensorDataset(*torch_net.tensors(task)), batch_size=task.batch, shuffle=True)
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=laps.total,
        precision=precision,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[LapCallback(laps)],
    )
    trainer.fit(module, loader)
    return torch_net.outputs(module.net, task.data.x)
