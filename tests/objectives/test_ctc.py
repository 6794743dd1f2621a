"""The CTC objective against the sum over all paths, and what it measures."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from penstock.core.batch import Batch
from penstock.decoding.ctc import collapse
from penstock.objectives.ctc import CTC, NOTHING, steps_needed


class Says(nn.Module):
    """Gives back logits that were put in, every `stride`-th step."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.stride, self.scale = stride, nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return x[:, :: self.stride] * self.scale


FIELDS = ("audio", "audio_length")


def spell(tokens: list[int]) -> str:
    return "".join(" ab"[token - 1] for token in tokens)


def batch() -> Batch:
    audio = torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(1))
    target = torch.tensor([[2, 2, 3], [1, 3, 0], [2, 0, 0]])
    return Batch(
        audio=audio, audio_length=torch.tensor([6, 4, 2]), target=target, target_length=torch.tensor([3, 2, 1])
    )


def by_hand(logits: Tensor, target: list[int]) -> float:
    rows = logits.double().softmax(1).tolist()
    paths = itertools.product(range(4), repeat=len(rows))
    total = sum(
        math.prod(row[token] for row, token in zip(rows, path, strict=True))
        for path in paths
        if collapse(path) == target
    )
    return -math.log(total)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_loss_is_the_sum_over_all_paths(stride: int) -> None:
    objective = CTC(Says(stride), FIELDS, spell=spell, steps=lambda lengths: -(-lengths // stride))
    given = batch()
    if stride == 2:
        given["target"], given["target_length"] = torch.tensor([[2, 3], [1, 3], [2, 0]]), torch.tensor([2, 2, 1])
    steps = [-(-n // stride) for n in (6, 4, 2)]
    wanted = sum(
        by_hand(x[::stride][:n], t[:u].tolist())
        for x, n, t, u in zip(given["audio"], steps, given["target"], given["target_length"], strict=True)
    )
    update = objective.loss(given)
    tokens = int(given["target_length"].sum())
    assert update.weight == tokens
    assert update.loss.item() == pytest.approx(wanted / tokens, rel=1e-5)
    assert objective.evaluate([given]).metrics["loss"] == pytest.approx(wanted / tokens, rel=1e-5)


def test_parts_of_a_batch_add_up_to_its_loss() -> None:
    objective, given = CTC(Says(), FIELDS, spell=spell), batch()
    whole = objective.loss(given)
    parts = [objective.loss(part) for part in given.split(3)]
    joined = sum(part.loss.item() * part.weight for part in parts) / sum(part.weight for part in parts)
    assert joined == pytest.approx(whole.loss.item(), rel=1e-5)


def test_what_is_measured_and_kept() -> None:
    said = [[2, 0, 2, 3, 3, 0], [1, 3, 0, 0, 2, 2], [3, 3, 1, 1, 1, 1]]  # beyond the lengths nothing counts
    given = batch()
    given["audio"] = 9 * nn.functional.one_hot(torch.tensor(said), 4).float()
    objective = CTC(Says(), FIELDS, spell=spell)
    one, two = (Batch({name: value[rows] for name, value in given.items()}) for rows in (slice(0, 1), slice(1, 3)))
    two = Batch(two, audio=two["audio"][:, :4], target=two["target"][:, :2])
    found = objective.evaluate([one, two])
    assert objective.texts(found.records["said"]) == ["aab", " b", "b"]
    assert objective.texts(found.records["target"]) == ["aab", " b", "a"]
    assert found.records["path"].tolist() == [
        [2, 0, 2, 3, 3, 0],
        [1, 3, 0, 0, NOTHING, NOTHING],
        [3, 3, *[NOTHING] * 4],
    ]
    assert found.metrics["cer"] == pytest.approx(1 / 6)
    assert found.metrics["wer"] == pytest.approx(1 / 3)
    assert found.metrics["exact_match"] == pytest.approx(2 / 3)
    assert objective.predict(two) == [[1, 3], [3]]


def test_nothing_said_is_no_failure() -> None:
    given = batch()
    given["audio"] = 9 * nn.functional.one_hot(torch.zeros(3, 6, dtype=torch.int64), 4).float()
    found = CTC(Says(), FIELDS, spell=spell).evaluate([given])
    assert found.metrics["cer"] == 1.0
    assert found.records["said"].shape == (3, 0)


def test_steps_needed() -> None:
    assert [steps_needed(tokens) for tokens in ([], [1], [1, 2], [1, 1], [1, 1, 1, 2])] == [0, 1, 2, 3, 6]
    logits = torch.zeros(1, 2, 4)
    short = Batch(
        audio=logits, audio_length=torch.tensor([2]), target=torch.tensor([[2, 2]]), target_length=torch.tensor([2])
    )
    assert math.isinf(CTC(Says(), FIELDS, spell=spell).loss(short).loss.item())
