"""Words as numbers: parts by hand, and words that were never seen."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from penstock.models.sequence import gru
from penstock.models.words import WordFront, WordNet


def test_word_and_spelling_side_by_side() -> None:
    torch.manual_seed(0)
    front = WordFront(vocabulary=6, letters=5, word=3, letter=4, spelling=7).double()
    x = torch.tensor([[[2, 1, 4, 0], [5, 3, 0, 0]]], dtype=torch.int32)
    found = front(x)
    assert found.shape == (1, 2, 10)
    for step in range(2):
        torch.testing.assert_close(found[0, step, :3], front.word.weight[x[0, step, 0]])
        letters = F.pad(front.letter.weight[x[0, step, 1:].long()], (0, 0, 1, 1))  # (S + 2, C)
        weight, bias = front.spelling.weight, front.spelling.bias
        windows = [(weight * letters[at : at + 3].T).sum((1, 2)) + bias for at in range(3)]
        torch.testing.assert_close(found[0, step, 3:], torch.stack(windows).amax(0))


def test_unknown_words_differ_by_their_letters() -> None:
    torch.manual_seed(0)
    front = WordFront(vocabulary=6, letters=5)
    one, other = front(torch.tensor([[[1, 2, 3]], [[1, 3, 2]]])).squeeze(1)
    assert torch.equal(one[:64], other[:64])
    assert not torch.equal(one[64:], other[64:])


def test_every_real_word_is_answered_alike_in_a_longer_batch() -> None:
    torch.manual_seed(0)
    front = WordFront(vocabulary=6, letters=5)
    net = WordNet(front, lambda size: gru(features=size, outputs=3, width=8, bidirectional=True)).eval()
    x = torch.randint(0, 5, (2, 4, 6))
    lengths = torch.tensor([2, 4])
    found = net(x, lengths)
    assert found.shape == (2, 4, 3)
    torch.testing.assert_close(found[:1, :2], net(x[:1, :2], lengths[:1]))
