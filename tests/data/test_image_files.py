"""Pictures from files: who reads them changes nothing; lost files and killed workers are said in one line; no leaks."""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from penstock.core.errors import DataError, WorkerError
from penstock.data import pool as module
from penstock.data.image_files import ImageFiles
from penstock.data.kept import Kept
from penstock.data.pool import DecoderPool, usual_workers
from penstock.data.sources import InOrder, Shuffled

COUNT = 30
SHAPE = (3, 5, 6)
PICTURE = 3 * 5 * 6

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (COUNT, 5, 6, 3), dtype=np.uint8)):
        Image.fromarray(pixels).save(tmp_path / f"图片 {i:02}.png")
    return tmp_path


@pytest.fixture
def opened(folder: Path) -> Iterator[dict[int, ImageFiles]]:
    """The same pictures, read here (0 workers) and by 2 and 3 processes."""
    files = sorted(folder.iterdir())
    kinds = {n: ImageFiles(files, SHAPE, {"target": torch.arange(COUNT)}, workers=n) for n in (0, 2, 3)}
    yield kinds
    for kind in kinds.values():
        kind.close()


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pictures a piece, and memory for few pieces: most batches must wait for room."""
    monkeypatch.setattr(module, "PIECE_ROWS", 2)
    monkeypatch.setattr(module, "BUFFER_BYTES", 1)


def shuffled(examples: ImageFiles) -> Shuffled:
    return Shuffled(examples, torch.arange(COUNT), batch_size=4, seed=5)


def pool_of(examples: ImageFiles) -> DecoderPool:
    pool = examples._reader.pool
    assert pool is not None
    return pool


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and only waits to be asked about does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_pictures_are_the_same_whoever_reads_them(opened: dict[int, ImageFiles], folder: Path) -> None:
    here, *there = (shuffled(examples) for examples in opened.values())
    for _ in range(2 * here.epoch_steps):
        first, *others = next(here), *map(next, there)
        assert first["image"].dtype == torch.uint8
        assert first["image"].shape[1:] == SHAPE
        with Image.open(folder / f"图片 {int(first['target'][0]):02}.png") as image:
            assert np.array_equal(first["image"][0].permute(1, 2, 0), image)
        for other in others:
            assert torch.equal(first["image"], other["image"])
            assert torch.equal(first["target"], other["target"])
    for examples in opened.values():
        assert examples[torch.tensor([3, 1])]["target"].tolist() == [3, 1]
        assert list(examples.stream([])) == []


@pytest.mark.usefixtures("small_pieces")
def test_two_streams_share_the_processes(opened: dict[int, ImageFiles]) -> None:
    """As training, which has read ahead, and an evaluation in between."""
    plain, shared = opened[0], opened[2]
    sources = [shuffled(plain), shuffled(shared)]
    for _ in range(3):
        for _ in range(5):
            one, other = map(next, sources)
            assert torch.equal(one["image"], other["image"])
        whole = [InOrder(examples, torch.arange(COUNT), batch_size=13) for examples in (plain, shared)]
        for one, other in zip(*whole, strict=True):
            assert torch.equal(one["image"], other["image"])


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("pictures", [0, 7, COUNT])
def test_what_is_kept_is_not_decoded_again(
    workers: int, pictures: int, opened: dict[int, ImageFiles], folder: Path
) -> None:
    files = sorted(folder.iterdir())
    examples = ImageFiles(files, SHAPE, {}, workers=workers, memory=pictures * PICTURE + PICTURE // 2)
    everything = [torch.arange(COUNT)]
    ((_, first),) = examples.stream(everything)
    for file in files[:pictures]:
        file.unlink()
    batches = [torch.randperm(pictures)] if pictures < COUNT else [torch.randperm(COUNT), torch.tensor([2, 2])]
    for indices, batch in examples.stream(batches):
        assert torch.equal(batch["image"], first["image"][indices])
    beside = examples.beside({"y": torch.arange(COUNT) * 10})
    mixed = torch.tensor([pictures - 1, COUNT - 1, 0] if pictures else [1])
    assert torch.equal(beside[mixed]["image"], first["image"][mixed])
    assert torch.equal(beside[mixed]["y"], mixed * 10)
    if pictures < COUNT:
        files[pictures].unlink()
        with pytest.raises(DataError, match="not there"):
            examples[torch.tensor([pictures])]
    examples.close()


def test_what_is_kept_stays_within_the_budget() -> None:
    kept = Kept(100, SHAPE, 10 * PICTURE)
    pixels = np.arange(6 * PICTURE, dtype=np.uint64).astype(np.uint8).reshape(6, *SHAPE)
    rows = np.array([50, 3, 50, 7, 99, 0])
    kept.add(pixels, rows, np.array([0, 1, 2, 4]))
    assert kept.missing(rows).tolist() == [3, 5]
    kept.add(pixels, np.arange(20, 26), np.arange(6))
    kept.add(pixels, np.arange(30, 36), np.arange(6))
    assert kept.missing(np.arange(100)).tolist() == [r for r in range(100) if r not in (3, 50, 99, *range(20, 26), 30)]
    found = np.zeros_like(pixels)
    kept.fill(found, rows, kept.missing(rows))
    assert np.array_equal(found[[1, 4]], pixels[[1, 4]])
    assert not found[[3, 5]].any()


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


@pytest.mark.usefixtures("small_pieces")
def test_of_several_bad_files_the_first_of_the_batch_is_named(opened: dict[int, ImageFiles], folder: Path) -> None:
    for number in (4, 9, 17):
        (folder / f"图片 {number:02}.png").write_bytes(b"")
    for examples in opened.values():
        with pytest.raises(DataError, match=r"图片 09\.png: the file is empty"):
            examples[torch.tensor([1, 2, 9, 3, 17, 0, 4])]


def test_a_killed_worker_is_noticed_at_once_and_others_take_its_place(opened: dict[int, ImageFiles]) -> None:
    examples = opened[2]
    source, expected = shuffled(examples), shuffled(opened[0])
    assert torch.equal(next(source)["image"], next(expected)["image"])
    left = pool_of(examples).processes
    left[0].kill()
    began = time.monotonic()
    taken = 1
    with pytest.raises(WorkerError, match=r"^loader: a worker process died \(signal 9: ") as caught:  # noqa: PT012
        while True:  # what had been read ahead may still come
            next(source)
            taken += 1
    assert time.monotonic() - began < 10
    assert caught.value.code == 7
    assert [process.poll() for process in left] == [-signal.SIGKILL] * 2
    assert source.state_dict() == dict(zip(("epoch", "position"), divmod(taken, source.epoch_steps), strict=True))
    for _ in range(taken - 1):
        next(expected)
    for _ in range(3):
        assert torch.equal(next(source)["image"], next(expected)["image"])


def test_a_worker_that_cannot_run_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = sorted(folder.iterdir())
    monkeypatch.setattr(module, "LAUNCH", "raise SystemExit(5)")
    with pytest.raises(WorkerError, match=r"died \(exit status 5\)"):
        ImageFiles(files, SHAPE, {}, workers=2)[torch.arange(9)]
    monkeypatch.setattr(sys, "executable", str(folder / "no python"))
    with pytest.raises(WorkerError, match=r"cannot be started \(No such file or directory\)"):
        ImageFiles(files, SHAPE, {}, workers=2)[torch.arange(9)]


def test_a_fault_in_a_worker_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = "import penstock.data.worker as w; w.decode = lambda *a: [][1]; w.main()"
    launch = module.LAUNCH.replace("from penstock.data.worker import main; main()", fault)
    monkeypatch.setattr(module, "LAUNCH", launch)
    with pytest.raises(WorkerError, match=r"failed at .*图片 03\.png \(IndexError: list index out of range\)"):
        ImageFiles(sorted(folder.iterdir()), SHAPE, {}, workers=1)[torch.tensor([3, 4])]


def test_a_stream_that_is_left_gives_up_what_it_had_asked_for(
    opened: dict[int, ImageFiles], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[module.Pending] = []
    request = DecoderPool.request

    def noted(self: DecoderPool, *given: np.ndarray) -> module.Pending:
        asked.append(request(self, *given))
        return asked[-1]

    monkeypatch.setattr(DecoderPool, "request", noted)
    monkeypatch.setattr(module, "BUFFER_BYTES", 1)
    stream = opened[2].stream([torch.arange(20)] * 50)
    next(stream)
    rows = pool_of(opened[2]).rows_ahead
    assert rows // 20 <= len(asked) - 1 <= rows // 20 + 2
    assert all(pending.wanted for pending in asked[1:])
    stream.close()
    assert not any(pending.wanted for pending in asked[1:])
    assert torch.equal(opened[2][torch.arange(4)]["image"], opened[0][torch.arange(4)]["image"])


def test_closed_and_asked_again(opened: dict[int, ImageFiles]) -> None:
    sources = [shuffled(opened[n]) for n in (0, 2)]
    for _ in range(3):
        one, other = map(next, sources)
        assert torch.equal(one["image"], other["image"])
        processes = pool_of(opened[2]).processes
        opened[2].close()
        assert all(process.poll() is not None for process in processes)
        opened[2].close()


@linux
def test_the_processes_end_with_the_last_who_could_ask_them(folder: Path) -> None:
    examples = ImageFiles(sorted(folder.iterdir()), SHAPE, {}, workers=2)
    stream = examples.stream([torch.arange(4)] * 9)
    next(stream)
    pids = [process.pid for process in pool_of(examples).processes]
    beside = examples.beside({})
    assert all(map(alive, pids))
    del examples, stream
    gc.collect()
    assert all(map(alive, pids))
    del beside
    gc.collect()
    assert not any(map(alive, pids))


@linux
def test_a_worker_is_light(opened: dict[int, ImageFiles]) -> None:
    opened[2][torch.arange(COUNT)]
    for process in pool_of(opened[2]).processes:
        maps = Path(f"/proc/{process.pid}/maps").read_text()
        assert "numpy" in maps
        assert "libtorch" not in maps
        assert "pandas" not in maps
        assert len(os.listdir(f"/proc/{process.pid}/task")) == 1


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def most_batches() -> int:
    """Many epochs are gone through here."""
    return 100_000


@linux
@pytest.mark.parametrize("memory", [0, 10 * 3 * 64 * 64])
def test_memory_handles_and_threads_stay_flat_over_many_epochs(memory: int, folder: Path) -> None:
    examples = ImageFiles(sorted(folder.iterdir()), (3, 64, 64), {}, workers=2, memory=memory)
    source = shuffled(examples)

    def held() -> tuple[int, int, int]:
        pids = [process.pid for process in pool_of(examples).processes]
        assert max(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids) < 12  # one may be in the middle of a file
        parent = [len(os.listdir(f"/proc/self/{what}")) for what in ("fd", "task")]
        return parent[0], parent[1], sum(resident(pid) for pid in (os.getpid(), *pids))

    def epochs(count: int) -> None:
        for _ in range(count * source.epoch_steps):
            next(source)

    epochs(20)
    before = held()
    epochs(80)
    after = held()
    examples.close()
    assert after[:2] == before[:2]
    assert after[2] - before[2] < 8 << 20  # the pictures that went by take 29 MB


@linux
def test_opened_and_closed_many_times_nothing_is_left(folder: Path) -> None:
    files = sorted(folder.iterdir())

    def once() -> int:
        examples = ImageFiles(files, SHAPE, {}, workers=1)
        examples[torch.arange(4)]
        examples.close()
        return len(os.listdir("/proc/self/fd"))

    assert once() == once() == once()


def test_large_pictures_need_no_more_than_two_pieces_a_worker(folder: Path) -> None:
    large = Image.fromarray(np.zeros((3000, 4000), np.uint8))
    files = [folder / "large.png"] * 5
    large.save(files[0])
    examples = ImageFiles(files, (1, 3000, 4000), {}, workers=1)
    sizes = [len(batch["image"]) for _, batch in examples.stream([torch.arange(5)])]
    assert sizes == [5]
    assert pool_of(examples).rows_ahead == (64 << 20) // 12_000_000
    examples.close()


def test_the_usual_number_of_workers_follows_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, workers in ((1, 1), (2, 2), (8, 8), (64, 8)):
        monkeypatch.setattr(module, "cores", lambda cores=cores: cores)
        assert usual_workers() == workers


def test_the_ranks_of_a_machine_divide_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": 5, "WORLD_SIZE": 8, "LOCAL_RANK": 1, "LOCAL_WORLD_SIZE": 4}.items():
        monkeypatch.setenv(name, str(value))
    for cores, workers in ((2, 1), (8, 2), (11, 2), (64, 8)):
        monkeypatch.setattr(module, "cores", lambda cores=cores: cores)
        assert usual_workers() == workers


@pytest.mark.usefixtures("small_pieces")
def test_signals_of_the_terminal_pass_the_workers_by(opened: dict[int, ImageFiles]) -> None:
    opened[2][torch.arange(COUNT)]  # so many pieces that both have begun
    for process in pool_of(opened[2]).processes:
        assert os.getpgid(process.pid) == process.pid != os.getpgid(0)
        os.kill(process.pid, signal.SIGINT)
    whole: Tensor = opened[2][torch.arange(COUNT)]["image"]
    assert torch.equal(whole, opened[0][torch.arange(COUNT)]["image"])
