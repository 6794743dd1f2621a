"""A network as a search asks it. K positions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import torch

from penstock.rl.acting import VALUE, Actor
from penstock.rl.boards.game import BoardGame, Floats, Positions
from penstock.rl.boards.search import Evaluate

LOGITS = "logits"
AT_ONCE = 64
"""Positions that a processor is given together: what lies between the layers then stays in its cache."""


@contextlib.contextmanager
def asked(actor: Actor, game: BoardGame, device: torch.device) -> Iterator[Evaluate]:
    """Inside, the network tells "logits" (K, A) and "value" (K,); see `Actor.awake`."""
    size = AT_ONCE if device.type == "cpu" else 1 << 16

    with actor.awake() as ask:

        def evaluate(positions: Positions) -> tuple[Floats, Floats]:
            seen = torch.from_numpy(game.observe(positions)).float()
            told = [ask(part) for part in torch.split(seen, size)]
            logits, value = (np.concatenate([part[name].float().numpy() for part in told]) for name in (LOGITS, VALUE))
            return logits, value

        yield evaluate
