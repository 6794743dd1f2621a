"""Examples by index: chunks change nothing, nor do workers; lost files and killed workers are said in one line."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from penstock.core.errors import DataError, WorkerError
from penstock.data import examples as module
from penstock.data.examples import ImageFiles, InMemory
from penstock.data.sources import Shuffled

COUNT = 30
SHAPE = (3, 5, 6)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generator = torch.Generator().manual_seed(0)
    for i, pixels in enumerate(torch.randint(0, 256, (COUNT, 5, 6, 3), dtype=torch.uint8, generator=generator)):
        Image.fromarray(pixels.numpy()).save(tmp_path / f"图片 {i:02}.png")
    return tmp_path


@pytest.fixture
def opened(folder: Path) -> Iterator[dict[int, ImageFiles]]:
    """The same pictures, read here (0 workers) and by 2 processes."""
    files = sorted(folder.iterdir())
    kinds = {n: ImageFiles(files, SHAPE, {"target": torch.arange(COUNT)}, workers=n) for n in (0, 2)}
    yield kinds
    for kind in kinds.values():
        if kind._pool is not None:
            kind._pool.shutdown()


def shuffled(examples: ImageFiles | InMemory) -> Shuffled:
    return Shuffled(examples, torch.arange(COUNT), batch_size=4, seed=5)


def numbered(count: int = 1000) -> InMemory:
    return InMemory({"x": torch.arange(count), "y": torch.arange(count)[:, None, None].expand(-1, 3, 2) * 1.5})


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
        assert torch.equal(batch["y"], examples.tensors["y"][indices])
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


def test_pictures_are_the_same_whoever_reads_them(opened: dict[int, ImageFiles], folder: Path) -> None:
    here, there = (shuffled(opened[n]) for n in (0, 2))
    for _ in range(2 * here.epoch_steps):
        first, second = next(here), next(there)
        assert torch.equal(first["image"], second["image"])
        assert torch.equal(first["target"], second["target"])
        assert first["image"].dtype == torch.uint8
        assert first["image"].shape[1:] == SHAPE
        with Image.open(folder / f"图片 {int(first['target'][0]):02}.png") as image:
            assert np.array_equal(first["image"][0].permute(1, 2, 0), image)
    for examples in opened.values():
        assert examples[torch.tensor([3, 1])]["target"].tolist() == [3, 1]
        assert list(examples.stream([])) == []


@pytest.mark.parametrize("workers", [0, 2])
def test_a_file_lost_in_mid_epoch_is_named_and_training_can_go_on_once_it_is_back(
    workers: int, opened: dict[int, ImageFiles], folder: Path
) -> None:
    expected = shuffled(opened[0])
    batches = [next(expected) for _ in range(expected.epoch_steps)]
    source = shuffled(opened[workers])
    lost = folder / f"图片 {int(batches[6]['target'][2]):02}.png"
    lost.rename(folder.parent / "away.png")
    got = [next(source) for _ in range(6)]
    with pytest.raises(DataError, match=rf"{lost.name}: the file is not there; "):
        next(source)
    assert source.state_dict() == {"epoch": 0, "position": 6}
    (folder.parent / "away.png").rename(lost)
    got += [next(source) for _ in range(expected.epoch_steps - 6)]
    for first, second in zip(batches, got, strict=True):
        assert torch.equal(first["image"], second["image"])


def test_a_killed_worker_is_noticed_at_once_and_others_take_its_place(opened: dict[int, ImageFiles]) -> None:
    examples = opened[2]
    source, expected = shuffled(examples), shuffled(opened[0])
    assert torch.equal(next(source)["image"], next(expected)["image"])
    assert examples._pool is not None
    os.kill(next(iter(examples._pool._processes)), signal.SIGKILL)
    began = time.monotonic()
    taken = 1
    with pytest.raises(WorkerError, match=r"^loader: a worker process died ") as caught:  # noqa: PT012
        while True:  # what had been read ahead may still come
            next(source)
            taken += 1
    assert time.monotonic() - began < 10
    assert caught.value.code == 7
    assert source.state_dict() == dict(zip(("epoch", "position"), divmod(taken, source.epoch_steps), strict=True))
    for _ in range(taken - 1):
        next(expected)
    for _ in range(3):
        assert torch.equal(next(source)["image"], next(expected)["image"])


def test_a_stream_that_is_left_gives_up_what_it_had_asked_for(folder: Path) -> None:
    class Idle(Executor):
        """Does the first task and leaves the others waiting."""

        def __init__(self) -> None:
            self.futures: list[Future[np.ndarray]] = []

        def submit(self, task: Callable[..., np.ndarray], /, *given: object, **named: object) -> Future[np.ndarray]:
            self.futures.append(Future())
            if len(self.futures) == 1:
                self.futures[0].set_result(task(*given, **named))
            return self.futures[-1]

    examples = ImageFiles(sorted(folder.iterdir()), SHAPE, {}, workers=2)
    pool = examples._pool = Idle()
    stream = examples.stream([torch.arange(4)] * 50)
    next(stream)
    assert len(pool.futures) == 4  # two for each worker
    stream.close()
    assert [future.cancelled() for future in pool.futures] == [False, True, True, True]
