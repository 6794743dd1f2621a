"""How much a step has to compute, and in operations of which sort."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from penstock.core.batch import Batch
from penstock.core.objective import Objective
from penstock.core.random import forked

WIDE = 64
"""Rows and columns from which a matrix product gains from bfloat16."""
CHANNELS = 8
"""Output channels from which a convolution does."""
LARGE = 4_000_000
"""Multiply-adds from which a single-precision product is worth the detour through another library."""
FEW = 8
"""Examples that are looked at."""

Product = tuple[int, int, int]
"""(M, K) times (K, N)."""


@dataclass(frozen=True)
class Work:
    """Multiply-adds of the forward pass of one update.

    `convolution` and `attention` (fused) are parts of `total`; `wide` is the part that gains from bfloat16 where the
    processor has it. `large` are the shapes of the large products of linear layers.
    """

    total: int = 0
    convolution: int = 0
    attention: int = 0
    wide: int = 0
    large: frozenset[Product] = frozenset()


def work_of(objective: Objective, batch: Batch) -> Work:
    """The work of the first update that the objective asks for on this batch; it leaves no trace.

    It is computed for the first few examples, and taken to grow with their number.
    """
    few = next(batch.split(max(batch.size // FEW, 1)))
    training = [module for module in objective.modules() if module.training]
    buffers = [
        (module, name, buffer, buffer.clone())
        for module in objective.modules()
        for name, buffer in module.named_buffers(recurse=False)
    ]
    objective.eval()
    tally = _Tally()
    try:
        # Gradients as in training: other kernels are taken without them.
        with forked(), torch.enable_grad(), _uncompiled(), tally:
            next(objective.step(few), None)
    finally:
        for module in training:
            module.training = True
        for module, name, buffer, value in buffers:
            setattr(module, name, buffer.copy_(value))
    return tally.work(batch.size / few.size)


def _uncompiled() -> AbstractContextManager[object]:
    """Inside, a model that its user has compiled runs as it was written, so that its operations are seen."""
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()


class _Tally(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every tensor operation and counts the multiply-adds of those that have many."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._convolution = self._attention = self._products = self._wide = 0
        self._shapes: set[Product] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Or the first operation seen would import the compiler, which takes a second."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.name().partition("::")[2].partition(".")[0]
        if count := _COUNTS.get(name):
            count(self, args, result)
        elif "scaled_dot_product" in name:
            self._count_attention(args)
        return result

    def work(self, times: float) -> Work:
        """What was counted, for so many times as many examples."""
        shapes = {(round(m * times), k, n) for m, k, n in self._shapes}
        return Work(
            total=round(times * (self._convolution + self._attention + self._products)),
            convolution=round(times * self._convolution),
            attention=round(times * self._attention),
            wide=round(times * self._wide),
            large=frozenset((m, k, n) for m, k, n in shapes if m * k * n >= LARGE),
        )

    def _count_convolution(self, args: Sequence[Any], result: Tensor) -> None:
        inputs, weight, transposed = args[0], args[1], args[6]
        done = (inputs if transposed else result).numel() * weight[0].numel()
        self._convolution += done
        self._wide += done if result.shape[1] >= CHANNELS else 0

    def _count_product(self, args: Sequence[Any], result: Tensor) -> None:
        left, right = args[-2:]
        (m, k), n = left.shape, right.shape[1]
        done = m * k * n
        self._products += done
        self._wide += done if min(k, n) >= WIDE else 0
        self._shapes.add((m, k, n))

    def _count_batched(self, args: Sequence[Any], result: Tensor) -> None:
        self._products += result.numel() * args[-2].shape[-1]

    def _count_recurrent(self, args: Sequence[Any], result: Sequence[Tensor]) -> None:
        inputs, (to_gates, carried) = args[0], args[1:3]
        done = inputs.shape[0] * inputs.shape[1] * (to_gates.numel() + carried.numel())
        self._products += done
        self._wide += done if carried.shape[-1] >= WIDE else 0

    def _count_attention(self, args: Sequence[Any]) -> None:
        query, key, value = args[:3]  # (B, heads, T, width) each
        self._attention += query.shape[:-1].numel() * key.shape[-2] * (query.shape[-1] + value.shape[-1])


_COUNTS: dict[str, Callable[[_Tally, Sequence[Any], Any], None]] = {
    "convolution": _Tally._count_convolution,
    "_convolution": _Tally._count_convolution,
    "mm": _Tally._count_product,
    "addmm": _Tally._count_product,
    "bmm": _Tally._count_batched,
    "baddbmm": _Tally._count_batched,
    "mkldnn_rnn_layer": _Tally._count_recurrent,
}
