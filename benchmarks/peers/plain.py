"""Loops written by hand in PyTorch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus
from torch.utils.data import DataLoader, TensorDataset

from peers import torch_net
from peers.cases import Task
from peers.laps import Laps


def train(task: Task, laps: Laps, *, careful: bool = False) -> np.ndarray:
    """As introductions write it: DataLoader, torch.optim.Adam.

    `careful`: as a person in a hurry for results writes it: batches cut from tensors in memory, Adam's fused kernel.
    """
    torch.manual_seed(task.seed)
    net, criterion = torch_net.model(task), torch_net.criterion(task)
    x, y = torch_net.tensors(task)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=careful)
    loader = DataLoader(TensorDataset(x, y), batch_size=task.batch, shuffle=True)
    for _ in range(laps.total):
        for inputs, target in _cut(x, y, task.batch) if careful else loader:
            loss = criterion(net(inputs), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        laps.lap()
    return torch_net.outputs(net, task.data.x)


def _cut(x: Tensor, y: Tensor, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """An epoch's shuffled batches."""
    for part in torch.randperm(len(x)).split(batch):
        yield x[part], y[part]


def train_pair(task: Task, laps: Laps) -> np.ndarray:
    """Two networks against each other, by turns: Goodfellow et al. 2014, algorithm 1, with the non-saturating loss."""
    torch.manual_seed(task.seed)
    generator, discriminator = (
        torch_net.build(task.nets[name], task.weights[name]) for name in ("generator", "discriminator")
    )
    teach, judge = (
        torch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.5, 0.999)) for net in (generator, discriminator)
    )
    loader = DataLoader(
        TensorDataset(torch.from_numpy(task.data.x)),
        batch_size=task.batch,
        shuffle=True,
        generator=torch.Generator().manual_seed(task.seed),  # the other one is for noise alone
    )
    width = task.nets["generator"][0].inputs
    for _ in range(laps.total):
        for (real,) in loader:
            fake = generator(torch.randn(len(real), width)).detach()
            loss = (softplus(-discriminator(real)) + softplus(discriminator(fake))).mean()
            judge.zero_grad()
            loss.backward()
            judge.step()
            loss = softplus(-discriminator(generator(torch.randn(len(real), width)))).mean()
            teach.zero_grad()
            loss.backward()
            teach.step()
        laps.lap()
    return torch_net.pair_outputs(task, generator, discriminator)
