"""Small data, the command line in this process, processes that can be signalled, and what equal runs have in common."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pytest
import torch
from PIL import Image
from rank_processes import rank_processes  # noqa: F401 - a fixture

from penstock.core.batch import Batch
from penstock.core.tensors import load_tensors
from penstock.data.sources import Shuffled

SETS = Path(__file__).resolve().parents[2] / "shared" / "data"


@dataclass(frozen=True)
class Outcome:
    """What a command line ended with."""

    code: int
    out: str
    err: str
    peak: int = 0  # bytes of memory, of a process of its own

    def refused(self, code: int, *texts: str, alone: bool = True) -> str:
        """Checks for one line `penstock: where: problem; what to do` that has these texts; gives it back.

        `alone`: nothing else was printed, as is so until data and recipe have been understood.
        """
        lines = self.err.splitlines()
        told = [line for line in lines if line.startswith("penstock: ")]
        assert self.code == code, self.err
        assert len(told) == 1, self.err
        assert lines[-1] == told[0]
        assert not alone or len(lines) == 1, self.err
        assert "Traceback" not in self.err
        assert "internal error" not in self.err
        where, _, rest = told[0].removeprefix("penstock: ").partition(": ")
        problem, _, remedy = rest.rpartition("; ")
        assert where, told[0]
        assert problem, told[0]
        assert remedy, told[0]
        for text in texts:
            assert text in told[0], told[0]
        return told[0]


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The command line handles signals; afterwards they are as they were."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has an empty cache of its own, made when something is kept."""
    folder = tmp_path.with_name(f"{tmp_path.name}-cache")
    monkeypatch.setenv("PENSTOCK_CACHE", str(folder))
    return folder


@pytest.fixture
def most_batches() -> int:
    """So many batches may a source give in a test; one that needs more says so."""
    return 300


@pytest.fixture(autouse=True)
def _no_training_without_end(most_batches: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that has forgotten how to end fails its test instead of going on for ever."""
    following = Shuffled.__next__
    given: WeakKeyDictionary[Shuffled, int] = WeakKeyDictionary()

    def guarded(self: Shuffled) -> Batch:
        given[self] = given.get(self, 0) + 1
        assert given[self] <= most_batches, f"training goes on after {most_batches} batches"
        return following(self)

    monkeypatch.setattr(Shuffled, "__next__", guarded)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def fast_folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder in memory where there is such a place: a kill does not care for what a flush costs."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(dir=shared))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with 640 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    _mount("-t", "tmpfs", "-o", "size=640k", "tmpfs", str(place))
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def read_only() -> Callable[[Path], AbstractContextManager[None]]:
    """Inside, nothing in a folder can be written, by root neither."""

    @contextlib.contextmanager
    def inside(folder: Path) -> Iterator[None]:
        _mount("--bind", str(folder), str(folder))
        try:
            _mount("-o", "remount,ro,bind", str(folder))
            yield
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)

    return inside


def _mount(*words: str) -> None:
    """Skips the test where this process may not mount."""
    try:
        done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no mount command")
    if done.returncode:
        pytest.skip(f"may not mount: {done.stderr.strip()}")


@pytest.fixture
def largest_file() -> Callable[[int], AbstractContextManager[None]]:
    """Inside, a file that grows beyond so many bytes is refused by the system at that byte (EFBIG)."""

    @contextlib.contextmanager
    def inside(size: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return inside


@pytest.fixture
def penstock(here: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """The command line: the first text is cut at blanks, further words are taken as they are."""
    from penstock.cli.main import run

    def call(line: str, *words: object) -> Outcome:
        capsys.readouterr()
        code = run([*line.split(), *map(str, words)])
        out, err = capsys.readouterr()
        return Outcome(code, out, err)

    return call


@pytest.fixture
def shared_sets(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the public sets, or a reason to skip."""
    folder = Path(os.environ.get("PENSTOCK_DATA") or SETS)
    if not folder.is_dir():
        pytest.skip("no public sets: PENSTOCK_DATA names no folder and there is no ../shared/data")
    monkeypatch.setenv("PENSTOCK_DATA", str(folder))
    return folder


def write_table(path: Path, rows: int = 60, seed: int = 0, header: Sequence[str] | None = None) -> Path:
    """A csv that can be learned: two numbers, a category, a class that follows from one, a price from the other."""
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header or ("age", "size", "city", "animal", "price"))
        for row in range(rows):
            age, size = rng.normal(40, 10), rng.uniform(0, 9)
            city = ("Paris", "北京", "Köln")[row % 3]
            animal = "cat" if size < 3 else "dog" if size < 6 else "鸟"
            writer.writerow([f"{age:.3f}", f"{size:.3f}", city, animal, f"{3 * age + 10 * size:.2f}"])
    return path


