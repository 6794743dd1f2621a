"""The most likely sequence, token by token: greedily, or by beam search.

B examples, K hypotheses of each, V vocabulary, T tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from penstock.nn.sizes import require_sizes

State = tuple[Tensor, ...]
"""What the model remembers of each row that it writes, (rows, ...) each."""
Step = Callable[[Tensor, State], tuple[Tensor, State]]
"""The last tokens (rows,) and the state before them to logits (rows, V) of the next, and the state after them."""


@dataclass(frozen=True)
class Hypothesis:
    """A sequence without its end, its log probability with it, and the score by which it was ranked."""

    tokens: tuple[int, ...]
    logprob: float
    score: float


@torch.no_grad()
def greedy(
    step: Step, state: State, first: Tensor, *, end: int, most: int, never: Sequence[int] = ()
) -> list[Hypothesis]:
    """The likeliest token each time, for each example, from the tokens `first` (B,) on until `end`.

    At most `most` tokens are written, the end not counted. Tokens in `never` are not written.
    """
    require_sizes("greedy", most=most)
    token, rows = first, len(first)
    written: list[Tensor] = []
    total, done = torch.zeros(rows, device=first.device), torch.zeros(rows, dtype=torch.bool, device=first.device)
    for at in range(most + 1):
        logits, state = step(token, state)
        logprob, token = _logprobs(logits, never, end if at == most else None).max(1)
        total = total + logprob.masked_fill(done, 0.0)
        token = token.masked_fill(done, end)
        written.append(token)
        done = done | (token == end)
        if bool(done.all()):
            break
    lines = torch.stack(written, dim=1).tolist()
    found = [tuple(line[: line.index(end)]) for line in lines]
    return [Hypothesis(line, value, value) for line, value in zip(found, total.tolist(), strict=True)]


@torch.no_grad()
def beam_search(
    step: Step,
    state: State,
    first: Tensor,
    *,
    end: int,
    most: int,
    width: int = 5,
    keep: int = 1,
    penalty: float = 0.6,
    never: Sequence[int] = (),
) -> list[list[Hypothesis]]:
    """The best up to `keep` sequences for each example, best first, from the tokens `first` (B,) on.

    At each step the `width` likeliest unfinished beginnings go on, until none of them can end better. A sequence of n
    tokens, its end counted, is ranked by its log probability over ((5 + n) / 6)^penalty: Wu et al. 2016, "Google's
    neural machine translation system", equation (14); a penalty of 0 ranks by probability. At most `most` tokens are
    written, the end not counted; tokens in `never` are not.
    """
    require_sizes("beam search", most=most, width=width, keep=keep)
    search = _Search(len(first), width, keep, end, most, penalty, first.device)
    rows = torch.arange(len(first), device=first.device).repeat_interleave(width)
    state, token = tuple(part[rows] for part in state), first[rows]  # (B K, ...)
    for at in range(most + 1):
        logits, state = step(token, state)
        logprob = _logprobs(logits, never, end if at == most else None)
        token, rows = search.extend(logprob.view(len(first), width, -1), at + 1)
        if search.over(at + 1):
            break
        state = tuple(part[rows] for part in state)
    return search.found()


class _Search:
    """The beginnings that are still open, and the best finished sequences, of each of B examples."""

    def __init__(
        self, examples: int, width: int, keep: int, end: int, most: int, penalty: float, device: torch.device
    ) -> None:
        self.width, self.keep, self.end, self.most, self.penalty = width, keep, end, most, penalty
        self.base = torch.arange(examples, device=device).unsqueeze(1) * width  # (B, 1)
        self.open = torch.full((examples, width), -math.inf, device=device)  # (B, K) log probabilities
        self.open[:, 0] = 0.0  # all K are the same at first: one of them may go on
        self.tokens = torch.zeros(examples, width, 0, dtype=torch.int64, device=device)  # (B, K, T)
        self.done = torch.full((examples, keep), -math.inf, device=device)  # (B, keep) scores
        self.done_logprob = self.done.clone()
        self.done_tokens = torch.full((examples, keep, most + 1), end, device=device)  # (B, keep, most + 1)

    def extend(self, logprob: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """One more token, by log probabilities (B, K, V): the tokens (B K,), and the rows (B K,) that they follow."""
        total = self.open.unsqueeze(2) + logprob  # (B, K, V)
        self._finish(total[:, :, self.end], length)
        total[:, :, self.end] = -math.inf
        vocabulary = total.shape[2]
        self.open, best = total.flatten(1).topk(self.width, dim=1)
        parent, token = best // vocabulary, best % vocabulary  # (B, K)
        kept = self.tokens.gather(1, parent.unsqueeze(2).expand_as(self.tokens))
        self.tokens = torch.cat([kept, token.unsqueeze(2)], dim=2)
        return token.flatten(), (self.base + parent).flatten()

    def over(self, length: int) -> bool:
        """Whether no open beginning can still end better than the worst that is kept."""
        # Log probabilities only fall, and none is divided by more than one of the greatest length.
        bound = self.open[:, 0] / max(self._divisor(length + 1), self._divisor(self.most + 1))
        return bool((bound <= self.done[:, -1]).all())

    def found(self) -> list[list[Hypothesis]]:
        """All finished sequences, best first."""
        result: list[list[Hypothesis]] = []
        values = (self.done_tokens.tolist(), self.done_logprob.tolist(), self.done.tolist())
        for lines, logprobs, scores in zip(*values, strict=True):
            rows = [row for row in zip(lines, logprobs, scores, strict=True) if row[2] > -math.inf]
            result.append([Hypothesis(tuple(line[: line.index(self.end)]), *numbers) for line, *numbers in rows])
        return result

    def _finish(self, logprob: Tensor, length: int) -> None:
        """Sequences that end now, with log probabilities (B, K), among the best finished."""
        score = torch.cat([self.done, logprob / self._divisor(length)], dim=1)  # (B, keep + K)
        logprob = torch.cat([self.done_logprob, logprob], dim=1)
        ended = self.done_tokens.new_full((*self.tokens.shape[:2], self.most + 1), self.end)
        ended[:, :, : self.tokens.shape[2]] = self.tokens
        tokens = torch.cat([self.done_tokens, ended], dim=1)
        self.done, best = score.topk(self.keep, dim=1)
        self.done_logprob = logprob.gather(1, best)
        self.done_tokens = tokens.gather(1, best.unsqueeze(2).expand_as(self.done_tokens))

    def _divisor(self, length: int) -> float:
        return float(((5 + length) / 6) ** self.penalty)


def _logprobs(logits: Tensor, never: Sequence[int], only: int | None) -> Tensor:
    """Log probabilities (rows, V) in float32 of the tokens that may be written: without `never`, or `only` one."""
    found = logits.float().log_softmax(1)
    if only is not None:
        rest = torch.arange(found.shape[1], device=found.device) != only
        return found.masked_fill(rest, -math.inf)
    if never:
        found = found.index_fill(1, torch.tensor(never, device=found.device), -math.inf)
    return found
