"""Text from a model that foretells the next token: drawn at random, more or less boldly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from penstock.core.errors import RecipeError

Carry = tuple[Tensor, ...]


class Foretelling(Protocol):
    """A model that reads on from what it remembers."""

    def begin(self, examples: int) -> Carry:
        """What it remembers before the first token."""
        ...

    def advance(self, x: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
        """Tokens (B, T) after those that `carry` remembers: scores (B, T, V) of each next one, and what to remember."""
        ...


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the next token is drawn. Raises RecipeError for what makes no sense.

    `temperature` divides the scores: below 1 the likely becomes likelier, 0 takes the likeliest. `top_k` leaves the k
    likeliest tokens to draw from (Fan et al. 2018, section 5.1), `top_p` the fewest whose probabilities reach p
    (Holtzman et al. 2020, section 3.1), after `top_k`. Tokens in `never` are not drawn.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    never: Sequence[int] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise RecipeError("temperature", f"{self.temperature} cannot be used", "give 0 or more")
        if self.top_k is not None and self.top_k < 1:
            raise RecipeError("top_k", f"{self.top_k} leaves nothing to draw from", "give 1 or more")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise RecipeError("top_p", f"{self.top_p} is no share", "give more than 0 and at most 1")

    def probabilities(self, scores: Tensor) -> Tensor:
        """Scores (B, V) to the probabilities (B, V) that are drawn from, float64."""
        scores = scores.detach().double().cpu().clone()
        if self.never:
            scores[:, list(self.never)] = -torch.inf
        order = scores.argsort(dim=1, descending=True, stable=True)  # of equals, the first
        rank = order.argsort(dim=1)
        kept = 1 if self.temperature == 0 else self.top_k
        if kept is not None:
            scores = scores.masked_fill(rank >= kept, -torch.inf)
        found = (scores / (self.temperature or 1.0)).softmax(1)
        if self.top_p is not None:
            sorted_ = found.gather(1, order)
            before = (sorted_.cumsum(1) - sorted_).gather(1, rank)  # the share of those that are likelier
            found = found.masked_fill((before >= self.top_p) & (rank > 0), 0.0)
        return found / found.sum(1, keepdim=True)

    def draw(self, scores: Tensor, generator: torch.Generator) -> Tensor:
        """One token (B,) for scores (B, V)."""
        return torch.multinomial(self.probabilities(scores), 1, generator=generator).squeeze(1)


def generate(
    model: Foretelling,
    prompt: Tensor,
    sampling: Sampling,
    *,
    seed: int,
    length: int,
    stop: int | None = None,
    context: int | None = None,
) -> Iterator[Tensor]:
    """Up to `length` tokens (B,) after a prompt (B, T) of one token or more, one step at a time, on the processor.

    An example that has drawn `stop` goes on with it, and all end when all have. A model that looks back no further than
    `context` tokens reads the last half of them anew whenever they are full.
    """
    generator = torch.Generator().manual_seed(seed)
    device, tokens = prompt.device, prompt
    ended = torch.zeros(len(prompt), dtype=torch.bool)
    carry, unread, seen = model.begin(len(prompt)), prompt, 0
    for _ in range(length):
        if context is not None and seen + unread.shape[1] > context:
            carry, unread, seen = model.begin(len(prompt)), tokens[:, -max(context // 2, 1) :], 0
        with torch.no_grad():
            scores, carry = model.advance(unread, carry)
        seen += unread.shape[1]
        drawn = sampling.draw(scores[:, -1], generator)
        if stop is not None:
            drawn = drawn.masked_fill(ended, stop)
            ended |= drawn == stop
        yield drawn
        if stop is not None and bool(ended.all()):
            return
        unread = drawn.to(device).unsqueeze(1)
        tokens = torch.cat([tokens, unread], 1) if context is not None else tokens