def write_pictures(
    folder: Path, classes: Sequence[str] = ("cat", "dog"), each: int = 12, size: int = 8, seed: int = 0
) -> Path:
    """A folder of class folders: each class is bright at another edge."""
    rng = np.random.default_rng(seed)
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(each):
            pixels = rng.integers(0, 80, (size, size, 3), dtype=np.uint8)
            np.rot90(pixels, number)[:2] += 150
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


def write_listing(folder: Path, rows: int = 30) -> Path:
    """A csv that lists pictures with their brightness and a class; the pictures lie beside it."""
    rng = np.random.default_rng(1)
    (folder / "pics").mkdir(parents=True, exist_ok=True)
    lines = ["file,brightness,shade"]
    for i in range(rows):
        level = int(rng.integers(10, 240))
        pixels = np.clip(rng.normal(level, 5, (8, 8)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "pics" / f"{i}.png")
        lines.append(f"pics/{i}.png,{level},{'dark' if level < 125 else 'light'}")
    (folder / "list.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "list.csv"


def write_sounds(folder: Path, rows: int = 30, rate: int = 2000, seed: int = 0) -> Path:
    """A csv that lists short sounds with what is said in them: each letter is a tone of its own, with a pause after it;
    a column says whether it begins with "a". They can be learned."""
    import soundfile

    rng = np.random.default_rng(seed)
    (folder / "声音").mkdir(parents=True, exist_ok=True)
    lines = ["file,said,first"]
    for row in range(rows):
        said = "".join(rng.choice(list("ab"), rng.integers(1, 4)))
        tones = [np.sin(2 * np.pi * (300 if letter == "a" else 700) * np.arange(rate // 8) / rate) for letter in said]
        pause = np.zeros(rate // 16)
        sound = np.concatenate([piece for tone in tones for piece in (0.3 * tone, pause)])
        sound += 0.01 * rng.standard_normal(len(sound))
        soundfile.write(folder / "声音" / f"{row}.wav", sound, rate, subtype="PCM_16")
        lines.append(f"声音/{row}.wav,{said},{'yes' if said[0] == 'a' else 'no'}")
    (folder / "sounds.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "sounds.csv"


def write_series(path: Path, rows: int = 90, seed: int = 0) -> Path:
    """A csv of days: a week that comes again, on a slope, and a column that tells the next day's noise before it."""
    rng, n = np.random.default_rng(seed), np.arange(rows)
    noise = rng.normal(size=rows + 1)
    sales = 50 + 0.05 * n + 8 * np.sin(2 * np.pi * n / 7) + 2 * noise[:rows]
    days = np.datetime64("2023-01-01") + n
    lines = [f"{day},{x:.3f},{hint:.3f}" for day, x, hint in zip(days, sales, noise[1:], strict=True)]
    path.write_text("\n".join(["日期,销量,hint", *lines]) + "\n", encoding="utf-8")
    return path


def write_prices(path: Path, rows: int = 160, seed: int = 0) -> Path:
    """A csv of days with a price and what was traded; a price far from its mean comes back."""
    rng, price = np.random.default_rng(seed), 0.0
    lines = ["date,close,volume"]
    for day in np.datetime64("2023-01-02") + np.arange(rows):
        price = 0.8 * price + rng.normal(0, 0.03)
        lines.append(f"{day},{100 * np.exp(price):.3f},{rng.integers(1000, 3000)}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_pairs(path: Path, rows: int = 50, seed: int = 0) -> Path:
    """Lines of letters, and the same letters turned round. They can be learned."""
    rng = np.random.default_rng(seed)
    words = ["".join(rng.choice(list("abc一"), rng.integers(1, 6))) for _ in range(rows)]
    path.write_text("".join(f"{word}\t{word[::-1]}\n" for word in words), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def prices() -> Callable[..., Path]:
    """See `write_prices`."""
    return write_prices


@pytest.fixture(scope="session")
def pairs() -> Callable[..., Path]:
    """See `write_pairs`."""
    return write_pairs


@pytest.fixture(scope="session")
def table() -> Callable[..., Path]:
    """See `write_table`."""
    return write_table


@pytest.fixture(scope="session")
def text() -> Callable[..., Path]:
    """See `write_text`."""
    return write_text


@pytest.fixture(scope="session")
def pictures() -> Callable[..., Path]:
    """See `write_pictures`."""
    return write_pictures


def write_texts(path: Path, rows: int = 40, seed: int = 0) -> Path:
    """A csv of sentences that tell by one word what they are about. They can be learned."""
    rng = np.random.default_rng(seed)
    lines = ["text,subject"]
    for row in range(rows):
        words = [*rng.choice(["the", "of", "and", "to", "一", "see", "more"], rng.integers(5, 12)), f"n{row}"]
        words.insert(int(rng.integers(len(words))), ("water", "turbine", "闸门")[row % 3])
        lines.append(f"{' '.join(words)},{('stream', 'machine', '门')[row % 3]}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_tagged(path: Path, rows: int = 50, seed: int = 0) -> Path:
    """Sentences in two columns; what follows "in" is a place, of one word or two. They can be learned."""
    rng = np.random.default_rng(seed)
    blocks = []
    for _ in range(rows):
        words = [
            (str(word), "O") for word in rng.choice(["the", "gate", "was", "seen", "水", "New"], rng.integers(2, 6))
        ]
        place = [("New", "B-place"), ("York", "I-place")] if rng.random() < 0.5 else [("北京", "B-place")]
        at = int(rng.integers(len(words) + 1))
        words[at:at] = [("in", "O"), *place]
        blocks.append("".join(f"{word}\t{tag}\n" for word, tag in words))
    path.write_text("\n".join(blocks), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def texts() -> Callable[..., Path]:
    """See `write_texts`."""
    return write_texts


@pytest.fixture(scope="session")
def tagged() -> Callable[..., Path]:
    """See `write_tagged`."""
    return write_tagged


@pytest.fixture(scope="session")
def sounds() -> Callable[..., Path]:
    """See `write_sounds`."""
    return write_sounds


@pytest.fixture(scope="session")
def series() -> Callable[..., Path]:
    """See `write_series`."""
    return write_series


@pytest.fixture(scope="session")
def listing() -> Callable[..., Path]:
    """See `write_listing`."""
    return write_listing


def write_text(path: Path, letters: int = 3000) -> Path:
    """A text that can be learned: words that follow from those before them."""
    draw, words = random.Random(0), ["水", "flows", "through", "the", "gate", "to", "turbine."]
    path.parent.mkdir(parents=True, exist_ok=True)
    text = ""
    while len(text) < letters:
        text += " ".join(words[draw.randrange(3) :]) + "\n"
    path.write_text(text, encoding="utf-8")
    return path


FEW_LETTERS = (
    "--context 8 --batch-size 8 --net.width 16 --net.dropout 0.3 --accumulate 2 --ema 0.9 --evaluate-every 0.1"
)
LEAST = "--threads 1 --log-every 3 --steps 7"
SMALL = "--batch-size 8 --evaluate-every 0.5 --ema 0.9 --net.hidden 8 --net.dropout 0.3"
PAIRED = "--batch-size 8 --evaluate-every 0.5 --ema 0.9 --net.width 8 --net.dropout 0.3 --accumulate 2 --sampling 0.3"
MADE = (
    "--batch-size 8 --evaluate-every 0.5 --ema 0.9 --net.width 4 --net.code 6 --conditional --gan.loss non-saturating"
    " --gan.augment all --measure.examiner pixels"
)
VARIED = "--image.shift 1 --image.flip"
CODED = (
    "--batch-size 16 --evaluate-every 0.05 --ema 0.9 --accumulate 2 --net.widths 4 4 --method denoising"
    " --image.shift 1 --image.flip"
)
ACTED = (
    "--environments 4 --rollout.steps 8 --batch-size 8 --net.hidden 8 --evaluate-every 0.2 --ema 0.9"
    " --measure.validation 2 --measure.test 4"
)
FOUGHT = (
    "--batch-size 8 --play.games 3 --play.moves 4 --play.capacity 40 --search.simulations 3 --net.width 4"
    " --net.layers 1 --evaluate-every 0.5 --ema 0.9 --measure.validation 2 --measure.test 4"
)
HEARD = "--batch-size 8 --evaluate-every 0.5 --ema 0.9 --net.width 8 --net.dropout 0.3 --accumulate 2"


@pytest.fixture
def words_for() -> Callable[[str, str, Path], list[str]]:
    """The words that train a task for a few steps on its default data, on a table or on pictures made in `folder`.

    Shuffling, dropout, augmentation and averaging of weights are on, accumulation where batches are not normalised;
    seven steps end in mid-epoch and between two rows of the log.
    """

    def make(task: str, data: str, folder: Path) -> list[str]:
        words = ["train", task, *LEAST.split()]
        if task == "transcribe":  # its default is two hours of Morse code
            where = [str(write_sounds(folder)), "--target", "said"]
            return [*words, *HEARD.split(), "--data", *where]
        if task == "control":
            return [*words, *ACTED.split()]
        if task == "selfplay":
            return [*words, *FOUGHT.split()]
        if task == "reconstruct":
            return [*words, *CODED.split()]
        if task == "tag":
            return [*words, *HEARD.split(), "--data", str(write_tagged(folder / "词.conll"))]
        if task == "forecast":
            where = [str(write_series(folder / "销量.csv")), "--window.context", "14", "--window.horizon", "3"]
            return [*words, *HEARD.split(), "--data", *where]
        if task == "generate":
            return [*words, *MADE.split(), *VARIED.split(), "--data", str(write_pictures(folder / "图片"))]
        if task == "language":
            return [*words, "--data", str(write_text(folder / "文.txt")), *FEW_LETTERS.split()]
        if data == "default":
            if task == "translate":
                return [*words, *PAIRED.split(), "--data", str(write_pairs(folder / "对.tsv"))]
            return words
        if data == "texts":
            where = [str(write_texts(folder / "texts.csv")), "--target", "subject", "--model", "gru"]
            return [*words, *HEARD.split(), "--data", *where]
        if data == "table":
            where = [str(write_table(folder / "t.csv")), "--target", "animal" if task == "classify" else "price"]
            where += ["--accumulate", "2"]
        elif task == "classify":
            where = [str(write_pictures(folder / "图片")), "--net.widths", "4", *VARIED.split()]
        else:
            where = [
                str(write_listing(folder / "listed")),
                "--target",
                "brightness",
                "--net.widths",
                "4",
                *VARIED.split(),
            ]
        return [*words, *SMALL.split(), "--data", *where]

    return make


@pytest.fixture
def same_runs() -> Callable[[Path, Path], None]:
    """Checks that two runs are equal bit for bit: metric rows, evaluation, model, optimizer, random state."""
    return assert_same


def assert_same(one: Path, other: Path) -> None:
    """See `same_runs`."""
    for name in ("metrics.jsonl", "evaluation.json", "model/weights.safetensors", "model/config.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    tensors, states = [], []
    for run in (one, other):
        last = sorted((run / "checkpoints").iterdir())[-1]
        # a checkpoint of the last step may have been written before or after the evaluation and the row that follow it
        found = load_tensors(last / "tensors.safetensors")
        tensors.append({name: tensor for name, tensor in found.items() if not name.startswith("best/")})
        states.append(json.loads((last / "state.json").read_text()))
        states[-1]["stepper"].pop("health")
    assert tensors[0].keys() == tensors[1].keys()
    assert all(torch.equal(tensor, tensors[1][name]) for name, tensor in tensors[0].items())
    for name in ("step", "stepper", "random", "source", "others"):  # the others: of a run with several ranks
        assert states[0].get(name) == states[1].get(name), name


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out the report, which takes most of the time of a small run."""
    monkeypatch.setattr("penstock.run.finish.build_report", lambda folder: folder)


@pytest.fixture
def signalled(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Arranges that this process gets a signal when a method is called for the n-th time."""

    def arrange(target: type, method: str, call: int, number: int = signal.SIGTERM) -> None:
        original = getattr(target, method)
        calls = 0

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == call:
                os.kill(os.getpid(), number)
            return original(*args, **kwargs)

        monkeypatch.setattr(target, method, wrapped)

    return arrange


NURSERY = Path(__file__).with_name("nursery.py")


class Processes:
    """Command lines as processes of their own, forked where everything is imported already: each starts at once.

    They draw no report, which takes most of the time of so small a run.
    """

    def __init__(self, nursery: subprocess.Popen[str]) -> None:
        self._nursery = nursery

    def run(
        self,
        folder: Path,
        words: Sequence[str] = (),
        moments: Sequence[tuple[str, str, int, int]] = (),
        after: tuple[float, int] | None = None,
        **further: Any,
    ) -> Outcome:
        """`moments`: at the n-th call of a method, written ("module:Class", "method", n, signal), the process signals
        itself. `after`: so many seconds after its start it is sent a signal. See nursery.py for what else there is."""
        assert self._nursery.stdin is not None
        request = {"call": None, "deadly": None} | further
        request |= {"folder": str(folder), "words": list(words), "moments": [list(moment) for moment in moments]}
        self._nursery.stdin.write(json.dumps(request) + "\n")
        self._nursery.stdin.flush()
        pid = int(self._line())
        if after is not None:
            time.sleep(after[0])
            with contextlib.suppress(ProcessLookupError):  # it was done before
                os.kill(pid, after[1])
        code, peak = map(int, self._line().split())
        errors = folder / "stderr.txt"  # not there yet where the process was killed at once
        return Outcome(code, "", errors.read_text(encoding="utf-8") if errors.exists() else "", peak)

    def _line(self) -> str:
        assert self._nursery.stdout is not None
        return self._nursery.stdout.readline()


@pytest.fixture(scope="session")
def processes() -> Iterator[Processes]:
    """See `Processes`."""
    with subprocess.Popen(
        [sys.executable, str(NURSERY)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as nursery:
        found = Processes(nursery)
        assert found._line().strip() == "ready"
        yield found
        assert nursery.stdin is not None
        nursery.stdin.close()


@pytest.fixture
def moments_of_chance() -> Callable[[int, float], list[float]]:
    """So many moments between 0 and a number of seconds, the same in every session."""
    return lambda count, longest: [random.Random(n).uniform(0, longest) for n in range(count)]
