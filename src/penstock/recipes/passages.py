"""What the report shows of a language: metrics beside a trivial guess, samples, and where the model was surprised."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from penstock.core.batch import Batch
from penstock.core.objective import Evaluation
from penstock.data.layout import tokens_in
from penstock.data.ragged import Stored
from penstock.data.streams import TOKENS, in_order
from penstock.decoding.sampling import Sampling
from penstock.engine.tuning.threads import using_threads
from penstock.recipes.writing import Writing

BOLDNESS = (0.5, 0.8, 1.0)
"""The temperatures of the samples in the report."""
SAMPLE = 400
PASSAGE = 300
"""Tokens of a sample, and of the passage that shows where the model was surprised."""


def judged(
    trained: Writing, evaluation: Evaluation, split: str, stored: Stored, counts: Tensor, prompt: str
) -> dict[str, Any]:
    """An evaluation as a report has it; `counts` (V,) of the tokens in training make the trivial guess."""
    return {
        "split": split,
        "examples": len(tokens_in(stored)),
        "metrics": evaluation.metrics,
        "baseline": {"name": "token frequencies", "metrics": by_frequency(stored, counts, trained)},
        "mistakes": [],
        "samples": [
            {"temperature": boldness, "prompt": prompt, "text": sample(trained, prompt, boldness)}
            for boldness in BOLDNESS
        ],
        "surprise": surprise(trained, stored),
    }


def sample(trained: Writing, prompt: str, temperature: float, length: int = SAMPLE) -> str:
    """A text that follows from the weights alone."""
    with using_threads(1):  # token by token there is little to share, and much to wait for
        return "".join(trained.write(prompt, sampling=Sampling(temperature=temperature), length=length))


def counts_of(stored: Stored, size: int) -> Tensor:
    """How often each token occurs, (V,)."""
    return torch.bincount(tokens_in(stored).long(), minlength=size)


def by_frequency(stored: Stored, counts: Tensor, trained: Writing) -> dict[str, float]:
    """What one reaches who knows how frequent tokens are, each counted once more, and nothing of their order."""
    tokens = tokens_in(stored).long().cpu()
    probability = (counts.double() + 1) / (counts.sum() + len(counts))
    nats = float(-probability.log()[tokens].sum())
    characters = int(trained.layout.tokens.characters()[tokens].sum())
    loss = nats / max(len(tokens), 1)
    return {
        "loss": loss,
        "perplexity": math.exp(min(loss, 700.0)),
        "bits_per_character": nats / math.log(2) / max(characters, 1),
        "accuracy": float((tokens == int(counts.argmax())).double().mean()),
    }


def surprise(trained: Writing, stored: Stored) -> list[dict[str, Any]]:
    """The first passage, token by token: its text, and the bits that it came as a surprise with."""
    passage = tokens_in(stored)[: PASSAGE + 1]
    decode, found = trained.layout.tokens.decode, list[dict[str, Any]]()
    with torch.no_grad():
        for batch in in_order(passage, min(trained.context, len(passage) - 1), batch_size=1):
            row = Batch({TOKENS: batch[TOKENS][:, : int(batch[f"{TOKENS}_length"])].to(trained.device)})
            scores, _ = trained.objective.scores(row)
            ids = row[TOKENS][0]
            nats = F.cross_entropy(scores[0].float(), ids[1:], reduction="none")
            bits = [value / math.log(2) for value in nats.tolist()]
            numbers = ids.tolist()
            for at, value in enumerate(bits, 1):
                before = decode(numbers[:at])
                found.append({"text": decode(numbers[: at + 1])[len(before) :], "bits": round(value, 3)})
    return found
