"""Spectral normalisation whose forward pass has no side effects."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

SETTLED = 15
"""Power iterations at the start, when the weights are new."""


class Spectral(nn.Module):
    """A weight (outputs, ...), `transposed` (inputs, outputs, ...), over its largest singular value as a matrix.

    The matrix has one row an output. Miyato et al. 2018, "Spectral normalization for generative adversarial networks",
    algorithm 1, with the step of the power iteration apart, in `advance`: a forward pass then is the same however often
    it is made, so that parts of a batch, and ranks, see one weight. `advance` is to be called after each update of the
    weight.
    """

    def __init__(self, weight: Tensor, *, transposed: bool = False) -> None:
        super().__init__()
        self.transposed = transposed
        matrix = self._matrix(weight.detach())
        self.register_buffer("left", functional.normalize(matrix.new_empty(len(matrix)).normal_(), dim=0))
        self.register_buffer("right", functional.normalize(matrix.new_empty(matrix.shape[1]).normal_(), dim=0))
        for _ in range(SETTLED):
            self.advance(weight)

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):  # the largest singular value is to be exact
            return weight / torch.dot(self.get_buffer("left"), self._matrix(weight) @ self.get_buffer("right"))

    @torch.no_grad()
    def advance(self, weight: Tensor) -> None:
        """One power iteration."""
        matrix, left, right = self._matrix(weight), self.get_buffer("left"), self.get_buffer("right")
        right.copy_(functional.normalize(matrix.T @ left, dim=0))
        left.copy_(functional.normalize(matrix @ right, dim=0))

    def _matrix(self, weight: Tensor) -> Tensor:
        return (weight.transpose(0, 1) if self.transposed else weight).flatten(1)


def spectral_(network: nn.Module) -> nn.Module:
    """Normalise every convolution, linear layer and embedding of a network; gives it back."""
    for layer in list(network.modules()):
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding):
            rule = Spectral(layer.weight, transposed=isinstance(layer, nn.ConvTranspose2d))
            parametrize.register_parametrization(layer, "weight", rule)
    return network


def advance_all(network: nn.Module) -> None:
    """One power iteration for every normalised weight of a network."""
    for layer in network.modules():
        if isinstance(layer, parametrize.ParametrizationList):
            for part in layer:
                if isinstance(part, Spectral):
                    part.advance(layer.original)
