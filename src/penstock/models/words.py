"""Words as numbers, from what they are and from how they are spelt. B batch, T time, S letters, C channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor, nn

from penstock.nn.sizes import require_sizes


@final
class WordFront(nn.Module):
    """Each word's own embedding beside what its letters say: (B, T, 1 + S) to (B, T, outputs).

    The first number of a word is its place in the vocabulary, the others are its letters, 0 where it has none. Of a
    word that was never seen the letters still tell (Ma and Hovy 2016, "End-to-end sequence labeling via bi-directional
    LSTM-CNNs-CRF", section 2.1).
    """

    def __init__(self, *, vocabulary: int, letters: int, word: int = 64, letter: int = 24, spelling: int = 64) -> None:
        super().__init__()
        require_sizes("WordFront", vocabulary=vocabulary, letters=letters, word=word, letter=letter, spelling=spelling)
        self.word = nn.Embedding(vocabulary, word, padding_idx=0)
        self.letter = nn.Embedding(letters, letter, padding_idx=0)
        self.spelling = nn.Conv1d(letter, spelling, 3, padding=1)
        self.outputs = word + spelling
        for embedding in (self.word, self.letter):
            nn.init.normal_(embedding.weight, std=embedding.embedding_dim**-0.5)
            nn.init.zeros_(embedding.weight[0])

    def forward(self, x: Tensor) -> Tensor:
        """One vector a word."""
        batch, steps, size = x.shape
        letters = self.letter(x[:, :, 1:].reshape(batch * steps, size - 1)).transpose(1, 2)  # (B T, C, S)
        spelt = self.spelling(letters).amax(2).view(batch, steps, self.spelling.out_channels)
        return torch.cat([self.word(x[:, :, 0]), spelt], 2)


@final
class WordNet(nn.Module):
    """A body that reads what `WordFront` makes of the words, and answers each: (B, T, 1 + S) to (B, T, K)."""

    def __init__(self, front: WordFront, body: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.front, self.body = front, body(front.outputs)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """`lengths` (B,): how many of the T words are real."""
        found: Tensor = self.body(self.front(x), lengths)
        return found
