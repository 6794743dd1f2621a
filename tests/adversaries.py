"""What the tests of adversarial training share: points on a ring of eight, small players, and an engine for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from penstock.data.examples import InMemory
from penstock.data.keyed import Keyed
from penstock.data.sources import InOrder, Shuffled
from penstock.engine.checkpoint import Checkpoints
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.models.discriminator import DenseTrunk, Discriminator, Head, PlainHead
from penstock.models.generator import Generator
from penstock.models.mlp import MLP
from penstock.objectives.adversarial import Adversarial
from penstock.optim.adam import Adam
from penstock.optim.optimizer import Optimizer

CODE, COUNT, CLASSES = 3, 46, 8
OPTIMIZERS: dict[str, Optimizer] = {"generator": Adam(lr=2e-3, beta1=0.5), "discriminator": Adam(lr=4e-3, beta1=0.5)}
EXPLICIT: dict[str, Any] = {"precision": "float32", "compile": "off", "onednn": "off", "threads": 1, "device": "cpu"}


def ring(count: int, dtype: torch.dtype = torch.float32) -> InMemory:
    generator = torch.Generator().manual_seed(0)
    mode = torch.arange(count) % CLASSES
    angle = mode * (2 * torch.pi / CLASSES)
    noise = 0.05 * torch.randn(count, 2, generator=generator)
    return InMemory({"point": (torch.stack([angle.cos(), angle.sin()], 1) + noise).to(dtype), "mode": mode})


def points(batch_size: int = 17, dtype: torch.dtype = torch.float32, **given: Any) -> Shuffled:
    """Epochs of 17, 17 and 12 points: no number of parts divides them all."""
    return Shuffled(ring(COUNT, dtype), torch.arange(COUNT), batch_size=batch_size, seed=3, transform=Keyed(), **given)


def held_out() -> InOrder:
    return InOrder(ring(COUNT), torch.arange(20), batch_size=8, transform=Keyed())


def players(
    *, seed: int = 0, head: type[Head] = PlainHead, classes: int = 0, dtype: torch.dtype = torch.float32, **options: Any
) -> Adversarial:
    """Of points; smooth, so that nothing has a kink."""
    torch.manual_seed(seed)
    body = lambda inputs: MLP(inputs=inputs, outputs=2, hidden=(16,), activation=nn.Tanh)  # noqa: E731
    generator = Generator(code=CODE, body=body, classes=classes, embedding=4)
    trunk = DenseTrunk(inputs=2, hidden=(16, 8))
    more = {"classes": classes} if classes else {}
    discriminator = Discriminator(trunk, head(8, **more))
    label = "mode" if classes else None
    return Adversarial(generator.to(dtype), discriminator.to(dtype), field="point", label=label, **options)


def engine(objective: Any, source: Any, *, folder: Path | None = None, optimizers: Any = None, **plan: Any) -> Engine:
    return Engine(
        objective,
        source,
        Plan(**(EXPLICIT | {"steps": 20, "log_every": 5, "checkpoint_every": 0} | plan)),
        optimizers or OPTIMIZERS,
        checkpoints=Checkpoints(folder, keep=1000) if folder else None,
    )
