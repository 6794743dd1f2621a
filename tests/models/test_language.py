"""Networks that foretell the next token: the future is not seen, and what is carried is all that counts."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch.nn import functional as F

from penstock.core.errors import RecipeError
from penstock.models.language import LanguageNet, gru, jordan, lstm, rnn, tcn, transformer
from penstock.models.recurrent import LSTM

MAKERS: dict[str, Callable[[], LanguageNet]] = {
    "lstm": lambda: lstm(outputs=11, width=8, layers=2),
    "gru": lambda: gru(outputs=11, width=8),
    "rnn": lambda: rnn(outputs=11, width=8),
    "jordan": lambda: jordan(outputs=11, width=8),
    "tcn": lambda: tcn(outputs=11, width=8, layers=2),
    "rotary": lambda: transformer(outputs=11, context=20, width=8, heads=2, layers=2),
    "learned": lambda: transformer(outputs=11, context=20, width=8, heads=2, layers=2, positions="learned"),
    "sinusoidal": lambda: transformer(outputs=11, context=20, width=8, heads=2, layers=2, positions="sinusoidal"),
}
every = pytest.mark.parametrize("name", MAKERS)


@every
def test_the_future_never_changes_the_past(name: str) -> None:
    torch.manual_seed(0)
    net, tokens = MAKERS[name]().eval(), torch.randint(0, 11, (2, 12))
    other = tokens.clone()
    other[:, 7:] = (other[:, 7:] + 1) % 11
    one, two = net(tokens), net(other)
    torch.testing.assert_close(one[:, :7], two[:, :7])
    assert not torch.allclose(one[:, 7:], two[:, 7:])


@every
def test_to_go_on_is_to_read_it_whole(name: str) -> None:
    torch.manual_seed(0)
    net, tokens = MAKERS[name]().eval(), torch.randint(0, 11, (2, 12))
    carry, parts = net.begin(2), []
    for piece in tokens.split([5, 1, 6], 1):
        found, carry = net.advance(piece, carry)
        parts.append(found)
    torch.testing.assert_close(torch.cat(parts, 1), net(tokens), rtol=1.3e-6, atol=1e-5)


@every
def test_at_first_it_knows_nothing(name: str) -> None:
    torch.manual_seed(0)
    net, tokens = MAKERS[name]().eval(), torch.randint(0, 11, (40, 13))
    loss = F.cross_entropy(net(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
    assert float(loss.detach()) < math.log(11) + 0.8


def test_the_embeddings_are_the_last_weights() -> None:
    net = lstm(outputs=11, width=8)
    names = {name for name, _ in net.named_parameters() if not name.startswith("trunk")}
    assert names == {"embedding.weight", "bias"}
    state, _ = net.trunk.advance(net.embedding(torch.tensor([[3]])) * math.sqrt(8), net.trunk.begin(1))
    torch.testing.assert_close(net(torch.tensor([[3]])), state @ net.embedding.weight.T + net.bias)


def test_a_trunk_that_ends_in_another_width() -> None:
    with pytest.raises(RecipeError, match="takes 4 numbers a step and gives 8"):
        LanguageNet(LSTM(inputs=4, width=8), 11)
