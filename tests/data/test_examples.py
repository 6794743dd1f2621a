"""Examples in memory by index: chunks change nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from penstock.data import examples as module
from penstock.data.examples import InMemory


def numbers(count: int = 1000) -> dict[str, Tensor]:
    return {"x": torch.arange(count), "y": torch.arange(count)[:, None, None].expand(-1, 3, 2) * 1.5}


def numbered(count: int = 1000) -> InMemory:
    return InMemory(numbers(count))


@pytest.mark.parametrize("chunk", [1, 200, 1 << 22])
def test_chunks_do_not_change_batches(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", chunk)
    generator = torch.Generator().manual_seed(0)
    wanted = [torch.randint(0, 1000, (size,), generator=generator) for size in [5, 1, 7, 7, 0, 300, *[3] * 200]]
    examples = numbered()
    got = list(examples.stream(iter(wanted)))
    assert len(got) == len(wanted)
    for indices, (returned, batch) in zip(wanted, got, strict=True):
        assert torch.equal(returned, indices)
        assert torch.equal(batch["x"], indices)
        assert torch.equal(batch["y"], numbers()["y"][indices])
        assert batch.size == len(indices)


def test_memory_is_read_ahead_by_no_more_than_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", 10 * 4 * (8 + 24))  # ten batches of four
    asked = 0

    def count() -> Iterator[Tensor]:
        nonlocal asked
        while True:
            asked += 1
            yield torch.arange(4)

    stream = numbered().stream(count())
    next(stream)
    assert asked == 1
    next(stream)
    assert asked == 11


def test_one_batch_by_index() -> None:
    assert numbered()[torch.tensor([4, 2])]["x"].tolist() == [4, 2]
