"""Single-precision products of large linear layers through oneDNN, where MKL takes its slow path: on AMD processors.

The way there is `torch.backends.mkldnn.matmul.fp32_precision = "bf16"`. It permits oneDNN to take a product, and to use
bfloat16 inside where it finds that faster. On the processors of today without matrix tiles it does not: the products
are as exact as before, and that is measured, on the shapes of the very model, before any layer is touched. The
permission is given around the products of linear layers and GRUs alone, because attention becomes slower by it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.core.random import forked
from penstock.engine.tuning.work import LARGE, Product

LARGEST_ERROR = 1e-5
"""Of a product's largest entry. Rounding to float32 alone gives 1e-7 to 1e-6, bfloat16 gives 1e-3."""


def exact_here(shapes: Iterable[Product]) -> bool:
    """Whether products of these shapes, and those of their backward passes, keep single precision on this machine."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    with forked():
        torch.manual_seed(0)
        return all(_error(m, k, n) < LARGEST_ERROR for m, k, n in shapes)


@contextlib.contextmanager
def linear_through_onednn(module: nn.Module, *, enabled: bool) -> Iterator[None]:
    """Inside, large products of the module's linear layers go through oneDNN, where enabled."""
    layers = [layer for layer in module.modules() if type(layer) is nn.Linear] if enabled else []
    for layer in layers:
        layer.__class__ = _Linear  # not another forward in the instance: a copy of the model must not point back here
    try:
        yield
    finally:
        for layer in layers:
            layer.__class__ = nn.Linear


@contextlib.contextmanager
def permitted() -> Iterator[None]:
    """Inside, single-precision products go through oneDNN: only where `exact_here`."""
    matmul = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = matmul.fp32_precision
    matmul.fp32_precision = "bf16"
    try:
        yield
    finally:
        matmul.fp32_precision = before


class _Linear(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        if (
            input.numel() * self.out_features < LARGE
            or input.dtype != torch.float32
            or torch.is_autocast_enabled("cpu")
            or torch._C._are_functorch_transforms_active()  # torch.func takes no autograd function of this form
        ):
            return super().forward(input)
        product: Tensor = _Product.apply(input, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return product


class _Product(torch.autograd.Function):
    """x W^T + b, and its gradients, which are differentiable in turn."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        with permitted():
            return F.linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        (grad,) = grads
        x, weight = ctx.saved_tensors
        rows = grad.reshape(-1, grad.shape[-1])
        with permitted():
            to_x = grad @ weight if ctx.needs_input_grad[0] else None
            to_weight = rows.t() @ x.reshape(-1, x.shape[-1]) if ctx.needs_input_grad[1] else None
        return to_x, to_weight, rows.sum(0) if ctx.needs_input_grad[2] else None


def _error(m: int, k: int, n: int) -> float:
    """The largest error of the three products of a linear layer, relative to the largest entry of each."""
    x, weight, grad = torch.randn(m, k), torch.randn(n, k), torch.randn(m, n)
    worst = 0.0
    for left, right in ((x, weight.t()), (grad, weight), (grad.t(), x)):
        with permitted():
            found = left @ right
        exact = left.double() @ right.double()
        worst = max(worst, float((found - exact).abs().max() / exact.abs().max()))
    return worst
