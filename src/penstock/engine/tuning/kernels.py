"""Fused kernels: each tested against the plain way, which is its fallback."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

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
        parameter: Tensor, gradient: Tensor, state: dict[str, Tensor], *, step: int | Tensor, lr: float, decay: float
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


def backward(loss: Tensor, inputs: Sequence[nn.Parameter] | None, *, direct: bool) -> None:
    """Add the gradients of a loss () to those of `inputs`, or of all parameters that it depends on.

    Direct, it is what `loss.backward(inputs=inputs)` does in the end, without looking at its arguments again at every
    step and making the tensor that holds the 1 anew: a twentieth of a small network's step. Off: `Plan(fused=False)`.
    """
    engine = getattr(torch.autograd.Variable, "_execution_engine", None) if direct else None
    if engine is None or type(loss) is not Tensor:
        loss.backward(inputs=inputs)  # type: ignore[no-untyped-call]
        return
    seed = _seeds.get((loss.dtype, loss.device))
    if seed is None:
        seed = _seeds[loss.dtype, loss.device] = torch.ones((), dtype=loss.dtype, device=loss.device)
    where = () if inputs is None else tuple(inputs)
    engine.run_backward((loss,), (seed,), False, False, where, allow_unreachable=True, accumulate_grad=True)


_seeds: dict[tuple[torch.dtype, torch.device], Tensor] = {}


def able() -> Mapping[str, Any]:
    """What the processor can do; nothing where torch, before 2.11, does not say."""
    found: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return found
