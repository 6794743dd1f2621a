"""Keys of examples: of a new kind in each epoch, kept in a held-out source, and whatever the parts."""

from __future__ import annotations

import torch

from penstock.core.batch import Batch
from penstock.data.examples import InMemory
from penstock.data.keyed import Keyed
from penstock.data.sources import InOrder, Shuffled


def stored() -> InMemory:
    return InMemory({"x": torch.arange(12.0)})


def test_keys_change_with_the_epoch_and_not_with_the_batch_size() -> None:
    def epoch_keys(batch_size: int, epochs: int) -> list[dict[int, int]]:
        source = Shuffled(stored(), torch.arange(12), batch_size=batch_size, seed=2, transform=Keyed())
        found: list[dict[int, int]] = []
        for _ in range(epochs):
            batches = [next(source) for _ in range(source.epoch_steps)]
            pairs = [(int(i), int(k)) for b in batches for i, k in zip(b["index"], b["key"], strict=True)]
            found.append(dict(pairs))
        return found

    first, second = epoch_keys(4, 2)
    assert sorted(first) == list(range(12))
    assert not set(first.values()) & set(second.values())
    assert epoch_keys(6, 2) == [first, second]


def test_a_held_out_example_keeps_its_key_after_another_transform() -> None:
    def double(batch: Batch, indices: torch.Tensor, seed: int) -> Batch:
        return Batch(batch, x=batch["x"] * 2)

    source = InOrder(stored(), torch.tensor([3, 5, 8]), batch_size=2, transform=Keyed(double))
    once, again = list(source), list(source)
    assert [b["x"].tolist() for b in once] == [[6, 10], [16]]
    assert [b["index"].tolist() for b in once] == [[3, 5], [8]]
    assert all(torch.equal(a["key"], b["key"]) for a, b in zip(once, again, strict=True))
