"""Learning a language: the loss token by token, padding, what is carried, and the metrics."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from penstock.core.batch import Batch
from penstock.core.errors import DataError
from penstock.objectives.language import Language

V = 7
CHARACTERS = torch.tensor([0, 1, 0, 0, 1, 2, 3])


class Net(nn.Module):
    """An embedding, a GRU and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.front, self.gru, self.head = nn.Embedding(V, 5), nn.GRU(5, 6, batch_first=True), nn.Linear(6, V)

    def begin(self, examples: int) -> tuple[Tensor, ...]:
        return (torch.zeros(examples, 6),)

    def advance(self, x: Tensor, carry: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        found, state = self.gru(self.front(x), carry[0].unsqueeze(0))
        return self.head(found), (state[0],)


@pytest.fixture
def objective() -> Language:
    torch.manual_seed(0)
    return Language(Net(), characters=CHARACTERS, carry=True)


def nats(objective: Language, row: Tensor) -> list[float]:
    """Of each token after the first, one at a time."""
    net, found = objective.model, []
    assert isinstance(net, Net)
    carry = net.begin(1)
    for before, after in itertools.pairwise(row):
        scores, carry = net.advance(before.view(1, 1), carry)
        found.append(-float(scores[0, 0].log_softmax(0)[after].detach()))
    return found


def test_the_loss_is_the_mean_over_tokens(objective: Language) -> None:
    tokens = torch.randint(4, V, (3, 9))
    update = objective.loss(Batch(tokens=tokens))
    every = [value for row in tokens for value in nats(objective, row)]
    assert float(update.loss.detach()) == pytest.approx(sum(every) / 24, rel=1e-5)
    assert update.weight == 24


def test_padding_does_not_count(objective: Language) -> None:
    tokens, lengths = torch.randint(4, V, (3, 9)), torch.tensor([9, 4, 1])
    every = [v for row, n in zip(tokens, lengths.tolist(), strict=True) for v in nats(objective, row[:n])]
    for padding in (0, 5):
        padded = tokens.masked_fill(torch.arange(9) >= lengths.unsqueeze(1), padding)
        update = objective.loss(Batch(tokens=padded, tokens_length=lengths))
        assert float(update.loss.detach()) == pytest.approx(sum(every) / 11, rel=1e-5)
        assert update.weight == 11


def test_parts_by_their_weights_are_the_whole(objective: Language) -> None:
    batch = Batch(tokens=torch.randint(4, V, (5, 9)), tokens_length=torch.tensor([9, 2, 3, 7, 5]))
    whole = objective.loss(batch)
    parts = [objective.loss(part) for part in batch.split(3)]
    mean = sum(float(part.loss.detach()) * part.weight for part in parts) / sum(part.weight for part in parts)
    assert mean == pytest.approx(float(whole.loss.detach()), rel=1e-5)


def test_what_is_carried_makes_two_pieces_one(objective: Language) -> None:
    tokens = torch.randint(4, V, (2, 9))
    first = Batch(tokens=tokens[:, :5])
    objective.loss(first)
    assert not first.said["carry.0"].requires_grad
    second = objective.loss(Batch(tokens=tokens[:, 4:], **first.said))
    every = [value for row in tokens for value in nats(objective, row)[4:]]
    assert float(second.loss.detach()) == pytest.approx(sum(every) / 8, rel=1e-5)


def test_without_carrying_nothing_is_said(objective: Language) -> None:
    batch = Batch(tokens=torch.randint(4, V, (2, 9)))
    Language(objective.model, characters=CHARACTERS, carry=False).loss(batch)
    assert not batch.said


def test_smoothing_is_for_training(objective: Language) -> None:
    tokens = torch.randint(4, V, (2, 9))
    smooth = Language(objective.model, characters=CHARACTERS, carry=True, smoothing=0.2)
    padded = Batch(tokens=tokens, tokens_length=torch.tensor([9, 9]))
    with torch.no_grad():
        assert float(smooth.loss(Batch(tokens=tokens)).loss) == pytest.approx(float(smooth.loss(padded).loss))
        assert float(smooth.loss(padded).loss) != pytest.approx(float(objective.loss(padded).loss))
        assert smooth.evaluate([padded]).metrics == objective.evaluate([padded]).metrics


def test_the_metrics(objective: Language) -> None:
    tokens, lengths = torch.randint(4, V, (4, 9)), torch.tensor([9, 4, 2, 6])
    every = [v for row, n in zip(tokens, lengths.tolist(), strict=True) for v in nats(objective, row[:n])]
    with torch.no_grad():
        batches = Batch(tokens=tokens, tokens_length=lengths).split(2)
        metrics = objective.evaluate(list(batches)).metrics
    letters = sum(int(CHARACTERS[row[1:n]].sum()) for row, n in zip(tokens, lengths.tolist(), strict=True))
    assert metrics["loss"] == pytest.approx(sum(every) / len(every), rel=1e-5)
    assert metrics["perplexity"] == pytest.approx(math.exp(metrics["loss"]))
    assert metrics["bits_per_character"] == pytest.approx(sum(every) / math.log(2) / letters, rel=1e-5)
    assert 0 <= metrics["accuracy"] <= 1


def test_no_text_to_evaluate_on(objective: Language) -> None:
    with pytest.raises(DataError):
        objective.evaluate([])
