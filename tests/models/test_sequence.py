"""Networks by name: what goes in and comes out, padding, and going on."""

from __future__ import annotations

import pytest
import torch

from penstock.core.errors import RecipeError
from penstock.models import sequence
from penstock.models.recurrent import LSTM

NAMES = ["rnn", "jordan", "lstm", "lstm_closed", "gru", "tcn"]
LENGTHS = torch.tensor([7, 2, 5])


def test_tokens_and_numbers_pooled_and_by_step() -> None:
    for name in NAMES:
        make = getattr(sequence, name)
        tokens, numbers = torch.randint(9, (3, 7)), torch.randn(3, 7, 4)
        assert make(vocabulary=9, outputs=5, width=6)(tokens, LENGTHS).shape == (3, 7, 5)
        assert make(vocabulary=9, outputs=5, width=6, pooled=True)(tokens).shape == (3, 5)
        assert make(features=4, outputs=5, width=6, layers=2)(numbers).shape == (3, 7, 5)
        assert make(features=4, outputs=5, width=6, stride=4, pooled=True)(numbers, LENGTHS).shape == (3, 5)


@pytest.mark.parametrize("name", [*NAMES, "both ways"])
@pytest.mark.parametrize(("pooled", "stride"), [(True, 1), (False, 2), (True, 4)])
def test_padding_changes_nothing(name: str, pooled: bool, stride: int) -> None:
    torch.manual_seed(0)
    more = {"bidirectional": True} if name == "both ways" else {}
    make = getattr(sequence, "gru" if name == "both ways" else name)
    net = make(features=4, outputs=5, width=6, pooled=pooled, stride=stride, dropout=0.3, **more).double().eval()
    x = torch.randn(3, 7, 4, dtype=torch.float64)
    together = net(x, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = net(x[row : row + 1, :length])
        found = together[row : row + 1] if pooled else together[row : row + 1, : net.steps(LENGTHS)[row]]
        torch.testing.assert_close(found, alone, rtol=1e-7, atol=1e-9)


def test_it_goes_on_from_where_it_was() -> None:
    torch.manual_seed(0)
    net = sequence.lstm(vocabulary=9, outputs=9, width=6, layers=2).double()
    tokens = torch.randint(9, (3, 7))
    first, carry = net.advance(tokens[:, :4], net.begin(3))
    second, _ = net.advance(tokens[:, 4:], carry)
    torch.testing.assert_close(torch.cat([first, second], 1), net(tokens), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("choice", [{"pooled": True}, {"bidirectional": True}, {"stride": 2}])
def test_what_must_be_seen_whole_does_not_go_on(choice: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match="see a sequence whole"):
        sequence.gru(features=4, outputs=2, **choice).begin(1)


def test_numbers_are_not_dropped_before_they_are_read() -> None:
    seen, _ = sequence.lstm(features=4, outputs=2, dropout=0.9).seen(torch.ones(2, 3, 4))
    assert seen.eq(1).all()
    shortened, _ = sequence.lstm(features=4, outputs=2, dropout=0.9, stride=2).seen(torch.ones(2, 30, 4))
    assert shortened.eq(0).float().mean() > 0.8


def test_closed_gates_are_those_of_the_input_and_the_output() -> None:
    trunk = sequence.lstm_closed(vocabulary=9, outputs=2, width=6).trunk
    assert isinstance(trunk, LSTM)
    assert trunk.cells.get_parameter("bias_ih_l0").view(4, 6).mean(1).tolist() == [-1, 1, 0, -1]


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({}, "either tokens or numbers"),
        ({"vocabulary": 3, "features": 2}, "either tokens or numbers"),
        ({"vocabulary": 3, "stride": 2}, "stride of 2 over tokens"),
        ({"features": 3, "stride": 3}, "stride is 3"),
        ({"features": 0}, "features is 0"),
        ({"vocabulary": 3, "width": 0}, "width is 0"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(sizes: dict[str, int], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        sequence.tcn(outputs=2, **sizes)
