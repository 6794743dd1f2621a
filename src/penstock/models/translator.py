"""What every network has that reads one sequence and writes another.

B batch, S steps read, T steps written, V vocabulary.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from penstock.models.trunk import Carry


class Translator(nn.Module, ABC):
    """Reads a sequence, then writes another token by token, each token fed back to find the next.

    What was read and what was written so far is a carry, so that writing can go on from any point, in any number of
    directions: its tensors are (B, ...) each.
    """

    outputs: int
    """V, the size of the vocabulary it writes."""

    @abstractmethod
    def begin(self, source: Tensor, lengths: Tensor) -> Carry:
        """Read sequences (B, S, ...) of `lengths` (B,); nothing is written yet."""

    @abstractmethod
    def advance(self, tokens: Tensor, carry: Carry, looks: list[Tensor] | None = None) -> tuple[Tensor, Carry]:
        """Write on after the tokens (B, T): logits (B, T, V) of the token that follows each, and the carry after them.

        Where given, `looks` gets (B, T, S) for each attention to what was read: the weights, which sum to 1 over S.
        """

    def forward(self, source: Tensor, lengths: Tensor, tokens: Tensor) -> Tensor:
        """Logits (B, T, V) of what follows each of the given tokens (B, T), the first of which begins the sequence."""
        logits, _ = self.advance(tokens, self.begin(source, lengths))
        return logits

    def looks(self, source: Tensor, lengths: Tensor, tokens: Tensor) -> Tensor | None:
        """Where it looks to find what follows each token: (B, T, S), the mean of its attentions, if it has any."""
        found: list[Tensor] = []
        self.advance(tokens, self.begin(source, lengths), found)
        return sum(found[1:], found[0]) / len(found) if found else None
