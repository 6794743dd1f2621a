"""Who acts: the part of an objective that a source asks for actions while it gathers experience."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
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

    @contextlib.contextmanager
    def awake(self) -> Iterator[Callable[[Tensor], dict[str, Tensor]]]:
        """Yields what to ask. Modes are changed once and put back at the end: that costs as much as a small network."""
        training = [module for module in self._module.modules() if module.training]
        device = next((parameter.device for parameter in self._module.parameters()), torch.device("cpu"))

        def ask(observation: Tensor) -> dict[str, Tensor]:
            found = self._act(observation.to(device))
            named = {ACTION: found} if isinstance(found, Tensor) else found
            return {name: value.to(observation.device) for name, value in named.items()}

        with torch.no_grad():
            try:
                for module in training:
                    module.training = False
                yield ask
            finally:
                for module in training:
                    module.training = True
