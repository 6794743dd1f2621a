"""Running text in pieces of some length: at random places, in order, or from where the last piece ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.errors import CheckpointError, DataError, RecipeError
from penstock.core.objective import Listening
from penstock.core.random import derive
from penstock.core.ranks import ALONE, Ranks
from penstock.data.examples import InMemory
from penstock.data.ragged import LENGTH, Ragged, Stored
from penstock.data.sources import InOrder, Shuffled
from penstock.data.tokens import PAD

TOKENS = "tokens"
"""The field of a batch with the tokens (B, T + 1): each but the last is to foretell the one after it."""
CARRY = "carry."
"""What the names of the fields begin with that hold what a model remembers of the pieces before."""
TOKENS_AT_ONCE = 16_384
"""Tokens of a batch in an evaluation."""


def compact(tokens: Tensor, size: int) -> Tensor:
    """Token numbers below `size` in the smallest type that holds them."""
    return tokens.to(next(kind for kind in (torch.int16, torch.int32) if size <= torch.iinfo(kind).max + 1))


def windows(
    tokens: Tensor, length: int, *, batch_size: int, seed: int, drop_last: bool = False, ranks: Ranks = ALONE
) -> Shuffled:
    """Pieces of a text (N,) in random order, every token once an epoch, cut at other places in each epoch.

    Raises DataError where the text is not longer than a piece.
    """
    _enough(len(tokens), length)
    count = max((len(tokens) - 1) // length - 1, 1)
    starts = InMemory({"start": torch.arange(count, device=tokens.device) * length})
    cut = _Cut(tokens, length, phases=len(tokens) - count * length)
    return Shuffled(
        starts,
        torch.arange(count),
        batch_size=batch_size,
        seed=seed,
        transform=cut,
        drop_last=drop_last,
        ranks=ranks,
    )


def in_order(tokens: Tensor, length: int, *, batch_size: int) -> InOrder:
    """All pieces of a text (N,) in order, each token foretold once; the last piece may be shorter."""
    _enough(len(tokens), 1)
    starts = torch.arange(0, len(tokens) - 1, length, device=tokens.device)
    cut = _Cut(tokens, length, phases=0)
    return InOrder(InMemory({"start": starts}), torch.arange(len(starts)), batch_size=batch_size, transform=cut)


def widened(batch: Batch, indices: Tensor, seed: int) -> Batch:
    """Tokens that were stored in a small type, in the type that a model takes."""
    return Batch({name: value.long() for name, value in batch.items()})


@final
class _Cut:
    """Where pieces begin to the pieces themselves; with `phases`, all are moved by some number below it."""

    def __init__(self, tokens: Tensor, length: int, *, phases: int) -> None:
        self._tokens, self._phases = tokens, phases
        self._steps = torch.arange(length + 1, device=tokens.device)

    def __call__(self, batch: Batch, indices: Tensor, seed: int) -> Batch:
        start = batch["start"].unsqueeze(1) + self._steps  # (B, T + 1)
        if self._phases:
            return Batch({TOKENS: self._tokens[start + seed % self._phases].long()})
        inside = start < len(self._tokens)
        found = self._tokens[start.clamp(max=len(self._tokens) - 1)].long()
        return Batch({TOKENS: found.masked_fill_(~inside, PAD), TOKENS + LENGTH: inside.sum(1)})


@final
class Stream(Listening):
    """A text (N,) read in `batch_size` places at once, `length` tokens a step, each going on where it was.

    What the model tells a batch of what it remembers comes back with the next one, so that only the gradient ends at
    the pieces' borders (truncated back-propagation: Williams and Peng 1990). An epoch reads the text once, from other
    places each time, remembering nothing at first. Several `ranks` share the places. Raises RecipeError where the
    text is too short.
    """

    def __init__(self, tokens: Tensor, length: int, *, batch_size: int, seed: int, ranks: Ranks = ALONE) -> None:
        self._tokens, self._length, self._seed = tokens, length, seed
        self._each = len(tokens) // batch_size  # tokens that one place reads in an epoch
        self._steps = self._each // length
        if not self._steps:
            problem = (
                f"{batch_size} places that read {length} tokens each need more than {len(tokens)} training examples"
            )
            raise RecipeError("batch_size", problem, "lower --batch-size or --context, or give more text")
        share = ranks.share(batch_size)
        self._places = torch.arange(share.start, share.stop, device=tokens.device) * self._each
        self._window = torch.arange(length + 1, device=tokens.device)
        self._epoch, self._position = 0, 0
        self._carry: dict[str, Tensor] = {}

    @property
    def epoch_steps(self) -> int:
        """Batches in an epoch."""
        return self._steps

    def __next__(self) -> Batch:
        turn = derive(self._seed, "turn", self._epoch) % len(self._tokens)
        start = turn + self._places + self._position * self._length
        carry = self._carry if self._position else {}
        self._position += 1
        if self._position == self._steps:
            self._epoch, self._position = self._epoch + 1, 0
        if not len(start):
            return Batch()
        at = (start.unsqueeze(1) + self._window) % len(self._tokens)  # the end is followed by the beginning
        return Batch({TOKENS: self._tokens[at].long(), **carry})

    def hear(self, said: Mapping[str, Tensor]) -> None:
        """Keep what is remembered."""
        self._carry = {name: value for name, value in said.items() if name.startswith(CARRY)}

    def tensors(self) -> dict[str, Tensor]:
        """What is remembered."""
        return self._carry

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Put it back. Raises CheckpointError where it is of other places."""
        for name, value in tensors.items():
            if not name.startswith(CARRY) or len(value) != len(self._places):
                problem = f"{name!r} remembers {len(value)} places, and {len(self._places)} are read"
                raise CheckpointError("checkpoint", problem, "resume with the recipe that wrote it")
        self._carry = dict(tensors)

    def state_dict(self) -> dict[str, Any]:
        """The position."""
        return {"epoch": self._epoch, "position": self._position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to a position."""
        self._epoch, self._position = state["epoch"], state["position"]


def _enough(tokens: int, length: int) -> None:
    if tokens <= length:
        problem = f"{tokens:,} tokens of text make no piece of {length} and the one after it"
        raise DataError("text", problem, "lower --context, or give more text")


def training(
    stored: Stored,
    length: int,
    *,
    batch_size: int,
    seed: int,
    carry: bool,
    drop_last: bool = False,
    ranks: Ranks = ALONE,
) -> Shuffled | Stream:
    """What to train on: rows of like length together, pieces of a text at random, or read on where it was, `carry`."""
    if isinstance(stored, Ragged):
        rows, lengths = torch.arange(len(stored)), stored.lengths.cpu()
        return Shuffled(
            InMemory({TOKENS: stored}),
            rows,
            batch_size=batch_size,
            seed=seed,
            transform=widened,
            drop_last=drop_last,
            lengths=lengths,
            ranks=ranks,
        )
    if carry:
        return Stream(stored, length, batch_size=batch_size, seed=seed, ranks=ranks)
    return windows(stored, length, batch_size=batch_size, seed=seed, drop_last=drop_last, ranks=ranks)


def held_out(stored: Stored, length: int) -> InOrder:
    """What to evaluate on: all rows, or a text in pieces."""
    batch_size = max(TOKENS_AT_ONCE // length, 1)
    if isinstance(stored, Ragged):
        rows = torch.arange(len(stored))
        return InOrder(InMemory({TOKENS: stored}), rows, batch_size=batch_size, transform=widened)
    return in_order(stored, length, batch_size=batch_size)
