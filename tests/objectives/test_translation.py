"""The objective of translation against closed forms, and what is measured of what is written."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch.nn import functional as F

from penstock.core.batch import Batch
from penstock.core.errors import DataError
from penstock.metrics.translation import bleu, chrf, exact_match
from penstock.models import translators
from penstock.objectives.translation import Decoding, Translation

TARGETS = [[2, 5, 6, 3], [2, 7, 3], [2, 5, 8, 9, 4, 3]]


def batch() -> Batch:
    torch.manual_seed(1)
    lengths = torch.tensor([len(row) for row in TARGETS])
    padded = torch.tensor([[*row, *[0] * (6 - len(row))] for row in TARGETS])
    source, read = torch.randint(4, 9, (3, 5)), torch.tensor([5, 2, 3])
    return Batch(source=source, source_length=read, target=padded, target_length=lengths)


def objective(**changes: object) -> Translation:
    torch.manual_seed(0)
    model = translators.gru(vocabulary=9, outputs=10, width=12, dropout=0.0)
    return Translation(model, ["source", "source_length"], spell=spell, **changes)  # type: ignore[arg-type]


def spell(ids: Sequence[int]) -> str:
    return "".join("abcdef"[i - 4] for i in ids if i >= 4)


def test_the_loss_is_the_mean_over_all_tokens_and_adds_up_over_parts() -> None:
    ours, whole = objective(), batch()
    losses = []
    for row, target in enumerate(TARGETS):
        tokens = torch.tensor([target])
        read = (whole["source"][row : row + 1, : whole["source_length"][row]], whole["source_length"][row : row + 1])
        logits = ours.model(*read, tokens[:, :-1])[0]
        losses += F.cross_entropy(logits, tokens[0, 1:], reduction="none").tolist()
    found = ours.loss(whole)
    assert found.weight == len(losses) == 10
    assert found.loss.item() == pytest.approx(sum(losses) / 10, rel=1e-5)
    parts = [ours.loss(part) for part in whole.split(2)]
    mean = sum(part.loss.item() * part.weight for part in parts) / sum(part.weight for part in parts)
    assert mean == pytest.approx(found.loss.item(), rel=1e-5)


def test_smoothing_mixes_in_the_uniform_distribution() -> None:
    plain, smooth = objective(), objective(smoothing=0.2)
    logits = plain.model(batch()["source"], batch()["source_length"], batch()["target"][:, :-1])
    wanted = batch()["target"][:, 1:]
    uniform = -logits.log_softmax(2).mean(2)[wanted != 0].mean()
    expected = 0.8 * plain.loss(batch()).loss + 0.2 * uniform
    torch.testing.assert_close(smooth.loss(batch()).loss, expected)


def test_what_was_evaluated_is_what_was_trained() -> None:
    ours = objective(decoding=Decoding(width=1, most=7)).eval()
    found = ours.evaluate(list(batch().split(2)))
    loss = ours.loss(batch()).loss.item()
    assert found.metrics["loss"] == pytest.approx(loss, rel=1e-5)
    assert found.metrics["perplexity"] == pytest.approx(math.exp(loss), rel=1e-4)
    assert set(found.metrics) == {"loss", "perplexity", "accuracy", "exact_match", "bleu", "chrf"}
    assert found.records["target"].tolist() == batch()["target"].tolist()
    assert len(found.records["written"]) == len(found.records["confidence"]) == 3
    source, looks = found.records["source"], found.records["looks"]
    assert looks.shape[0] == len(source)
    assert looks.shape[2] == source.shape[1]


def test_what_was_learned_by_heart_is_written_and_counted_as_right() -> None:
    ours = objective(decoding=Decoding(width=3, most=7))
    optimizer = torch.optim.Adam(ours.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        ours.loss(batch()).loss.backward()
        optimizer.step()
    found = ours.eval().evaluate([batch()])
    assert found.metrics["exact_match"] == 1
    assert found.metrics["accuracy"] == 1
    assert found.metrics["chrf"] == pytest.approx(100)
    assert [line.tokens for line in ours.predict(batch())] == [tuple(row[1:-1]) for row in TARGETS]


def test_scheduled_sampling_gives_a_growing_share_of_its_own_tokens() -> None:
    ours = objective(sampling=0.5).train()
    large = Batch({name: value.repeat_interleave(400, dim=0) for name, value in batch().items()})
    given = large["target"][:, :-1]
    may = given > 2
    for progress in (0.0, 0.5, 1.0):
        ours.progress = progress
        changed = ours._sampled(large, given) != given
        assert not changed[~may].any()
        logits = ours.model(*ours._read(large), given).float()
        logits[:, :, (0, 1, 2)] = -math.inf
        probability = logits.softmax(2)[:, :-1].gather(2, given[:, 1:, None]).squeeze(2)
        expected = (0.5 * progress * (1 - probability))[may[:, 1:]]
        spread = (expected * (1 - expected)).sum().sqrt()
        assert abs(changed.sum() - expected.sum()) <= 5 * spread


def test_scheduled_sampling_draws_what_the_model_finds() -> None:
    ours = objective(sampling=1.0).train()
    ours.progress = 1.0
    one = Batch({name: value[:1].expand(20_000, *value.shape[1:]) for name, value in batch().items()})
    given = one["target"][:, :-1]
    logits = ours.model(*ours._read(batch()), batch()["target"][:, :-1])[0, 0].detach().clone()
    logits[:3] = -math.inf
    wanted = logits.softmax(0)[3:] * 20_000
    found = ours._sampled(one, given)[:, 1].bincount(minlength=10)[3:]
    chi_square = float(((found - wanted).square() / wanted).sum())
    assert chi_square < 40  # 6 degrees of freedom: 1e-6 at 38


def test_nothing_to_evaluate_on_is_said() -> None:
    with pytest.raises(DataError, match=r"^evaluation: there are no examples; "):
        objective().evaluate([])


def test_scores_of_translations() -> None:
    wanted = ["the cat sat on the mat .", "a dog barked at the moon ."]
    assert bleu(wanted, wanted) == pytest.approx(100)
    assert chrf(wanted, wanted) == pytest.approx(100)
    assert exact_match(["a", "b"], ["a", "c"]) == 0.5
    assert bleu(["我喜欢你吗"], ["我喜欢他吗"]) > bleu(["不知道了啊"], ["我喜欢他吗"])
    assert math.isnan(bleu([], []))
    assert math.isnan(chrf([], []))
    assert math.isnan(exact_match([], []))


def test_bleu_of_chinese_compares_characters_and_not_words() -> None:
    found, wanted = ["我今天去北京看朋友"], ["我明天去北京看朋友"]
    # Of 9 characters 8 are right, of 8 pairs 6, of 7 triples 5, of 6 runs of four 4.
    expected = 100 * math.exp(sum(map(math.log, (8 / 9, 6 / 8, 5 / 7, 4 / 6))) / 4)
    assert bleu(found, wanted) == pytest.approx(expected, rel=1e-4)
