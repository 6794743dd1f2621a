"""Who acts: the part of an objective that a source asks for actions while it gathers experience."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import final

import torch
from torch import Tensor, nn

ACTION, LOGPROB, VALUE = "action", "logprob", "value"

Act = Callable[[Tensor], Tensor | Mapping[str, Tensor]]
"""Observations (N, ...) to actions (N,) or (N, A); or to named tensors (N, ...): "action", and whatever is to be kept
with it, such as "logprob" (N,) and "value" (N,)."""


@final
class Actor:
    """`act`, without gradients, with the whole of `module` in evaluation mode, on the module's own device.

    An objective is given as `Actor(objective, objective.act)`. Random numbers of `act` are the global ones, which
    checkpoints keep.
    """

    def __init__(self, module: nn.Module, act: Act) -> None:
        self._module, self._act = module, act
        self._parts: Sequence[nn.Module] | None = None

    @contextlib.contextmanager
    def awake(self) -> Iterator[Callable[[Tensor], dict[str, Tensor]]]:
        """Yields what to ask. Modes are changed once and put back at the end, past nn.Module's own slow __setattr__."""
        if self._parts is None:
            self._parts = list(self._module.modules())
        training = [module for module in self._parts if module.training]
        device = next((parameter.device for parameter in self._module.parameters()), torch.device("cpu"))

        def ask(observation: Tensor) -> dict[str, Tensor]:
            found = self._act(observation.to(device))
            named = {ACTION: found} if isinstance(found, Tensor) else found
            return {name: value.to(observation.device) for name, value in named.items()}

        with torch.no_grad():
            try:
                for module in training:
                    object.__setattr__(module, "training", False)
                yield ask
            finally:
                for module in training:
                    object.__setattr__(module, "training", True)
