"""Embeddings of single numbers, so that a small network can bend sharply along one column.

B batch, F features, Q frequencies, D embedding width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from penstock.core.errors import RecipeError
from penstock.nn.sizes import require_given, require_sizes


class Periodic(nn.Module):
    """Learned sines and cosines of each number, then a linear map and ReLU: (B, F) to (B, F, D).

    With v = 2 pi c x for Q trainable frequencies c of each feature, drawn from a normal of standard deviation `sigma`,
    the sines and cosines are equation (3) of Gorishniy, Rubachev and Babenko 2022, "On embeddings for numerical
    features in tabular deep learning", and the whole is their PLR. `shared` uses one linear map for all features (their
    later "PLR(lite)"). Numbers are expected standardised; `sigma` is the setting worth tuning (0.01 to 10).
    """

    def __init__(
        self, *, features: int, frequencies: int = 48, width: int = 24, sigma: float = 0.1, shared: bool = False
    ) -> None:
        super().__init__()
        require_sizes("Periodic", features=features, frequencies=frequencies, width=width)
        if not (math.isfinite(sigma) and sigma > 0):
            raise RecipeError("Periodic", f"sigma is {sigma}", "give a positive number, such as 0.1")
        maps = 1 if shared else features
        self.frequency = nn.Parameter(torch.randn(features, frequencies) * sigma)  # (F, Q)
        # sin^2 + cos^2 = 1, so the mean square of the 2Q inputs is 1/2 whatever x is: He's variance is exact here.
        self.weight = nn.Parameter(
            torch.randn(maps, 2 * frequencies, width) / math.sqrt(frequencies)
        )  # (F or 1, 2Q, D)
        self.bias = nn.Parameter(torch.zeros(maps, 1, width))  # (F or 1, 1, D)

    def forward(self, x: Tensor) -> Tensor:
        require_given("Periodic", "features", len(self.frequency), x.shape[1])
        v = 2 * torch.pi * self.frequency.unsqueeze(1) * x.T.unsqueeze(2)  # (F, B, Q)
        waves = torch.cat([v.sin(), v.cos()], dim=2)  # (F, B, 2Q)
        return torch.relu(waves @ self.weight + self.bias).transpose(0, 1)  # (B, F, D)
