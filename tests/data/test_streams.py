"""Running text in pieces: every token foretold once, lanes that go on, positions that are resumed."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from penstock.core.errors import CheckpointError, DataError, RecipeError
from penstock.core.ranks import Ranks
from penstock.data.streams import Stream, compact, in_order, windows

TEXT = torch.arange(1, 104)  # each token is its place, from 1


def test_an_epoch_of_windows_reads_everything_but_its_ends_once() -> None:
    source = windows(TEXT, 10, batch_size=4, seed=3)
    starts = []
    for _ in range(3):
        batches = [next(source)["tokens"] for _ in range(source.epoch_steps)]
        rows = torch.cat(batches)
        assert torch.equal(rows, rows[:, :1] + torch.arange(11))
        first = rows[:, 0].sort().values
        assert torch.equal(first.diff(), torch.full((len(first) - 1,), 10))
        assert int(rows.max()) <= 103
        starts.append(int(first[0]))
    assert len(set(starts)) > 1  # cut at other places in each epoch


def test_windows_reach_both_ends_of_the_text() -> None:
    source = windows(TEXT, 10, batch_size=4, seed=0)
    met = Counter(int(t) for _ in range(60 * source.epoch_steps) for t in next(source)["tokens"].flatten())
    assert set(met) == set(range(1, 104))


def test_pieces_in_order_foretell_each_token_once() -> None:
    found = []
    for batch in in_order(TEXT, 10, batch_size=3):
        for row, length in zip(batch["tokens"], batch["tokens_length"].tolist(), strict=True):
            assert torch.equal(row[:length], row[0] + torch.arange(length))
            assert not row[length:].any()
            found += row[1:length].tolist()
    assert found == list(range(2, 104))


def test_a_stream_goes_on_where_it_was() -> None:
    source = Stream(TEXT, 5, batch_size=4, seed=1)
    assert source.epoch_steps == 5  # 25 tokens each
    for _ in range(2):
        rows = torch.cat([next(source)["tokens"][:, :-1] for _ in range(5)], 1)  # (4, 25)
        following = rows % 103 + 1
        assert torch.equal(rows[:, 1:], following[:, :-1])
        assert rows.unique().numel() == 100


def test_what_is_remembered_comes_back_but_not_into_a_new_epoch() -> None:
    source = Stream(TEXT, 5, batch_size=4, seed=1)
    for step in range(12):
        batch = next(source)
        assert ("carry.0" in batch) == (step % 5 > 0)
        if step % 5:
            assert batch["carry.0"].tolist() == [step - 1] * 4
        batch.feedback(**{"carry.0": torch.full((4,), step), "other": torch.zeros(4)})
        source.hear(batch.said)


@pytest.mark.parametrize("stop", [0, 1, 4, 5, 8])
def test_a_position_is_resumed(stop: int) -> None:
    def run(source: Stream, first: int, last: int) -> list[torch.Tensor]:
        found = []
        for step in range(first, last):
            batch = next(source)
            carry = batch.get("carry.0", torch.zeros(4)) + step
            batch.feedback(**{"carry.0": carry})
            source.hear(batch.said)
            found.append(torch.cat([batch["tokens"].flatten(), carry]))
        return found

    whole = run(Stream(TEXT, 5, batch_size=4, seed=1), 0, 12)
    before, after = Stream(TEXT, 5, batch_size=4, seed=1), Stream(TEXT, 5, batch_size=4, seed=1)
    run(before, 0, stop)
    after.load_state_dict(before.state_dict())
    after.load_tensors(before.tensors())
    for ours, theirs in zip(run(after, stop, 12), whole[stop:], strict=True):
        assert torch.equal(ours, theirs)


def test_what_is_remembered_of_other_places_is_refused() -> None:
    with pytest.raises(CheckpointError, match="3 places, and 4"):
        Stream(TEXT, 5, batch_size=4, seed=1).load_tensors({"carry.0": torch.zeros(3)})


def test_ranks_share_the_places() -> None:
    whole = next(Stream(TEXT, 5, batch_size=5, seed=1))["tokens"]
    parts = []
    for rank in range(2):
        ranks = Ranks()
        ranks.rank, ranks.size = rank, 2
        parts.append(next(Stream(TEXT, 5, batch_size=5, seed=1, ranks=ranks))["tokens"])
    assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize(("length", "batch"), [(103, 1), (20, 6)])
def test_too_little_text(length: int, batch: int) -> None:
    with pytest.raises((DataError, RecipeError), match=rf"{length}.*103|103.*{length}"):
        windows(TEXT, length, batch_size=1, seed=0) if batch == 1 else Stream(TEXT, length, batch_size=batch, seed=0)


def test_tokens_are_stored_as_small_as_they_can_be() -> None:
    assert compact(torch.tensor([0, 32767]), 32768).dtype == torch.int16
    assert compact(torch.tensor([0, 32768]), 32769).tolist() == [0, 32768]
