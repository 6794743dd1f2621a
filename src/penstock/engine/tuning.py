"""Private torch calls, memory layouts and threads: each tested against the plain way, which is its fallback."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from penstock.core.machine import cores
from penstock.optim.adam import Adam
from penstock.optim.optimizer import Optimizer

UpdateRule = Callable[..., None]


def update_rule(optimizer: Optimizer, *, fused: bool, device: torch.device) -> UpdateRule:
    """The optimizer's update, through torch's fused kernel where there is one for it.

    `torch.optim.Adam(fused=True)` reaches the same kernel, at ten times the cost for a small network, and importing it
    takes a second. Off: `Plan(fused=False)`.
    """
    if fused and isinstance(optimizer, Adam) and device.type in ("cpu", "cuda"):
        kernel = getattr(torch, "_fused_adamw_" if optimizer.decoupled else "_fused_adam_", None)
        if kernel is not None:
            return _fused_adam(optimizer, kernel)
    return optimizer.update


def _fused_adam(optimizer: Adam, kernel: Callable[..., None]) -> UpdateRule:
    beta1, beta2, epsilon = optimizer.beta1, optimizer.beta2, optimizer.epsilon
    counters: dict[torch.device, Tensor] = {}

    def update(
        parameter: Tensor, gradient: Tensor, state: dict[str, Tensor], *, step: int, lr: float, decay: float
    ) -> None:
        counter = counters.get(parameter.device)
        if counter is None:
            counter = counters[parameter.device] = torch.zeros((), dtype=torch.float32, device=parameter.device)
        counter.fill_(step)
        kernel(
            [parameter],
            [gradient],
            [state["moment1"]],
            [state["moment2"]],
            [],
            [counter],
            lr=lr,
            beta1=beta1,
            beta2=beta2,
            weight_decay=decay,
            eps=epsilon,
            amsgrad=False,
            maximize=False,
            grad_scale=None,
            found_inf=None,
        )

    return update


def lay_out(module: nn.Module) -> None:
    """Store convolution weights channels last, in place: the layout in which their kernels are fastest.

    Values and names do not change.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)


def set_threads(threads: int | None, processes: int = 1) -> int:
    """Set, and return, the number of processor threads that torch uses.

    If not given, all that this process may use, divided among the `processes` that share them.
    """
    torch.set_num_threads(threads or max(cores() // processes, 1))
    return torch.get_num_threads()
