"""Rows of unequal length: padded as by hand, and batched beside equal ones."""

from __future__ import annotations

import torch

from penstock.data.examples import InMemory
from penstock.data.order import epoch_order
from penstock.data.ragged import Ragged
from penstock.data.sources import Shuffled

ROWS = [[1, 2, 3], [], [4], [5, 6]]


def test_rows_are_padded_to_the_longest_of_the_batch() -> None:
    ragged = Ragged.of(ROWS, padding=-1)
    padded, lengths = ragged.padded(torch.tensor([3, 1, 0]))
    assert padded.tolist() == [[5, 6, -1], [-1, -1, -1], [1, 2, 3]]
    assert lengths.tolist() == [2, 0, 3]
    padded, lengths = ragged.padded(torch.tensor([1, 1]))
    assert padded.shape == (2, 0)
    assert ragged[3].tolist() == [5, 6]
    assert ragged.lengths.tolist() == [3, 0, 1, 2]
    assert len(ragged) == 4


def test_rows_of_vectors() -> None:
    ragged = Ragged.of([torch.ones(2, 3), torch.ones(1, 3)])
    padded, lengths = ragged.padded(torch.tensor([1, 0]))
    assert padded[:, :, 0].tolist() == [[1, 0], [1, 1]]
    assert padded.shape == (2, 2, 3)
    assert lengths.tolist() == [1, 2]


def test_a_batch_holds_the_lengths_beside_the_rows() -> None:
    examples = InMemory({"tokens": Ragged.of(ROWS), "y": torch.arange(4)})
    got = [batch for _, batch in examples.stream([torch.tensor([0]), torch.tensor([3, 2]), torch.tensor([1, 0])])]
    assert [batch["tokens"].tolist() for batch in got] == [[[1, 2, 3]], [[5, 6], [4, 0]], [[0, 0, 0], [1, 2, 3]]]
    assert [batch["tokens_length"].tolist() for batch in got] == [[3], [2, 1], [0, 3]]
    assert [batch["y"].tolist() for batch in got] == [[0], [3, 2], [1, 0]]


def test_like_lengths_go_together_and_nothing_is_lost() -> None:
    lengths = torch.randint(1, 100, (1003,), generator=torch.Generator().manual_seed(0))
    order = epoch_order(torch.arange(1003), 10, 5, lengths)
    assert order.sort().values.tolist() == list(range(1003))
    spread = torch.stack([lengths[part].max() - lengths[part].min() for part in order[:1000].split(10)])
    assert spread.float().mean() < 12  # of 99, where batches of any lengths spread by 80
    means = torch.stack([lengths[part].float().mean() for part in order[:1000].split(10)])
    assert (means.diff() > 0).float().mean() < 0.7  # not from short to long
    assert torch.equal(order, epoch_order(torch.arange(1003), 10, 5, lengths))
    assert not torch.equal(order, epoch_order(torch.arange(1003), 10, 6, lengths))


def test_buckets_resume() -> None:
    ragged = Ragged.of([list(range(n % 17)) for n in range(101)])

    def source() -> Shuffled:
        return Shuffled(InMemory({"tokens": ragged}), torch.arange(101), batch_size=8, seed=3, lengths=ragged.lengths)

    whole = source()
    batches = [next(whole)["tokens"] for _ in range(30)]
    for stop in (1, 13, 20):
        first, again = source(), source()
        for _ in range(stop):
            next(first)
        again.load_state_dict(first.state_dict())
        assert torch.equal(next(again)["tokens"], batches[stop])
