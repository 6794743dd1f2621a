"""The order in memory of pictures and of the weights of convolutions: values, names and shapes never change by it."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from penstock.engine.tuning.kernels import able

_GAINING = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
_LAYERS = (*_GAINING, nn.BatchNorm2d, nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Identity)
"""Of which torch has kernels for pictures with their channels last. Dropout would draw in another order."""
_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
_LAST = torch.channels_last


def lay_out(module: nn.Module, device: torch.device) -> None:
    """Store convolution weights channels last, in place, where their kernels are fastest in that layout.

    That is on graphics cards, and on processors with matrix tiles (AMX). On others, blocked layouts of the library's
    own are as fast.
    """
    if device.type == "cpu" and not able().get("amx_tile"):
        return
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.data = layer.weight.data.contiguous(memory_format=_LAST)


@contextlib.contextmanager
def channels_last(module: nn.Module, *, enabled: bool) -> Iterator[None]:
    """Inside, stretches of convolutions, pooling and what lies between them compute channels last, where enabled.

    On processors, torch's pooling of pictures with their channels first is not vectorised, and oneDNN reorders what
    goes into a convolution and what comes out. A stretch is part of an `nn.Sequential`; what comes out of that is laid
    out as what went in, so that the rest of the model need not know. Off: `Plan(channels_last=False)`.
    """
    paying = [part for part in module.modules() if enabled and type(part) is nn.Sequential and _pays(part)]
    chains = {id(chain): chain for part in paying for chain in _chains(part)}.values()
    for chain in chains:
        chain.__class__ = _Sequential  # not another forward in the instance: a copy of the model must not point back
    try:
        yield
    finally:
        for chain in chains:
            chain.__class__ = nn.Sequential


class _Sequential(nn.Sequential):
    def forward(self, input: Any) -> Any:
        if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():  # these lay out as they like
            return super().forward(input)  # type: ignore[no-untyped-call]
        x, layers = input, deque(self)
        while layers:
            layer = layers.popleft()
            x = _with_channels_last(x) if type(layer) in (*_LAYERS, _Sequential) else _with_channels_first(x)
            if layers and _may_go_first(layers[0], layer):
                x = layers.popleft()(x)
            x = layer(x)
        return _with_channels_last(x) if _is_channels_last(input) else _with_channels_first(x)


class _ChannelsFirst(torch.autograd.Function):
    """Channels last to channels first, and its gradient back again, for mixed layouts make the next layer slow."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.contiguous()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0].contiguous(memory_format=_LAST)


def _chains(chain: nn.Sequential) -> Iterator[nn.Sequential]:
    """The chain, and those that are links of it."""
    yield chain
    for layer in chain:
        if type(layer) is nn.Sequential:
            yield from _chains(layer)


def _pays(chain: nn.Sequential) -> bool:
    """Whether two layers gain, a convolution among them: one alone does not repay the copies at both ends."""
    kinds = [type(layer) for part in _chains(chain) for layer in part]
    return nn.Conv2d in kinds and sum(kind in _GAINING for kind in kinds) > 1


def _may_go_first(pool: nn.Module, layer: nn.Module) -> bool:
    """Whether the maxima may be taken before ReLU: values and gradients are the same to the last bit, of fewer numbers.

    Not where somebody looks on.
    """
    if type(layer) is not nn.ReLU or type(pool) is not nn.MaxPool2d or pool.return_indices:
        return False
    hooks = (part.__dict__[name] for part in (pool, layer) for name in _HOOKS)
    return not any(hooks)


def _is_channels_last(x: Any) -> bool:
    """Whether it can only be understood so: with one channel, or one pixel, the two layouts are one."""
    return _are_pictures(x) and not x.is_contiguous() and x.is_contiguous(memory_format=_LAST)


def _with_channels_last(x: Any) -> Any:
    if not _are_pictures(x):
        return x
    if x.shape[1] == 1:
        return x.squeeze(1).unsqueeze(3).permute(0, 3, 1, 2)  # nothing moves; but its strides are what convolutions see
    return x.contiguous(memory_format=_LAST)


def _with_channels_first(x: Any) -> Any:
    return _ChannelsFirst.apply(x) if _is_channels_last(x) else x  # type: ignore[no-untyped-call]


def _are_pictures(x: Any) -> bool:
    """(B, C, H, W)"""
    return isinstance(x, Tensor) and x.dim() == 4
