"""The choices that a plan leaves open, made by rule: from what the model computes and what the processor can do.

Nothing is timed here: the same model on the same kind of machine always trains in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from shutil import which
from typing import Any

import torch

from penstock.core.machine import cores
from penstock.core.ranks import ALONE, Ranks
from penstock.engine.plan import Plan
from penstock.engine.tuning.kernels import able
from penstock.engine.tuning.onednn import exact_here
from penstock.engine.tuning.work import Work

CHOICES = ("precision", "compile", "onednn", "threads")
ENOUGH_FOR_A_THREAD = 60_000_000
"""Multiply-adds of a forward pass that are worth waking one more thread."""
ENOUGH_FOR_BF16 = 4_000_000
"""Multiply-adds of a forward pass below which the conversions cost more than bfloat16 saves."""
LITTLE = 6_000_000
"""Multiply-adds of a forward pass up to which calling the operations takes longer than the operations."""
LONG = 400_000
"""Steps from which compilation, about half a minute for about 0.1 ms a step, is sure to pay."""


def settle(plan: Plan, work: Work, steps: int | None, device: torch.device, ranks: Ranks = ALONE) -> Plan:
    """The plan with nothing left open. `steps` is the length of the training, None where only time ends it."""
    precision = _precision(work, device) if plan.precision == "auto" else plan.precision
    compiled = plan.compile
    if compiled == "auto":
        compiled = "on" if ranks.size == 1 and _compiling_pays(plan, work, steps, device) else "off"
    onednn = plan.onednn
    if onednn == "auto":
        onednn = "on" if compiled == "off" and precision == "float32" and _onednn_pays(work, device) else "off"
    threads = plan.threads or _threads(work, device, max(cores() // ranks.local_size, 1), compiled == "on")
    return plan.model_copy(update={"precision": precision, "compile": compiled, "onednn": onednn, "threads": threads})


def is_settled(plan: Plan) -> bool:
    """Whether the plan leaves nothing open."""
    return not any(getattr(plan, name) in (None, "auto") for name in CHOICES)


def settled_choices(plan: Plan) -> dict[str, Any]:
    """What `settle` chose, as JSON values."""
    return plan.model_dump(include=set(CHOICES))


def with_choices(plan: Plan, choices: Mapping[str, Any]) -> Plan:
    """The plan with what it leaves open taken from `choices`."""
    left = {name: choices[name] for name in CHOICES if getattr(plan, name) in (None, "auto")}
    return plan.model_copy(update=left)


def described(plan: Plan) -> str:
    """The choices in words."""
    threads = f"{plan.threads} thread{'s' if plan.threads != 1 else ''}"
    more = (
        [", steps compiled"] if plan.compile == "on" else [", large products by oneDNN"] if plan.onednn == "on" else []
    )
    return f"{plan.precision}, {threads}" + "".join(more)


def _precision(work: Work, device: torch.device) -> str:
    """bfloat16 where nearly all work is in wide layers and the processor multiplies it; its attention is slow there."""
    gains = work.wide >= 0.8 * work.total and work.total >= ENOUGH_FOR_BF16
    if device.type == "cpu":
        has = able()
        return "bf16" if gains and not work.attention and (has.get("avx512_bf16") or has.get("amx_bf16")) else "float32"
    if device.type == "cuda":
        return "bf16" if gains and torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "float32"


def _compiling_pays(plan: Plan, work: Work, steps: int | None, device: torch.device) -> bool:
    little = work.total <= LITTLE and not work.convolution
    long = steps is not None and steps >= LONG
    return little and long and device.type == "cpu" and plan.accumulate == 1 and which("g++") is not None


def _onednn_pays(work: Work, device: torch.device) -> bool:
    if device.type != "cpu" or not work.large:
        return False
    return "AMD" in str(able().get("cpu_name", "")) and exact_here(work.large)


def _threads(work: Work, device: torch.device, most: int, compiled: bool) -> int:
    """As many as have enough to do. Between compiled operations a second one has no time to fall asleep: it pays."""
    enough = max(work.total // ENOUGH_FOR_A_THREAD, 2 if compiled else 1)
    return most if device.type != "cpu" else min(most, enough)
