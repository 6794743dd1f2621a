"""What holds for every network that writes one sequence from another."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from penstock.models import translators
from penstock.models.translator import Translator

NAMES = ("transformer", "gru", "gru_additive", "gru_plain", "lstm", "lstm_additive", "lstm_plain")
LENGTHS = torch.tensor([7, 3, 1, 6])
Make = Callable[..., Translator]


@pytest.fixture(params=[(name, layers) for name in NAMES for layers in (1, 2)], ids=lambda one: f"{one[0]} {one[1]}")
def model(request: pytest.FixtureRequest) -> Translator:
    torch.manual_seed(0)
    name, layers = request.param
    make: Make = getattr(translators, name)
    made = make(vocabulary=9, outputs=11, width=16, layers=layers, dropout=0.2).double().eval()
    for parameter_name, value in made.named_parameters():
        if "bias" in parameter_name:
            nn.init.normal_(value, std=0.3)
    return made


def drawn() -> tuple[Tensor, Tensor]:
    return torch.randint(9, (4, 7)), torch.randint(11, (4, 5))


def test_a_logit_for_every_token_that_may_follow(model: Translator) -> None:
    source, tokens = drawn()
    assert model(source, LENGTHS, tokens).shape == (4, 5, 11)
    assert model.outputs == 11


def test_padding_of_the_source_changes_nothing(model: Translator) -> None:
    source, tokens = drawn()
    together = model(source, LENGTHS, tokens)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = model(source[row : row + 1, :length], LENGTHS[row : row + 1], tokens[row : row + 1])
        torch.testing.assert_close(alone, together[row : row + 1], rtol=1e-7, atol=1e-7)


def test_what_is_read_matters_and_what_is_written_later_does_not(model: Translator) -> None:
    source, tokens = drawn()
    found = model(source, LENGTHS, tokens)
    other = source.clone()
    other[:, 0] = (source[:, 0] + 1) % 9
    assert ((model(other, LENGTHS, tokens) - found).abs().amax((1, 2)) > 1e-6).all()
    later = tokens.clone()
    later[:, 3:] = (tokens[:, 3:] + 1) % 11
    changed = model(source, LENGTHS, later)
    torch.testing.assert_close(changed[:, :3], found[:, :3], rtol=0, atol=1e-12)
    assert ((changed - found)[:, 3].abs().amax(1) > 1e-6).all()


def test_token_by_token_finds_what_is_found_at_once_in_any_order_of_rows(model: Translator) -> None:
    source, tokens = drawn()
    carry, order = model.begin(source, LENGTHS), torch.tensor([2, 0, 3, 1])
    assert {len(part) for part in carry} == {4}
    found = []
    for step in range(5):
        logits, carry = model.advance(tokens[:, step : step + 1], carry)
        found.append(logits)
        if step == 2:  # as a beam does
            carry = tuple(part[order] for part in carry)
            tokens = tokens[order]
            found = [part[order] for part in found]
    torch.testing.assert_close(torch.cat(found, dim=1), model(source[order], LENGTHS[order], tokens))


def test_where_it_looks_sums_to_one_and_never_at_padding(model: Translator) -> None:
    source, tokens = drawn()
    looks = model.looks(source, LENGTHS, tokens)
    if looks is None:
        assert getattr(model, "scores", ...) is None
        return
    assert looks.shape == (4, 5, 7)
    torch.testing.assert_close(looks.sum(2), torch.ones(4, 5).double())
    for row, length in enumerate(LENGTHS.tolist()):
        assert not looks[row, :, length:].any()


def test_every_parameter_gets_a_gradient(model: Translator) -> None:
    source, tokens = drawn()
    logits = model(source, LENGTHS, tokens)
    nn.functional.cross_entropy(logits.flatten(0, 1), torch.randint(11, (20,))).backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert [name for name in still if not name.endswith("bias_hh_l0")] == []


def test_the_vector_that_is_looked_up_is_the_mean_by_the_weights() -> None:
    """Attention by hand, on the pieces of the model itself."""
    torch.manual_seed(0)
    model = translators.gru_additive(vocabulary=9, outputs=11, width=12).double().eval()
    source, tokens = drawn()
    read = model.reader(model.source(source) * 12**0.5, LENGTHS)
    last = torch.stack([read[row, length - 1] for row, length in enumerate(LENGTHS.tolist())])
    start = model.start(torch.cat([last, read[:, 0]], dim=1)).tanh().unsqueeze(1)
    found, _ = model.writer.advance(model.target(tokens) * 12**0.5, (start,))
    looks = model.looks(source, LENGTHS, tokens)
    assert looks is not None
    for row in range(4):
        for step in range(5):
            context = sum(looks[row, step, s] * read[row, s] for s in range(7))
            merged = model.merge(torch.cat([found[row, step], context])).tanh()
            wanted = model.target.weight @ merged + model.bias
            torch.testing.assert_close(model(source, LENGTHS, tokens)[row, step], wanted)
