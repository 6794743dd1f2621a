"""The tagging objective against the mean over real words, taken one by one, and scikit-learn's F1."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import f1_score
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.core.batch import Batch
from penstock.core.errors import DataError
from penstock.objectives.tagging import IGNORED, Tagging, named

TAGS = ["O", "noun", "verb"]
LENGTHS = [4, 1, 3]


class Table(nn.Module):
    """Logits of a token, whatever stands around it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64))

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return self.weight[x]


def batch(padding: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(1)
    x = torch.randint(1, 7, (3, 4 + padding), generator=generator)
    target = torch.randint(0, 3, (3, 4 + padding), generator=torch.Generator().manual_seed(2))
    for row, length in enumerate(LENGTHS):
        target[row, length:] = IGNORED
    lengths = torch.tensor(LENGTHS)
    return Batch(words=x, words_length=lengths, target=target, target_length=lengths)


def objective(tags: list[str] = TAGS) -> Tagging:
    return Tagging(Table(), ["words", "words_length"], tags=tags)


def of_words(found: Batch) -> tuple[Tensor, Tensor]:
    """The tokens and targets of the real words, one by one."""
    pairs = [(found["words"][i, t], found["target"][i, t]) for i, n in enumerate(LENGTHS) for t in range(n)]
    x, target = zip(*pairs, strict=True)
    return torch.stack(x), torch.stack(target)


def test_loss_is_the_mean_over_real_words() -> None:
    found, model = batch(), objective()
    update = model.loss(found)
    x, target = of_words(found)
    torch.testing.assert_close(update.loss, F.cross_entropy(model.model.weight[x], target))
    assert update.weight == sum(LENGTHS)


def test_parts_of_a_batch_add_up() -> None:
    found, model = batch(), objective()
    whole = model.loss(found)
    parts = [model.loss(part) for part in found.split(3)]
    mean = sum(part.loss * part.weight for part in parts) / sum(part.weight for part in parts)
    torch.testing.assert_close(mean, whole.loss)


def test_metrics_and_records() -> None:
    found, model = batch(), objective()
    x, target = of_words(found)
    logits = model.model.weight[x].detach()
    predicted = logits.argmax(1)
    with torch.no_grad():
        evaluation = model.evaluate([found, found])
    metrics = evaluation.metrics
    assert metrics["loss"] == pytest.approx(float(F.cross_entropy(logits, target)), rel=1e-6)
    assert metrics["accuracy"] == pytest.approx(float((predicted == target).double().mean()))
    assert metrics["f1"] == pytest.approx(f1_score(target, predicted, average="macro"))
    right = [bool(part.all()) for part in torch.split(predicted == target, LENGTHS)]
    assert metrics["exact_match"] == pytest.approx(sum(right) / 3)
    assert evaluation.records["target"].tolist() == target.tolist() * 2
    assert evaluation.records["length"].tolist() == LENGTHS * 2
    torch.testing.assert_close(evaluation.records["probability"][:8], logits.softmax(1).amax(1).float())


def test_f1_is_of_spans_where_tags_mark_them() -> None:
    model = objective(["O", "B-x", "I-x"])
    with torch.no_grad():
        model.model.weight.copy_(5 * torch.eye(7, 3))
    x = torch.tensor([[1, 2, 0, 1]])
    target = torch.tensor([[1, 2, 0, 0]])
    length = torch.tensor([4])
    found = Batch(words=x, words_length=length, target=target, target_length=length)
    with torch.no_grad():
        metrics = model.evaluate([found]).metrics
    assert metrics["f1"] == pytest.approx(2 / 3)  # two claimed, one there, one hit


def test_padding_changes_nothing() -> None:
    short, model = batch(), objective()
    longer = Batch(short)
    longer["words"] = F.pad(short["words"], (0, 3))
    longer["target"] = F.pad(short["target"], (0, 3), value=IGNORED)
    torch.testing.assert_close(model.loss(short).loss, model.loss(longer).loss)
    with torch.no_grad():
        assert model.evaluate([short]).metrics == model.evaluate([longer]).metrics
    for one, other in zip(model.predict(short), model.predict(longer), strict=True):
        assert torch.equal(one[0], other[0])


def test_prediction_has_a_class_for_every_real_word() -> None:
    found, model = batch(), objective()
    x, _ = of_words(found)
    said = model.predict(found)
    assert [len(classes) for classes, _ in said] == LENGTHS
    assert torch.cat([classes for classes, _ in said]).tolist() == model.model.weight[x].argmax(1).tolist()


def test_no_sentences() -> None:
    with pytest.raises(DataError, match="no sentences"):
        objective().evaluate([])


def test_names_of_classes() -> None:
    assert named(torch.tensor([0, 1, 2]), torch.tensor([1, 2]), TAGS) == [["O"], ["noun", "verb"]]
