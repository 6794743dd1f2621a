"""Vectors rounded to the nearest entry of a codebook. K entries, D their width, N vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from penstock.core.errors import RecipeError
from penstock.nn.sizes import require_given, require_sizes

SELDOM = 0.03
"""An entry that is used less often than this share of the average use is given a new place."""


class Quantiser(nn.Module):
    """Takes each vector to the nearest of `codes` vectors, which follow the means of what is taken to them.

    Forward, the entry; backward, the gradient goes straight through to the vector (van den Oord et al. 2017, "Neural
    discrete representation learning", section 3.2). The entries are exponential moving averages at rate 1 - `decay`
    (appendix A.1). The first batch in training gives them their places; entries that are hardly used any more are put
    on vectors of the present batch (Dhariwal et al. 2020, "Jukebox", section 3.1). What training forward passes have
    seen is kept until `stepped`, so that parts of a batch add up to the batch. A vector of zeros is padding: it stays
    as it is, has the number -1 and moves nothing.
    """

    codebook: Tensor
    uses: Tensor
    sums: Tensor
    new_uses: Tensor
    new_sums: Tensor
    spare: Tensor
    begun: Tensor

    def __init__(self, *, codes: int, width: int, decay: float = 0.99) -> None:
        super().__init__()
        require_sizes("Quantiser", codes=codes, width=width)
        if not 0.0 <= decay < 1.0:
            raise RecipeError("Quantiser", f"decay is {decay}", "give a number from 0 up to, but not including, 1")
        self.codes, self.width, self.decay = codes, width, decay
        self.register_buffer("codebook", torch.randn(codes, width))  # (K, D)
        self.register_buffer("uses", torch.zeros(codes))  # moving average of how many vectors a step
        self.register_buffer("sums", torch.zeros(codes, width))  # and of their sums
        self.register_buffer("new_uses", torch.zeros(codes))  # since `stepped`
        self.register_buffer("new_sums", torch.zeros(codes, width))
        self.register_buffer("spare", torch.zeros(codes, width))  # vectors of the present batch
        self.register_buffer("begun", torch.zeros((), dtype=torch.bool))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(..., D) to the entries (..., D) and their numbers (...) int64."""
        require_given("Quantiser", "numbers a vector", self.width, x.shape[-1])
        found = self.nearest(x)
        if self.training:
            self._note(x.detach().reshape(-1, self.width), found.flatten())
        entries = self.entries(found).to(x.dtype)
        return x + (entries - x).detach(), found

    def nearest(self, x: Tensor) -> Tensor:
        """The number of the nearest entry: (..., D) to (...) int64."""
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            flat = x.reshape(-1, self.width).to(self.codebook.dtype)  # (N, D)
            away = self.codebook.square().sum(1) - 2 * flat @ self.codebook.T  # (N, K), less |x|^2
            found = away.argmin(1).masked_fill(~flat.any(1), -1)
            return found.view(x.shape[:-1])

    def entries(self, found: Tensor) -> Tensor:
        """The entries of given numbers: (...) to (..., D)."""
        return self.codebook[found.clamp(min=0)].masked_fill((found < 0).unsqueeze(-1), 0.0)

    @torch.no_grad()
    def stepped(self) -> None:
        """Move the entries by what has been seen since the last call; without any, nothing moves."""
        seen = self.new_uses.sum()
        uses = torch.lerp(self.new_uses, self.uses, self.decay)
        sums = torch.lerp(self.new_sums, self.sums, self.decay)
        average = uses.sum() / self.codes
        # before the first step the uses are all 0, and so every entry is put on a vector of the batch
        seldom = ~self.begun | (uses <= SELDOM * average)
        share = torch.where(self.begun, average, seen / self.codes)
        uses = torch.where(seldom, share, uses)
        sums = torch.where(seldom.unsqueeze(1), self.spare * share, sums)
        moves = seen > 0
        for kept, value in ((self.uses, uses), (self.sums, sums), (self.codebook, sums / uses.unsqueeze(1))):
            kept.copy_(torch.where(moves, value, kept))
        self.begun.logical_or_(moves)
        self.new_uses.zero_()
        self.new_sums.zero_()

    def _note(self, vectors: Tensor, found: Tensor) -> None:
        """Vectors (N, D) and the numbers of their entries (N,)."""
        if torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1:
            problem = "the codebook follows the examples of its own process, and there are several"
            raise RecipeError("Quantiser", problem, "train it in one process")
        vectors, real = vectors.to(self.codebook.dtype), (found >= 0).to(self.codebook.dtype)
        self.new_uses.index_add_(0, found.clamp(min=0), real)
        self.new_sums.index_add_(0, found.clamp(min=0), vectors)
        self.spare.copy_(vectors[torch.multinomial(real, self.codes, replacement=True)])
