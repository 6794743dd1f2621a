"""What a training sets in torch and in the allocator for as long as it lasts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

from penstock.engine.plan import Plan
from penstock.engine.tuning.allocator import keeping_freed_memory
from penstock.engine.tuning.gru import gru_at_once
from penstock.engine.tuning.layout import channels_last
from penstock.engine.tuning.onednn import linear_through_onednn
from penstock.engine.tuning.threads import using_threads


@contextlib.contextmanager
def as_planned(plan: Plan, module: nn.Module, device: torch.device) -> Iterator[None]:
    """Inside, threads, freed memory, the layout of pictures, large products and GRUs are as the plan says."""
    with (
        using_threads(plan.threads),
        keeping_freed_memory(enabled=plan.keep_memory and device.type == "cpu"),
        channels_last(module, enabled=plan.channels_last and device.type == "cpu"),
        linear_through_onednn(module, enabled=plan.onednn == "on"),
        gru_at_once(module, enabled=plan.fused and device.type == "cpu", onednn=plan.onednn == "on"),
    ):
        yield
