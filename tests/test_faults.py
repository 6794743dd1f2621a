"""The faults that every recipe must survive: a stimulus, and the outcome. Numbers are those of the list of faults."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import penstock as api
from penstock.core.errors import RecipeError
from penstock.core.lock import locked
from penstock.core.manifest import MANIFEST, write_manifest
from penstock.core.tensors import load_tensors, save_tensors
from penstock.data import pool
from penstock.engine.checkpoint import Checkpoints
from penstock.engine.stepper import Stepper
from penstock.recipes.labelled import Labelled
from penstock.recipes.recipe import TASKS, recipe_type
from penstock.run.progress import MetricsFile

Command = Callable[..., Any]
Writer = Callable[..., Path]
Words = Callable[[str, str, Path], list[str]]

LABELLED = [task for task in TASKS if issubclass(recipe_type(task), Labelled)]
CASES = [(task, "default") for task in TASKS] + [(task, data) for task in LABELLED for data in ("table", "pictures")]
CASES.append(("classify", "texts"))
COLUMN = {"classify": "animal", "regress": "price"}

every_task = pytest.mark.parametrize("task", TASKS)
every_labelled_task = pytest.mark.parametrize("task", LABELLED)
every_case = pytest.mark.parametrize(("task", "data"), CASES)


def edited(path: Path, line: int, old: str, new: str) -> Path:
    """The csv with a text in one line (1 is the header) replaced."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new, 1)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def cells(path: Path, line: int) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()[line - 1].split(",")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def metrics(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


class TestTables:
    """Lines 1 to 3: nothing is written, and the place is named."""

    @every_labelled_task
    def test_text_in_a_numeric_column(self, task: str, penstock: Command, here: Path, table: Writer) -> None:
        path = table(here / "t.csv")
        edited(path, 17, cells(path, 17)[0], "N.N.")
        told = penstock(f"train {task} --data t.csv --target {COLUMN[task]}").refused(3, "t.csv:17", "'age'", "'N.N.'")
        assert "number" in told
        assert not (here / "runs").exists()

    @every_labelled_task
    @pytest.mark.parametrize(
        ("content", "texts"),
        [
            (b"a,b,y\n1,2,3\n1,2\n", ["t.csv:3", "expected 3 fields", "got 2"]),
            (b'a,b,y\n1,2,3\n1,"2,3\n4,5,6\n', ["t.csv:3", "quote"]),
            ("a,b,y\n1,2,é\n".encode("utf-16"), ["t.csv", "byte 0", "--encoding utf-16"]),
            ("a,b,y\n1,2,é\n".encode("latin-1"), ["t.csv", "byte 10", "--encoding"]),
            (b"", ["t.csv", "empty"]),
        ],
        ids=["ragged", "quote", "utf-16", "latin-1", "empty"],
    )
    def test_damaged_text(self, task: str, content: bytes, texts: list[str], penstock: Command, here: Path) -> None:
        (here / "t.csv").write_bytes(content)
        penstock(f"train {task} --data t.csv --target y").refused(3, *texts)
        assert not (here / "runs").exists()

    @every_labelled_task
    def test_a_byte_order_mark_is_no_fault(self, task: str, penstock: Command, here: Path, table: Writer) -> None:
        path = table(here / "t.csv")
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
        outcome = penstock(f"train {task} --data t.csv --target {COLUMN[task]} --steps 2 --threads 1")
        assert outcome.code == 0, outcome.err
        assert "age" in outcome.err

    def test_the_flag_that_a_remedy_names_works(self, penstock: Command, here: Path, table: Writer) -> None:
        path = table(here / "t.csv")
        path.write_bytes(path.read_text(encoding="utf-8").encode("utf-16"))
        told = penstock("train classify --data t.csv --target animal").refused(3)
        flag = told[told.index("--encoding") :]
        run = f"train classify --data t.csv --target animal --steps 2 --threads 1 --name r {flag}"
        assert penstock(run).code == 0
        outcome = penstock("predict r t.csv")
        assert outcome.code == 0, outcome.err  # a model reads files as its training did

    @every_labelled_task
    def test_target_misspelt(self, task: str, penstock: Command, here: Path, table: Writer) -> None:
        table(here / "t.csv")
        column = COLUMN[task]
        penstock(f"train {task} --data t.csv --target {column[:-1]}").refused(3, "t.csv", repr(column))
        penstock(f"train {task} --data t.csv").refused(2, "--target", column)
        assert not (here / "runs").exists()

    @every_labelled_task
    def test_missing_label(self, task: str, penstock: Command, here: Path, table: Writer) -> None:
        path = table(here / "t.csv")
        edited(path, 9, cells(path, 9)[3 if task == "classify" else 4], "")
        penstock(f"train {task} --data t.csv --target {COLUMN[task]}").refused(3, "t.csv:9", COLUMN[task], "missing")
        assert not (here / "runs").exists()

    @every_labelled_task
    def test_nothing_to_learn(self, task: str, penstock: Command, here: Path) -> None:
        (here / "t.csv").write_text("a,y\n" + "".join(f"{i}.5,7\n" for i in range(40)))
        penstock(f"train {task} --data t.csv --target y").refused(3, "7")
        assert not (here / "runs").exists()

    def test_label_unseen_in_training(self, penstock: Command, here: Path, table: Writer) -> None:
        table(here / "d" / "train.csv", 40)
        path = table(here / "d" / "test.csv", 20, seed=1)
        edited(path, 5, cells(path, 5)[3], "cats")
        penstock("train classify --data d --target animal").refused(3, "test.csv:5", "'cats'", "'cat'")
        assert not (here / "runs").exists()


class TestPictures:
    """Lines 4, 5 and 10."""

    @staticmethod
    def damage(folder: Path) -> list[Path]:
        good = (folder / "cat" / "0.png").read_bytes()
        Image.open(folder / "cat" / "0.png").resize((64, 64)).save(folder / "cat" / "cut.jpg")
        whole = (folder / "cat" / "cut.jpg").read_bytes()
        bad = {"cut.jpg": whole[: len(whole) // 2], "empty.png": b"", "text.png": b"hello", "half.png": good[:60]}
        for name, content in bad.items():
            (folder / "cat" / name).write_bytes(content)
        return [folder / "cat" / name for name in bad]

    @pytest.mark.parametrize("number", range(4))
    def test_one_bad_file_is_named(self, number: int, penstock: Command, here: Path, pictures: Writer) -> None:
        bad = self.damage(pictures(here / "p"))
        for path in bad[:number] + bad[number + 1 :]:
            path.unlink()
        penstock("train classify --data p").refused(3, str(bad[number].relative_to(here)), "--image.skip-bad")
        assert not (here / "runs").exists()

    @pytest.mark.parametrize("memory", ["4", "1e-9"], ids=["held", "streamed"])
    def test_bad_files_are_skipped_up_to_a_number(
        self, memory: str, penstock: Command, here: Path, pictures: Writer
    ) -> None:
        bad = self.damage(pictures(here / "p"))
        line = f"train classify --data p --steps 2 --threads 1 --net.widths 4 --image.memory {memory}"
        penstock(f"{line} --image.skip-bad 3").refused(3, "--image.skip-bad")
        assert not (here / "runs").exists()
        assert penstock(f"{line} --image.skip-bad 4 --name r").code == 0
        listed = (here / "runs/classify/r/skipped.csv").read_text(encoding="utf-8").splitlines()
        assert listed[0] == "file,reason"
        assert sorted(Path(row.split(",")[0]).name for row in listed[1:]) == sorted(path.name for path in bad)
        assert json.loads((here / "runs/classify/r/data.json").read_text(encoding="utf-8"))["examples"] == 24

    def test_a_huge_picture_is_refused_by_its_header(self, penstock: Command, here: Path, pictures: Writer) -> None:
        pictures(here / "p")

        def chunk(name: bytes, body: bytes) -> bytes:
            return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

        header = chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0))
        content = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
        (here / "p" / "dog" / "bomb.png").write_bytes(content)
        began = time.perf_counter()
        penstock("train classify --data p").refused(3, "bomb.png", "2,500,000,000")
        assert time.perf_counter() - began < 2
        assert not (here / "runs").exists()

    @pytest.mark.parametrize("workers", [0, 2])
    def test_a_file_that_goes_in_mid_epoch(
        self,
        workers: int,
        penstock: Command,
        here: Path,
        pictures: Writer,
        same_runs: Command,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        for part, each in (("train", 16), ("val", 4), ("test", 4)):
            pictures(here / "p" / part, each=each, seed=each)
        line = (
            "train classify --data p --epochs 3 --batch-size 8 --threads 1 --net.widths 4 --log-every 1"
            " --image.memory 1e-9"
        )
        assert penstock(f"{line} --name whole").code == 0
        victim = here / "p" / "train" / "dog" / "7.png"
        kept = victim.read_bytes()
        measured = MetricsFile.measured

        def gone(self: MetricsFile, row: dict[str, Any]) -> None:
            measured(self, row)
            if row["step"] == 5 and row["split"] == "train":
                victim.unlink(missing_ok=True)

        with monkeypatch.context() as patch:
            patch.setattr(MetricsFile, "measured", gone)
            patch.setattr(pool, "PIECE_ROWS", 2)  # so few pictures would all be read ahead before it goes
            patch.setattr(pool, "BUFFER_BYTES", 1)
            outcome = penstock(f"{line} --workers {workers} --name part")
        outcome.refused(3, "p/train/dog/7.png", "not there", alone=False)
        run = here / "runs" / "classify" / "part"
        saved = Checkpoints(run / "checkpoints").names()
        assert saved
        assert int(saved[-1][5:]) >= 5
        before = contents(run)
        penstock("resume part").refused(3, "changed")
        assert contents(run) == before
        victim.write_bytes(kept)
        assert penstock("resume part").code == 0
        same_runs(here / "runs" / "classify" / "whole", run)


class TestAnyAlphabet:
    """Line 11."""

    def test_table(self, penstock: Command, here: Path, table: Writer) -> None:
        header = ("年龄", "大小", "城市", "动物", "价格")
        table(here / "数据" / "动物园.csv", header=header)
        line = "train classify --data 数据/动物园.csv --target 动物 --columns.年龄 number --steps 3 --threads 1"
        outcome = penstock(f"{line} --name 试验")
        assert outcome.code == 0, outcome.err
        assert "年龄" in outcome.err
        run = here / "runs" / "classify" / "试验"
        page = (run / "report.html").read_text(encoding="utf-8")
        for text in ("年龄", "动物", "鸟", "试验"):
            assert text in page
        said = penstock("predict 试验 --format json", '{"年龄": 30, "大小": 1.5, "城市": "北京", "价格": 100}')
        assert said.code == 0, said.err
        assert set(json.loads(said.out)[0]["probabilities"]) == {"cat", "dog", "鸟"}
        assert "鸟" in penstock("predict 试验 数据/动物园.csv").out

    def test_pictures(self, penstock: Command, here: Path, pictures: Writer) -> None:
        folder = pictures(here / "图片", ("猫", "狗"))
        (folder / "猫" / "0.png").rename(folder / "猫" / "小猫.png")
        line = "train classify --data 图片 --steps 2 --threads 1 --net.widths 4 --name 试验"
        outcome = penstock(line)
        assert outcome.code == 0, outcome.err
        page = (here / "runs/classify/试验/report.html").read_text(encoding="utf-8")
        assert "猫" in page
        assert "图片" in page
        said = penstock("predict 试验 图片/猫/小猫.png 图片/狗").out.splitlines()
        assert said[0] == "input,prediction,probability 狗,probability 猫"
        assert said[1].startswith("图片/猫/小猫.png,")
        assert len(said) == 1 + 1 + 12


class TestRecipes:
    """Lines 12 to 15: exit 2, no run folder."""

    @every_task
    @pytest.mark.parametrize(
        ("flag", "near"),
        [("--lerning-rate", "'--optim.lr'"), ("--epoch", "'--epochs'"), ("--optim.nmae", "'--optim.name'")],
    )
    def test_misspelt_flag(self, task: str, flag: str, near: str, penstock: Command, here: Path) -> None:
        penstock(f"train {task} {flag} 3").refused(2, flag, f"did you mean {near}?")
        assert not (here / "runs").exists()

    @every_task
    @pytest.mark.parametrize(
        ("words", "texts"),
        [
            ("--optim.lr fast", ["optim.lr", "'fast'", "number"]),
            ("--optim.lr -1", ["optim.lr", "'-1'", "greater than 0"]),
            ("--optim.lr nan", ["optim.lr", "finite"]),
            ("--batch-size 0", ["batch_size", "'0'", "at least 1"]),
            ("--epochs 0", ["epochs", "greater than 0"]),
            ("--optim.name adan", ["optim.name", "'adamw'"]),
            ("--seed -1", ["seed", "at least 0"]),
            ("--name a/b", ["name"]),
            ("--name ..", ["name"]),
            ("--epochs", ["--epochs", "needs a value"]),
            ("--data --epochs 3", ["--data", "needs a value"]),
            ("12", ["'12'", "without a flag"]),
        ],
    )
    def test_impossible_value(self, task: str, words: str, texts: list[str], penstock: Command, here: Path) -> None:
        penstock(f"train {task} {words}").refused(2, *texts)
        assert not (here / "runs").exists()

    @every_task
    @pytest.mark.parametrize(
        ("words", "texts"),
        [
            ("--monitor accuarcy", ["monitor", "'accuarcy'"]),
            ("--device cuda:99", ["device", "'cuda:99'"]),
            ("--epochs 0.0001", ["0.0001 epochs", "0 steps"]),
            ("--batch-size 100000 --drop-last", ["batch_size", "100000", "training examples"]),
        ],
    )
    def test_what_only_the_data_tell(
        self, task: str, words: str, texts: list[str], penstock: Command, here: Path
    ) -> None:
        if task in ("control", "selfplay"):
            words = words.removesuffix(" --drop-last")  # what was gathered has no last batch that is smaller
        penstock(f"train {task} {words}").refused(2, *texts, alone=False)
        assert not (here / "runs").exists()

    @every_task
    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("r.yaml", "epochs: !!python/object/apply:pathlib.Path.touch [canary]\n"),
            ("r.toml", "epochs: !!python/object/apply:os.system ['touch canary']\n"),
            ("r.toml", 'model = "os:system"\n'),
            ("r.toml", "[optim]\nname = \"pathlib.Path('canary').touch()\"\n"),
            ("r.toml", '__class__ = "pathlib:Path"\n'),
            ("r.json", '{"optim": {"py/object": "os.system", "py/reduce": ["touch canary"]}}'),
            ("r.json", "[" * 100_000),
            ("r.json", "[1, 2]"),
            ("r.yaml", "a: &a [lol, lol]\nb: &b [*a, *a, *a]\nc: [*b, *b, *b]\n"),
            ("r.pkl", "cposix\nsystem\n(S'touch canary'\ntR."),
            ("r.toml", "epochs = \n"),
        ],
    )
    def test_hostile_recipe_file(self, task: str, name: str, content: str, penstock: Command, here: Path) -> None:
        (here / name).write_text(content, encoding="utf-8")
        penstock(f"train {task} --recipe {name}").refused(2, name)
        assert [path.name for path in here.iterdir()] == [name]

    @every_labelled_task
    @pytest.mark.parametrize("flag", ["--image.flip", "--image.size 16", "--image.workers 2", "--image.shift 0"])
    def test_a_setting_for_pictures_on_a_table(
        self, task: str, flag: str, penstock: Command, here: Path, table: Writer
    ) -> None:
        table(here / "t.csv")
        name = flag.split()[0].removeprefix("--")
        line = f"train {task} --data t.csv --target {COLUMN[task]} --steps 2 {flag}"
        penstock(line).refused(2, name, "pictures", "a table")
        assert not (here / "runs").exists()

    @pytest.mark.parametrize(
        "flag", ["--target x", "--table.delimiter ;", "--table.missing x", "--columns.a number", "--split.column part"]
    )
    def test_a_setting_for_tables_on_pictures(self, flag: str, penstock: Command, here: Path, pictures: Writer) -> None:
        pictures(here / "p")
        name = flag.split()[0].removeprefix("--")
        penstock(f"train classify --data p --steps 2 {flag}").refused(2, name, "tables", "p is pictures")
        assert not (here / "runs").exists()

    @every_case
    @pytest.mark.usefixtures("no_report")
    def test_the_record_of_a_run_is_a_recipe(
        self, task: str, data: str, penstock: Command, here: Path, words_for: Words, same_runs: Command
    ) -> None:
        """All settings stand in it, those too that have no meaning for the data."""
        words = words_for(task, data, here)
        if data == "pictures":
            words += ["--image.memory", "1e-9"]
        assert penstock("", *words, "--name", "one").code == 0
        runs = here / "runs" / task
        recorded = json.loads((runs / "one" / "recipe.json").read_text(encoding="utf-8"))
        if task in LABELLED:
            assert recorded["image"]["workers"] == (pool.usual_workers() if data == "pictures" else None)
        assert penstock(f"train --recipe {runs / 'one' / 'recipe.json'} --name two").code == 0
        same_runs(runs / "one", runs / "two")

    def test_head_unlike_the_class_count(self, here: Path) -> None:
        x, y = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32), np.arange(60) % 3
        with pytest.raises(RecipeError, match=r"it gives \(6, 5\) for 6 examples, the data need \(6, 3\)"):
            api.train("classify", data=(x, y), model=nn.Linear(4, 5), quiet=True, epochs=1)
        with pytest.raises(RecipeError, match=r"it cannot take a batch of numbers \(6, 4\)"):
            api.train("classify", data=(x, y), model=nn.Linear(6, 3), quiet=True, epochs=1)
        with pytest.raises(RecipeError, match=r"the data need \(6, 1\)"):
            api.train("regress", data=(x, y * 0.5), model=nn.Linear(4, 2), quiet=True, epochs=1)
        assert not (here / "runs").exists()


@pytest.mark.usefixtures("no_report")
class TestResume:
    """Lines 16 and 17."""

    @every_case
    def test_stopped_anywhere_and_resumed(
        self,
        task: str,
        data: str,
        penstock: Command,
        here: Path,
        words_for: Words,
        same_runs: Command,
        signalled: Callable[..., None],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        words = words_for(task, data, here)
        assert penstock("", *words, "--name", "whole").code == 0
        assert penstock("", *words, "--name", "again").code == 0
        runs = here / "runs" / task
        same_runs(runs / "whole", runs / "again")
        for stop in (1, 4, 6):
            with monkeypatch.context():
                original = Stepper.step
                signalled(Stepper, "step", stop)
                outcome = penstock("", *words, "--name", f"k{stop}")
                Stepper.step = original  # type: ignore[method-assign]
            outcome.refused(143, f"step {stop}", f"penstock resume runs/{task}/k{stop}", alone=False)
            assert Checkpoints(runs / f"k{stop}" / "checkpoints").names() == [f"step-{stop:09d}"]
            with (runs / f"k{stop}" / "metrics.jsonl").open("a") as rows:  # as if killed after that checkpoint
                rows.write('{"split": "train", "step": 8, "loss": 1}\n{"spl')
            assert penstock(f"resume k{stop}").code == 0
            same_runs(runs / "whole", runs / f"k{stop}")

    @every_case
    def test_stopped_after_every_step(
        self,
        task: str,
        data: str,
        penstock: Command,
        here: Path,
        words_for: Words,
        same_runs: Command,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        words = words_for(task, data, here)
        assert penstock("", *words, "--name", "whole").code == 0
        step = Stepper.step

        def interrupted(self: Stepper, *args: Any) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            step(self, *args)

        monkeypatch.setattr(Stepper, "step", interrupted)
        codes = [penstock("", *words, "--name", "part").code]
        while codes[-1] == 130 and len(codes) < 10:
            codes.append(penstock("resume part").code)
        assert codes == [130] * 7 + [0]
        same_runs(here / "runs" / task / "whole", here / "runs" / task / "part")

    def test_another_seed_is_another_run(self, penstock: Command, here: Path, words_for: Words) -> None:
        words = words_for("classify", "pictures", here)
        for seed in ("0", "1"):
            assert penstock("", *words, "--seed", seed, "--name", seed).code == 0
        rows = [(here / "runs/classify" / seed / "metrics.jsonl").read_text() for seed in ("0", "1")]
        assert rows[0] != rows[1]

    @every_labelled_task
    @pytest.mark.parametrize("memory", [1e-9, 1e-6], ids=["nothing kept", "some kept"])
    def test_the_number_of_workers_changes_nothing(
        self, task: str, memory: float, penstock: Command, here: Path, words_for: Words, same_runs: Command
    ) -> None:
        """Nor does whether pictures are held, kept in part or always read again."""
        words = words_for(task, "pictures", here)
        assert penstock("", *words, "--name", "held").code == 0
        for workers in (0, 4):
            streamed = ("--image.memory", memory, "--image.workers", workers, "--name", f"w{workers}")
            assert penstock("", *words, *streamed).code == 0
            facts = json.loads((here / f"runs/{task}/w{workers}/data.json").read_text(encoding="utf-8"))
            assert f"read from disk as needed (workers: {workers}; " in facts["image"]["detail"]
            same_runs(here / f"runs/{task}/held", here / f"runs/{task}/w{workers}")


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
class TestWorkers:
    """Line 21, and that no worker is left behind."""

    STREAMED = ("--image.memory", "1e-9", "--image.workers", "2")

    @every_labelled_task
    @pytest.mark.usefixtures("no_report")
    def test_killed(
        self,
        task: str,
        penstock: Command,
        here: Path,
        words_for: Words,
        same_runs: Command,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        words = [*words_for(task, "pictures", here), *self.STREAMED]
        assert penstock("", *words, "--name", "whole").code == 0
        measured, started, killed = MetricsFile.measured, pool.DecoderPool.__init__, []
        pools: list[pool.DecoderPool] = []

        def noted(self: pool.DecoderPool, *given: Any) -> None:
            started(self, *given)
            pools.append(self)

        def kill(self: MetricsFile, row: dict[str, Any]) -> None:
            measured(self, row)
            if row["step"] == 3 and row["split"] == "train" and not killed:
                killed.append(time.perf_counter())
                pools[-1].processes[1].kill()

        monkeypatch.setattr(pool.DecoderPool, "__init__", noted)
        monkeypatch.setattr(MetricsFile, "measured", kill)
        outcome = penstock("", *words, "--name", "part")
        assert time.perf_counter() - killed[0] < 10
        outcome.refused(7, "loader", "worker process died", "penstock resume", alone=False)
        run = here / "runs" / task / "part"
        (saved,) = Checkpoints(run / "checkpoints").names()
        assert 3 <= int(saved[5:]) < 7  # batches that had been read ahead may still be trained on
        assert all(process.poll() is not None for every in pools for process in every.processes)
        assert penstock("resume part").code == 0
        assert all(process.poll() is not None for every in pools for process in every.processes)
        same_runs(here / "runs" / task / "whole", run)

    @pytest.mark.parametrize(
        ("number", "code"), [(None, 0), (signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)]
    )
    def test_none_is_left(
        self, number: int | None, code: int, processes: Any, words_for: Words, tmp_path: Path
    ) -> None:
        moments = [] if number is None else [(*PLACES["step"], number)]
        with Onlooker(tmp_path) as seen:
            outcome = processes.run(tmp_path, [*words_for("classify", "pictures", tmp_path), *self.STREAMED], moments)
        assert outcome.code == code, outcome.err
        assert len(seen.workers) == 2
        deadline = time.monotonic() + 5
        while left := seen.workers & workers_in(tmp_path):
            assert time.monotonic() < deadline, left
            time.sleep(0.01)

    def test_none_is_left_by_an_error(self, processes: Any, words_for: Words, tmp_path: Path) -> None:
        words = [*words_for("classify", "pictures", tmp_path), *self.STREAMED]
        with Onlooker(tmp_path) as seen:
            processes.run(tmp_path, [*words, "--monitor", "acuracy"]).refused(2, "'acuracy'")
        assert len(seen.workers) == 2
        assert not workers_in(tmp_path)


def workers_in(folder: Path) -> set[int]:
    """The loader workers that run in a folder; one that is dead and only waits to be asked about does not run."""
    found = set()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):  # it has ended
            ours = entry.name.isdecimal() and b"penstock.data.worker" in (entry / "cmdline").read_bytes()
            if ours and Path(os.readlink(entry / "cwd")) == folder:
                found.add(int(entry.name))
    return found


class Onlooker:
    """Notes, while it is entered, which workers run in a folder."""

    def __init__(self, folder: Path) -> None:
        self.workers: set[int] = set()
        self._folder, self._done = folder.resolve(), threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._done.wait(0.005):
            self.workers |= workers_in(self._folder)

    def __enter__(self) -> Onlooker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


class OneBadGradient(nn.Module):
    """Finite outputs; after the third call in training the gradient of one parameter is not a number."""

    def __init__(self, loss_too: bool) -> None:
        super().__init__()
        self.layer, self.other, self.calls, self.loss_too = nn.Linear(4, 3), nn.Linear(4, 3), 0, loss_too

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += self.training
        logits: torch.Tensor = self.layer(x)
        if self.calls < 3 or not self.training:
            return logits + self.other(x)
        if self.loss_too:
            return logits * torch.nan
        return logits + 0 * torch.sqrt(0 * self.other.weight.square().sum())


class TestNumbers:
    """Line 18."""

    @every_labelled_task
    def test_a_rate_that_explodes(self, task: str, penstock: Command, here: Path, table: Writer) -> None:
        table(here / "t.csv")
        line = f"train {task} --data t.csv --target {COLUMN[task]} --threads 1 --batch-size 16 --epochs 60"
        told = penstock(f"{line} --optim.name sgd --optim.lr 1e30 --optim.warmup 0").refused(5, "step", alone=False)
        assert "optim.lr" in told

    @every_labelled_task
    def test_values_beyond_float32_are_named(self, task: str, penstock: Command, here: Path, table: Writer) -> None:
        path = table(here / "t.csv")
        edited(path, 7, cells(path, 7)[0], "1e300")
        line = f"train {task} --data t.csv --target {COLUMN[task]} --threads 1 --steps 3"
        for seed in range(3):  # in training it widens the scale; elsewhere it lies beyond it
            outcome = penstock(f"{line} --table.scaling standard --seed {seed}")
            assert outcome.code in (0, 3)
            if outcome.code == 3:
                outcome.refused(3, "t.csv:7", "'age'", "1e300")

    @pytest.mark.parametrize("loss_too", [True, False], ids=["loss", "gradient"])
    def test_nothing_moves_once_it_is_not_finite(self, loss_too: bool, here: Path) -> None:
        x, y = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32), np.arange(60) % 3
        model = OneBadGradient(loss_too)
        seen: list[torch.Tensor] = []
        model.register_forward_pre_hook(lambda *_: seen.append(nn.utils.parameters_to_vector(model.parameters())))
        with pytest.raises(api.PenstockError, match="step 3: the ") as caught:
            api.train("classify", data=(x, y), model=model, quiet=True, steps=9, batch_size=8)
        assert caught.value.code == 5
        assert ("loss" if loss_too else "'other.weight'") in str(caught.value)
        after = nn.utils.parameters_to_vector(model.parameters())
        assert torch.isfinite(after).all()
        assert torch.equal(after, seen[-1])

    @every_task
    def test_float16_is_resumed_bit_for_bit(
        self,
        task: str,
        penstock: Command,
        here: Path,
        words_for: Words,
        same_runs: Command,
        signalled: Callable[..., None],
        no_report: None,
    ) -> None:
        words = [*words_for(task, "default", here), "--precision", "fp16", "--log-every", "2", "--steps", "3"]
        assert penstock("", *words, "--name", "whole").code == 0
        signalled(Stepper, "step", 1)
        penstock("", *words, "--name", "part").refused(143, "step 1", alone=False)
        assert penstock("resume part").code == 0
        same_runs(here / "runs" / task / "whole", here / "runs" / task / "part")
        rows = metrics(here / "runs" / task / "part")
        kept = [{key.rpartition("_")[2] for key in row} for row in rows if row["split"] == "train"]  # of each role
        assert all({"scale", "skipped"} <= keys for keys in kept)

    @pytest.mark.parametrize("loss_too", [True, False], ids=["loss", "gradient"])
    def test_twenty_overflows_of_float16_in_a_row(self, loss_too: bool, here: Path) -> None:
        x, y = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32), np.arange(60) % 3
        model = OneBadGradient(loss_too)
        settings: dict[str, Any] = {"quiet": True, "steps": 40, "batch_size": 8, "precision": "fp16", "threads": 1}
        with pytest.raises(api.PenstockError, match=r"step 22: .* for the 20th update in a row; .*bf16") as caught:
            api.train("classify", data=(x, y), model=model, name="r", **settings)
        assert caught.value.code == 5
        assert all(torch.isfinite(p).all() for p in model.parameters())
        rows = metrics(here / "runs" / "classify" / "r")
        assert [row["skipped"] for row in rows if row["split"] == "train"] == [18]


REAL_SHORTAGE = """
import resource, sys
import penstock.run.finish
from penstock.cli.main import run
penstock.run.finish.build_report = lambda folder: folder
assert run([*sys.argv[1:], "--name", "warm", "--batch-size", "8"]) == 0
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limit = used + 96 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
print(run([*sys.argv[1:], "--name", "stopped"]), run([*sys.argv[1:], "--name", "on", "--on-out-of-memory", "halve"]))
"""


@pytest.fixture
def room_for(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Arranges that a training step takes at most so many examples at a time."""

    def arrange(most: int) -> None:
        attend = Stepper.__init__

        def made(self: Stepper, objective: Any, *others: Any) -> None:
            attend(self, objective, *others)
            step = objective.step

            def hungry(batch: Any) -> Any:
                if batch.size > most:
                    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
                return step(batch)

            objective.step = hungry

        monkeypatch.setattr(Stepper, "__init__", made)

    return arrange


@pytest.mark.usefixtures("no_report")
class TestMemory:
    """Line 19."""

    @every_labelled_task
    def test_it_is_saved_and_a_smaller_batch_named(
        self, task: str, penstock: Command, here: Path, words_for: Words, room_for: Callable[[int], None]
    ) -> None:
        room_for(3)
        outcome = penstock("", *words_for(task, "table", here), "--name", "run")
        outcome.refused(6, "step 1", "batch of 8 examples in 2 parts", "--batch-size 4", "halve", alone=False)
        assert Checkpoints(here / "runs" / task / "run" / "checkpoints").names() == ["step-000000000"]

    @every_labelled_task
    def test_on_request_it_goes_on_in_parts_with_the_same_gradient(
        self,
        task: str,
        penstock: Command,
        here: Path,
        words_for: Words,
        room_for: Callable[[int], None],
        same_runs: Command,
        signalled: Callable[..., None],
    ) -> None:
        words = [*words_for(task, "table", here), "--net.dropout", "0", "--on-out-of-memory", "halve"]
        assert penstock("", *words, "--name", "whole").code == 0
        room_for(3)
        outcome = penstock("", *words, "--name", "halved")
        assert outcome.code == 0, outcome.err
        assert outcome.err.count("a batch is computed in 4 parts") == outcome.err.count("out of memory") == 1
        runs = here / "runs" / task
        parts = [json.loads((runs / name / "summary.json").read_text())["parts"] for name in ("whole", "halved")]
        assert parts == [2, 4]
        for a, b in zip(metrics(runs / "whole"), metrics(runs / "halved"), strict=True):
            assert a.pop("split") == b.pop("split")
            assert b == pytest.approx(a, rel=1e-4)
        signalled(Stepper, "step", 4)
        assert penstock("", *words, "--name", "part").code == 143
        outcome = penstock("resume part")
        assert outcome.code == 0
        assert "out of memory" not in outcome.err  # it is remembered
        same_runs(runs / "halved", runs / "part")

    @every_labelled_task
    def test_where_parts_would_change_the_result(
        self, task: str, penstock: Command, here: Path, words_for: Words, room_for: Callable[[int], None]
    ) -> None:
        room_for(4)
        words = [*words_for(task, "pictures", here), "--on-out-of-memory", "halve"]
        penstock("", *words).refused(6, "step 1", "batch normalisation", "--batch-size 4", alone=False)

    @pytest.mark.skipif(sys.platform != "linux", reason="memory can be limited on Linux alone")
    def test_for_real(self, here: Path) -> None:
        x = np.random.default_rng(0).normal(size=(1200, 8)).astype(np.float32)
        np.savez(here / "d.npz", x=x, y=(x[:, 0] > 0).astype(np.int64))
        words = "train classify --data d.npz --model mlp --net.hidden 8192 --batch-size 768 --steps 3 --threads 1"

        line = [sys.executable, "-c", REAL_SHORTAGE, *words.split()]
        done = subprocess.run(line, capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["6", "0"], done.stderr
        stopped = (
            r"penstock: step \d: out of memory on a batch of 768 examples; train with --batch-size 384, or with --"
        )
        assert re.search(stopped, done.stderr)
        assert len(Checkpoints(here / "runs/classify/stopped/checkpoints").names()) == 1
        assert "out of memory on a batch of 768 examples; from here on a batch is computed in 2 parts" in done.stderr
        assert json.loads((here / "runs/classify/on/summary.json").read_text())["parts"] in (2, 4, 8)


PLACES = {
    "first step": ("penstock.engine.stepper:Stepper", "step", 1),
    "step": ("penstock.engine.stepper:Stepper", "step", 5),
    "evaluation": ("penstock.engine.engine:Engine", "evaluate", 1),
    "evaluation of a part": ("penstock.objectives.supervised:Classification", "collect", 2),
    "metrics file": ("penstock.run.progress:MetricsFile", "measured", 2),
    "last checkpoint": ("penstock.engine.checkpoint:Checkpoints", "save", 1),
    "new folder": ("penstock.run.execute", "new_folder", 1),
    "test": ("penstock.engine.engine:Engine", "evaluate", 3),
    "model": ("penstock.recipes.trained:Trained", "save", 1),
    "report": ("penstock.run.finish", "build_report", 1),
}
STOPS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


class TestSignals:
    """Line 20, in processes of their own."""

    SETTINGS = (
        "--target animal --steps 10 --batch-size 8 --net.hidden 8 --threads 1 --log-every 3 --evaluate-every 0.8"
        " --name run"
    )

    @pytest.fixture(scope="class")
    @classmethod
    def line(cls, tmp_path_factory: pytest.TempPathFactory, table: Writer) -> list[str]:
        path = table(tmp_path_factory.mktemp("data") / "t.csv")
        return ["train", "classify", "--data", str(path), *cls.SETTINGS.split()]

    @pytest.fixture(scope="class")
    @classmethod
    def whole(cls, line: list[str], processes: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp("whole")
        outcome = processes.run(folder, line)
        assert outcome.code == 0, outcome.err
        return folder / "runs" / "classify" / "run"

    def resumed(self, processes: Any, folder: Path, whole: Path, same_runs: Command) -> None:
        outcome = processes.run(folder, ["resume", "run"])
        assert outcome.code == 0, outcome.err
        same_runs(whole, folder / "runs" / "classify" / "run")

    @pytest.mark.parametrize("place", PLACES)
    def test_saved_and_resumed(
        self, place: str, line: list[str], processes: Any, whole: Path, tmp_path: Path, same_runs: Command
    ) -> None:
        number, code = STOPS[list(PLACES).index(place) % 2]
        outcome = processes.run(tmp_path, line, [(*PLACES[place], number)])
        outcome.refused(code, "stopped by a signal", "penstock resume runs/classify/run", alone=False)
        assert Checkpoints(tmp_path / "runs/classify/run/checkpoints").names()
        assert not list(tmp_path.rglob("*.part"))
        self.resumed(processes, tmp_path, whole, same_runs)

    @pytest.mark.parametrize(("number", "code"), STOPS)
    def test_while_loading_nothing_is_left(
        self, number: int, code: int, line: list[str], processes: Any, tmp_path: Path
    ) -> None:
        moment = ("penstock.kinds.table:TableMaterial", "fit", 1, number)
        processes.run(tmp_path, line, [moment]).refused(code, "start again")
        assert not (tmp_path / "runs").exists()

    @pytest.mark.parametrize(("number", "code"), STOPS)
    def test_a_second_signal_leaves_at_once(
        self, number: int, code: int, line: list[str], processes: Any, tmp_path: Path
    ) -> None:
        moments = [(*PLACES["step"], number), (*PLACES["last checkpoint"], number)]
        outcome = processes.run(tmp_path, line, moments)
        assert outcome.code == code
        assert "penstock:" not in outcome.err
        assert Checkpoints(tmp_path / "runs/classify/run/checkpoints").names() == []

    def test_at_random_moments(
        self,
        line: list[str],
        processes: Any,
        whole: Path,
        tmp_path: Path,
        same_runs: Command,
        moments_of_chance: Callable[[int, float], list[float]],
    ) -> None:
        began = time.perf_counter()
        outcome = processes.run(tmp_path, [*line[:-1], "timing"])
        longest = time.perf_counter() - began
        for turn, moment in enumerate(moments_of_chance(12, 1.1 * longest)):
            number, code = STOPS[turn % 2]
            folder = tmp_path / str(turn)
            folder.mkdir()
            outcome = processes.run(folder, line, after=(moment, number))
            assert outcome.code in (0, code, -number), outcome.err  # -number: before the program had begun
            assert "internal error" not in outcome.err
            if (folder / "runs").exists():
                self.resumed(processes, folder, whole, same_runs)

    def test_again_and_again(
        self, line: list[str], processes: Any, whole: Path, tmp_path: Path, same_runs: Command
    ) -> None:
        steps = [(*PLACES["step"][:2], call, signal.SIGTERM) for call in (3, 2, 4)]
        lines = [line, ["resume", "run"], ["resume", "run"]]
        reached = []
        for words, moment in zip(lines, steps, strict=True):
            processes.run(tmp_path, words, [moment]).refused(143, alone=False)
            reached.append(Checkpoints(tmp_path / "runs/classify/run/checkpoints").names()[-1])
        assert reached == ["step-000000003", "step-000000005", "step-000000009"]
        self.resumed(processes, tmp_path, whole, same_runs)

    def test_the_command_itself(self, tmp_path: Path) -> None:
        words = "train classify --epochs 10000 --threads 1 --net.widths 4 --log-every 1 --name run"
        start = "from penstock.cli.main import main; main()"
        with subprocess.Popen(
            [sys.executable, "-c", start, *words.split()], cwd=tmp_path, stderr=subprocess.PIPE, text=True
        ) as process:
            rows = tmp_path / "runs/classify/run/metrics.jsonl"
            while process.poll() is None and not (rows.exists() and rows.stat().st_size > 1000):
                time.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            sent = time.perf_counter()
            _, errors = process.communicate(timeout=30)
            took = time.perf_counter() - sent
        assert process.returncode == 143
        assert "stopped by a signal" in errors.splitlines()[-1]
        assert "Traceback" not in errors
        assert took < 10
        steps = [json.loads(line)["step"] for line in rows.read_text().splitlines() if '"train"' in line]
        assert all(b - a == 1 for a, b in pairwise(steps))
        assert Checkpoints(tmp_path / "runs/classify/run/checkpoints").names()[-1] == f"step-{steps[-1]:09d}"


class TestRanks:
    """Line 22, and what else can happen where `torchrun` starts several processes."""

    STEP = ("penstock.engine.stepper:Stepper", "step")
    WORDS = "--steps 7 --log-every 3 --threads 1 --checkpoint-every 0 --name run"

    @classmethod
    def line(cls, task: str, table: Writer, folder: Path, more: str = "") -> list[str]:
        data = ["--data", str(table(folder / "t.csv")), "--target", COLUMN[task]]
        return ["train", task, *data, *cls.WORDS.split(), "--batch-size", "8", "--net.hidden", "8", *more.split()]

    @every_case
    def test_a_rank_is_killed_and_the_run_goes_on(
        self, task: str, data: str, rank_processes: Any, here: Path, words_for: Words, same_runs: Command
    ) -> None:
        words = words_for(task, data, here)
        whole = rank_processes.run(here, [*words, "--name", "whole"])
        assert whole.codes == [0, 0], whole.errors
        assert whole.errors[1] == ""
        by_default = ("classify", "generate", "selfplay")
        normalised = data == "pictures" or (data == "default" and task in by_default)
        assert whole.errors[0].count("look: batch normalisation couples the examples") == normalised
        runs = here / "runs" / task
        rows = [json.loads(row) for row in (runs / "whole/metrics.jsonl").read_text().splitlines()]
        assert [row["step"] for row in rows if row["split"] == "train"] == [3, 6, 7]
        _, tensors, state, _ = Checkpoints(runs / "whole/checkpoints").newest()
        assert state["source"] == state["others"][0]["source"]
        assert not torch.equal(tensors["random/torch"], tensors["random.1/torch"])  # each draws numbers of its own
        victim = CASES.index((task, data)) % 2
        ended = rank_processes.run(
            here,
            [*words, "--checkpoint-every", "0", "--name", "part"],
            moments={victim: [(*self.STEP, 4, signal.SIGKILL)]},
        )
        assert (ended.codes[victim], ended.codes[1 - victim]) == (-signal.SIGKILL, 7), ended.errors
        assert ended.seconds < 30
        (told,) = ended.told()
        assert "another process of this run has gone" in told
        assert Checkpoints(runs / "part/checkpoints").names()[-1] == "step-000000003"
        again = rank_processes.run(here, ["resume", "part"])
        assert again.codes == [0, 0], again.errors
        same_runs(runs / "whole", runs / "part")

    @pytest.fixture(scope="class")
    @classmethod
    def whole(cls, rank_processes: Any, table: Writer, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
        """A command line, and the run that it makes on two ranks."""
        folder = tmp_path_factory.mktemp("ranks")
        line = cls.line("classify", table, folder)
        ended = rank_processes.run(folder, line)
        assert ended.codes == [0, 0], ended.errors
        return line, folder / "runs/classify/run"

    @pytest.mark.parametrize(("to", "number", "code"), [([0], *STOPS[0]), ([1], *STOPS[1]), ([0, 1], *STOPS[1])])
    def test_a_signal_to_some_or_all(
        self, to: list[int], number: int, code: int, whole: Any, rank_processes: Any, here: Path, same_runs: Command
    ) -> None:
        line, reference = whole
        moments = {rank: [(*self.STEP, 4 + rank % 2, number)] for rank in to}
        ended = rank_processes.run(here, line, moments=moments)
        assert ended.codes == [code, code], ended.errors
        (told,) = ended.told()
        assert "stopped by a signal; go on with: torchrun --nproc-per-node 2 -m penstock resume runs" in told
        run = here / "runs/classify/run"
        assert Checkpoints(run / "checkpoints").names()[-1] in ("step-000000004", "step-000000005")
        assert rank_processes.run(here, ["resume", "run"]).codes == [0, 0]
        same_runs(reference, run)

    def test_at_random_moments(
        self,
        whole: Any,
        rank_processes: Any,
        here: Path,
        same_runs: Command,
        moments_of_chance: Callable[[int, float], list[float]],
    ) -> None:
        line, reference = whole
        began = time.perf_counter()
        assert rank_processes.run(here, line).codes == [0, 0]
        longest = time.perf_counter() - began
        for turn, moment in enumerate(moments_of_chance(4, longest)):
            folder, number = here / str(turn), (signal.SIGKILL, signal.SIGTERM)[turn % 2]
            folder.mkdir()
            ended = rank_processes.run(folder, line, after=(moment, [[0], [1], [0, 1]][turn % 3], number))
            assert set(ended.codes) <= {0, 7, 143, -number, -signal.SIGTERM}, ended.errors
            assert len(ended.told()) <= 1, ended.errors
            assert ended.seconds < 30
            if (folder / "runs/classify/run/data.json").exists():
                again = rank_processes.run(folder, ["resume", "run"])
                assert again.codes == [0, 0], again.errors
                same_runs(reference, folder / "runs/classify/run")

    @pytest.mark.parametrize(
        ("more", "code", "text"),
        [
            ("--lerning-rate 3", 2, "did you mean '--optim.lr'?"),
            ("--data nowhere.csv", 3, "nowhere.csv"),
            ("--name taken", 2, "exists already"),  # only the first rank sees it
            ("--device cuda:1", 2, "cannot be shared by 2 processes"),
            ("--optim.name sgd --optim.lr 1e30 --optim.warmup 0 --steps 99", 5, "step"),
        ],
    )
    def test_an_error_is_said_once(
        self, more: str, code: int, text: str, rank_processes: Any, here: Path, table: Writer
    ) -> None:
        (here / "runs/classify/taken").mkdir(parents=True)
        (here / "runs/classify/taken/recipe.json").write_text("{}")
        ended = rank_processes.run(here, self.line("classify", table, here, more))
        assert ended.codes == [code, code], ended.errors
        (told,) = ended.told()
        assert text in told
        assert ended.seconds < 30

    def test_what_only_the_first_one_sees(self, whole: Any, rank_processes: Any, here: Path) -> None:
        run = here / "runs/classify/run"
        shutil.copytree(whole[1], run)
        (run / "metrics.jsonl").write_text("")
        ended = rank_processes.run(here, ["resume", "run"])
        assert ended.codes == [4, 4], ended.errors
        (told,) = ended.told()
        assert "it has 0 rows" in told

    def test_the_number_of_processes_may_change(
        self, rank_processes: Any, penstock: Command, here: Path, table: Writer
    ) -> None:
        line = self.line("regress", table, here)
        assert rank_processes.run(here, line, moments={0: [(*self.STEP, 4, signal.SIGTERM)]}).codes == [143, 143]
        outcome = penstock("resume run")
        assert outcome.code == 0, outcome.err
        assert "2 processes wrote this checkpoint, 1 go on: not bit for bit the same run" in outcome.err

    def test_other_verbs_are_for_one(self, rank_processes: Any, penstock: Command, here: Path, table: Writer) -> None:
        assert rank_processes.run(here, ["train", "nonsense"]).codes == [2, 2]
        ended = rank_processes.run(here, ["evaluate", "nothing"])
        assert sorted(ended.codes) in ([0, 2], [-signal.SIGTERM, 2])  # one that is slow to start is ended
        assert len(ended.told()) == 1

    def test_torchrun_itself(self, here: Path, table: Writer) -> None:
        """Stopped by SIGTERM, gone on, one rank killed."""
        start = [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node",
            "2",
            "-m",
            "penstock",
        ]
        line = self.line("classify", table, here, "--steps 1000000 --checkpoint-every 0.5")
        run = here / "runs/classify/run"
        saved = Checkpoints(run / "checkpoints")

        def started(words: list[str], event: Callable[[int], None]) -> tuple[int, str]:
            before = saved.names()[-1:]
            with subprocess.Popen([*start, *words], stderr=subprocess.PIPE, text=True) as process:
                while process.poll() is None and saved.names()[-1:] == before:
                    time.sleep(0.05)
                event(process.pid)
                _, errors = process.communicate(timeout=60)
            return process.returncode, errors

        _, errors = started(line, lambda pid: os.kill(pid, signal.SIGTERM))
        assert errors.count("penstock: ") == 1
        assert "stopped by a signal; go on with: torchrun" in errors
        rows = [json.loads(row) for row in (run / "metrics.jsonl").read_text().splitlines()]
        assert 0 <= int(saved.names()[-1][5:]) - rows[-1]["step"] < 3
        code, errors = started(["resume", "run"], lambda pid: os.kill(ranks_of(pid)[1], signal.SIGKILL))
        assert code != 0
        assert errors.count("penstock: ") == 1
        assert "another process of this run has gone" in errors


def ranks_of(torchrun: int) -> list[int]:
    """The processes that `torchrun` has started."""
    return sorted(int(pid) for pid in Path(f"/proc/{torchrun}/task/{torchrun}/children").read_text().split())


STEP = ("penstock.engine.stepper:Stepper", "step")


def flip_bit(path: Path, bit: int) -> None:
    damaged = bytearray(path.read_bytes())
    damaged[bit // 8] ^= 1 << bit % 8
    path.write_bytes(damaged)


def change_manifest(folder: Path, **changes: Any) -> None:
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    (folder / MANIFEST).write_text(json.dumps(manifest | changes, indent=1) + "\n", encoding="utf-8")


class TestFiles:
    """Lines 23 to 28. A case is a whole run, and a like one that was killed in its sixth step; tests work on copies."""

    SETTINGS = (
        "--steps 10 --batch-size 8 --threads 1 --log-every 3 --evaluate-every 0.8 --checkpoint-every 0 --name run"
    )
    OWN: ClassVar = {
        "language": "--net.dropout 0.3 --context 8 --net.width 16 --evaluate-every 0.1 --split.validation 0.3",
        "reconstruct": "--method denoising --net.hidden 8",
        "generate": "--model dense --net.hidden 4 --net.code 3 --measure.examiner pixels --measure.test 4",
        "selfplay": "--play.games 2 --play.moves 4 --play.capacity 20 --search.simulations 2 --net.width 2"
        " --net.layers 1 --measure.validation 2 --measure.test 2",
        "control": "--environments 2 --rollout.steps 8 --net.hidden 3 --evaluate-every 0.1 --measure.validation 1",
    }

    @pytest.fixture(scope="class", params=TASKS)
    @classmethod
    def case(
        cls,
        request: Any,
        processes: Any,
        tmp_path_factory: pytest.TempPathFactory,
        table: Writer,
        series: Writer,
        sounds: Writer,
        tagged: Writer,
        pairs: Writer,
        text: Writer,
        prices: Writer,
        pictures: Writer,
    ) -> tuple[str, list[str], Path]:
        task, place = request.param, tmp_path_factory.mktemp("case")
        words = ["train", task, *cls.SETTINGS.split(), *cls.OWN.get(task, "--net.dropout 0.3").split()]
        if task in LABELLED:
            words += ["--data", str(table(place / "t.csv")), "--target", COLUMN[task], "--net.hidden", "8"]
        elif task == "reconstruct":
            words += ["--data", str(table(place / "t.csv"))]
        elif task == "forecast":
            words += ["--data", str(series(place / "s.csv")), "--window.horizon", "3", "--net.width", "8"]
            words += ["--model", "gru"]  # oneDNN's LSTM takes half a second to start, in each of these processes
        elif task == "tag":
            words += ["--data", str(tagged(place / "t.conll")), "--net.width", "8"]
        elif task == "transcribe":
            small = "--model gru --net.width 4 --audio.bands 8"  # two checkpoints fit onto a small disk
            words += ["--data", str(sounds(place)), "--target", "said", *small.split()]
        elif task == "translate":
            words += ["--data", str(pairs(place / "对.tsv")), "--net.width", "8"]
        elif task == "generate":
            words += ["--data", str(pictures(place / "图片"))]
        elif task == "control":
            words += ["--data", str(prices(place / "价格.csv")), "--measure.test", "2"]
        elif task == "language":
            words += ["--data", str(text(place / "t.txt", 1200))]
        for name, moments, code in (("whole", [], 0), ("killed", [(*STEP, 6, signal.SIGKILL)], -signal.SIGKILL)):
            (place / name).mkdir()
            outcome = processes.run(place / name, words, moments)
            assert outcome.code == code, outcome.err
        return task, words, place

    @pytest.fixture
    def task(self, case: tuple[str, list[str], Path]) -> str:
        return case[0]

    @pytest.fixture
    def words(self, case: tuple[str, list[str], Path]) -> list[str]:
        return case[1]

    @pytest.fixture
    def whole(self, case: tuple[str, list[str], Path], here: Path) -> Path:
        """A copy of the whole run's folder, as `whole` in the folder of runs."""
        return Path(shutil.copytree(case[2] / "whole/runs" / case[0] / "run", f"runs/{case[0]}/whole"))

    @pytest.fixture
    def killed(self, case: tuple[str, list[str], Path], here: Path) -> Path:
        """A copy of the killed run's folder, as `run`."""
        return Path(shutil.copytree(case[2] / "killed/runs" / case[0] / "run", f"runs/{case[0]}/run"))

    @staticmethod
    def nothing_lies_about(folder: Path) -> None:
        assert not [path for path in folder.rglob(".*") if path.name.endswith((".part", ".old", ".lock"))]

    def goes_on(self, processes: Any, words: list[str], folder: Path) -> Any:
        """The next start after a kill: resume where there is a run, else the same again."""
        begun = (folder / "runs" / words[1] / "run/recipe.json").exists()
        outcome = processes.run(folder, ["resume", "run"] if begun else words)
        assert outcome.code == 0, outcome.err
        self.nothing_lies_about(folder)
        return outcome

    @pytest.mark.parametrize("n", [1, 3, 4, 6, 8, 9, 12, 13, 21, 47, 83, 224])
    def test_killed_at_a_change_of_the_file_system(
        self,
        n: int,
        task: str,
        words: list[str],
        whole: Path,
        processes: Any,
        fast_folder: Path,
        same_runs: Command,
    ) -> None:
        """See also tests/engine/test_kills.py, where it is at every one."""
        assert processes.run(fast_folder, words, deadly=n).code == -signal.SIGKILL
        self.goes_on(processes, words, fast_folder)
        same_runs(whole, fast_folder / "runs" / task / "run")

    def test_killed_again_and_again(
        self,
        task: str,
        words: list[str],
        whole: Path,
        processes: Any,
        fast_folder: Path,
        same_runs: Command,
        moments_of_chance: Callable[[int, float], list[float]],
    ) -> None:
        for moment in moments_of_chance(10, 0.25):
            begun = (fast_folder / "runs" / task / "run/recipe.json").exists()
            line = ["resume", "run"] if begun else words
            outcome = processes.run(fast_folder, line, after=(moment, signal.SIGKILL))
            assert outcome.code in (0, -signal.SIGKILL), outcome.err
        self.goes_on(processes, words, fast_folder)
        same_runs(whole, fast_folder / "runs" / task / "run")

    def test_killed_before_the_first_checkpoint(
        self, task: str, words: list[str], whole: Path, processes: Any, tmp_path: Path, same_runs: Command
    ) -> None:
        """But after two rows of metrics."""
        words = [*words, "--checkpoint-every", "60"]
        processes.run(tmp_path, words, [(*STEP, 8, signal.SIGKILL)])
        run = tmp_path / "runs" / task / "run"
        assert len((run / "metrics.jsonl").read_text().splitlines()) >= 2
        assert "nothing had been saved yet: starting from the beginning" in self.goes_on(processes, words, tmp_path).err
        same_runs(whole, run)

    @pytest.mark.usefixtures("no_report")
    def test_a_full_disk(
        self,
        task: str,
        words: list[str],
        whole: Path,
        penstock: Command,
        small_disk: Path,
        same_runs: Command,
    ) -> None:
        """With more room each time; what had been saved until then is gone on with."""
        refused, runs = 0, small_disk / "runs"
        for room in (0, 4, 12, 24, 32, 44, 60, 72):
            free = shutil.disk_usage(small_disk).free
            (small_disk / "ballast").write_bytes(bytes(free - 1024 * room))
            outcome = penstock("", *words, "--runs", runs)
            (small_disk / "ballast").unlink()
            self.nothing_lies_about(small_disk)
            if outcome.code:
                outcome.refused(6, "No space left on device", "bytes needed", "free", "make room", alone=False)
                refused += 1
            if (runs / task / "run" / "recipe.json").exists():
                assert penstock(f"resume run --runs {runs}").code == 0
            else:
                assert not (runs / task / "run").exists()
                assert penstock("", *words, "--runs", runs).code == 0
            same_runs(whole, runs / task / "run")
            shutil.rmtree(runs)
        assert refused >= 4

    @pytest.mark.parametrize("limit", [0, 100, 900, 3000, 9000])
    def test_a_file_that_may_not_grow(
        self, limit: int, task: str, words: list[str], whole: Path, penstock: Command, same_runs: Command, request: Any
    ) -> None:
        """Cut off at a byte: the data's facts, the recipe, the metrics, a checkpoint, the report."""
        with request.getfixturevalue("largest_file")(limit):
            outcome = penstock("", *words)
        outcome.refused(6, "File too large", "bytes needed", "free", alone=False)
        run = whole.with_name("run")
        self.nothing_lies_about(run.parent)
        if not (run / "recipe.json").exists():
            assert not run.exists()
            return
        rows = (run / "metrics.jsonl").read_bytes() if (run / "metrics.jsonl").exists() else b""
        assert (whole / "metrics.jsonl").read_bytes().startswith(rows)
        assert rows.endswith(b"\n") or not rows
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("penstock.run.finish.build_report", lambda folder: folder)
            assert penstock("resume run").code == 0
        same_runs(whole, run)

    def test_a_folder_that_cannot_be_written(
        self, task: str, words: list[str], whole: Path, killed: Path, penstock: Command, read_only: Command
    ) -> None:
        """What only reads still works."""
        before = contents(killed.parent)
        with read_only(killed.parent):
            for line in ("resume run", "report whole", "resume whole"):
                penstock(line).refused(6, "Read-only file system", "bytes needed", "free", alone=False)
            penstock("", *words, "--name", "new").refused(6, "Read-only file system", alone=False)
            assert penstock("evaluate whole").code == 0
            if task in LABELLED:
                data = words[words.index("--data") + 1]
                assert penstock("predict whole", data).code == 0
                told = penstock("predict whole", data, "--output", killed.parent / "p.csv").refused(6, "p.csv")
                assert "Read-only" in told
        assert contents(killed.parent) == before

    @pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="no /dev/full here")
    def test_output_into_a_full_device(
        self, whole: Path, words: list[str], task: str, penstock: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if task not in LABELLED:
            return
        data = words[words.index("--data") + 1]
        penstock("predict whole", data, "--output", "/dev/full").refused(6, "/dev/full", "No space left on device")
        assert Path("/dev/full").is_char_device()
        with open("/dev/full", "w") as full:
            monkeypatch.setattr("sys.stdout", full)
            outcome = penstock("predict whole", data)
        outcome.refused(6, "no space left")

    @pytest.mark.usefixtures("no_report")
    @pytest.mark.parametrize("file", ["tensors.safetensors", "state.json", "manifest.json"])
    def test_a_damaged_checkpoint(
        self, file: str, words: list[str], whole: Path, killed: Path, penstock: Command, same_runs: Command
    ) -> None:
        """500 bits and 100 truncations are in tests/engine/test_damage.py."""
        (killed / ".lock").unlink()  # which the next start would take away
        older, newest = Checkpoints(killed / "checkpoints").names()
        path = killed / "checkpoints" / newest / file
        flip_bit(path, random.Random(file).randrange(8 * path.stat().st_size))
        before = contents(killed)
        penstock(f"resume run --checkpoint {newest}").refused(4, newest, "resume from another", alone=False)
        assert contents(killed) == before
        outcome = penstock("resume run")
        assert outcome.code == 0, outcome.err
        assert newest in next(line for line in outcome.err.splitlines() if "skipped a damaged" in line)
        assert f"resuming from {older}" in outcome.err
        same_runs(whole, killed)

    @pytest.mark.usefixtures("no_report")
    def test_without_a_sound_checkpoint(self, whole: Path, killed: Path, penstock: Command) -> None:
        for name in Checkpoints(killed / "checkpoints").names():
            (killed / "checkpoints" / name / "state.json").unlink()
        penstock("resume run").refused(4, "none of 2 verifies", "state.json", "this file is missing", alone=False)
        penstock("resume run --checkpoint step-1").refused(4, "no such checkpoint", "step-000000", alone=False)

    @pytest.mark.usefixtures("no_report")
    def test_rows_that_a_checkpoint_knows_are_gone(
        self, whole: Path, killed: Path, penstock: Command, same_runs: Command, processes: Any, here: Path
    ) -> None:
        """Killed after an older checkpoint was resumed by name, or cut off by a power cut: an older one will do."""
        older, newest = Checkpoints(killed / "checkpoints").names()
        known = [json.loads((killed / "checkpoints" / n / "state.json").read_text())["rows"] for n in (older, newest)]
        lines = (killed / "metrics.jsonl").read_bytes().splitlines(keepends=True)
        assert known[0] < known[1] or pytest.skip("no row between the two")
        (killed / "metrics.jsonl").write_bytes(b"".join(lines[: known[0]]) + b'{"split"')
        penstock(f"resume run --checkpoint {newest}").refused(4, "metrics.jsonl", f"{known[1]}", alone=False)
        outcome = penstock("resume run")
        assert f"resuming from {older}" in outcome.err
        same_runs(whole, killed)

    def test_what_the_dead_left_goes_at_the_next_start(self, killed: Path, processes: Any, here: Path) -> None:
        """Not only at the next save; what a living process is writing there stays."""
        dead = subprocess.Popen(["true"])
        dead.wait()
        for place in (killed, killed / "checkpoints"):
            (place / f".step-000000009.{dead.pid}.part").mkdir()
            (place / f".report.html.{dead.pid}.part").write_text("half")
            (place / f".report.html.{os.getpid()}.part").write_text("half")
        processes.run(here, ["resume", "run", "--checkpoint", "step-1"]).refused(4, "no such checkpoint", alone=False)
        left = [path.name for path in killed.rglob(".*")]
        assert left == [f".report.html.{os.getpid()}.part"] * 2

    def test_a_damaged_model(self, task: str, words: list[str], whole: Path, penstock: Command) -> None:
        """Every file but the card, which people may write in."""
        chance = random.Random(0)
        lines = ["evaluate whole"]
        if task in LABELLED:
            lines.append(f"predict whole {words[words.index('--data') + 1]}")
        (whole / "model" / "README.md").write_text("mine", encoding="utf-8")
        for name in ("weights.safetensors", "config.json", "manifest.json"):
            path = whole / "model" / name
            sound = path.read_bytes()
            damages = [b"", sound[:-1], sound[: len(sound) // 2], sound + b" ", None]
            for _ in range(10):
                flip_bit(path, chance.randrange(8 * len(sound)))
                damages.append(path.read_bytes())
                path.write_bytes(sound)
            for turn, damage in enumerate(damages):
                path.unlink() if damage is None else path.write_bytes(damage)
                told = penstock(lines[turn % len(lines)]).refused(4)
                assert str(path) in told or (name == "manifest.json" and str(whole / "model") in told)
                path.write_bytes(sound)
        assert [penstock(line).code for line in lines] == [0] * len(lines)

    @pytest.mark.usefixtures("no_report")
    def test_what_does_not_fit(self, task: str, whole: Path, killed: Path, penstock: Command) -> None:
        """Line 26, under manifests that agree: a missing key, another shape, another type, a newer format."""
        checkpoints = killed / "checkpoints"
        older, newest = Checkpoints(checkpoints).names()
        shutil.rmtree(checkpoints / older)
        saved = (checkpoints / newest, "tensors.safetensors", ("tensors.safetensors", "state.json"), {"step": 5})
        optimizer = next(key for key in load_tensors(checkpoints / newest / saved[1]) if key.startswith("optimizer."))
        sets = [(group, *saved) for group in ("objective/", "best/", optimizer.partition("/")[0] + "/")]
        sets += [("", whole / "model", "weights.safetensors", ("weights.safetensors", "config.json"), {})]
        assert newest == "step-000000005"
        for group, folder, name, files, facts in sets:
            line = "resume run" if facts else "evaluate whole"
            form = json.loads((folder / MANIFEST).read_text())["format"]
            sound = load_tensors(folder / name)
            key = next(key for key, value in sound.items() if key.startswith(group) and value.is_floating_point())
            short = key.removeprefix(group)
            value = sound[key]
            shape = f"{tuple(value.shape)} float32"
            for other, texts in (
                ({}, [f"'{short}' is missing"]),
                ({key: torch.zeros(3, 4, 5)}, [f"'{short}' is (3, 4, 5) float32 in the file, {shape} in the model"]),
                ({key: value.double()}, [f"'{short}' is {shape[:-2]}64 in the file, {shape} in the model"]),
                ({key: value, f"{key}x": value}, [f"'{short}x' has no place"]),
            ):
                save_tensors(folder / name, {k: v for k, v in sound.items() if k != key} | other)
                write_manifest(folder, files, form, **facts)
                penstock(line).refused(4, *texts, alone=False)
            save_tensors(folder / name, sound)
            write_manifest(folder, files, form, **facts)
            sound_manifest = (folder / MANIFEST).read_bytes()
            change_manifest(folder, format=form + 1)
            penstock(line).refused(4, f"its format is {form + 1}, this version reads {form}", alone=False)
            (folder / MANIFEST).write_bytes(sound_manifest)

    def test_hostile_files(
        self, task: str, words: list[str], whole: Path, killed: Path, penstock: Command, processes: Any, here: Path
    ) -> None:
        """Line 27. Nothing is run, nothing large is made, whatever the file is called."""
        pickled = b"cposix\nsystem\n(S'touch canary'\ntR."
        zipped = io.BytesIO()
        with zipfile.ZipFile(zipped, "w") as archive:
            archive.writestr("archive/data.pkl", pickled)
            archive.writestr("archive/version", "3")
        array = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
        array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(array) + 1) + array + b"\n" + pickled
        many = array.replace(b"'|O'", b"'<f8'").replace(b"(1,)", b"(9,)").replace(b"9,)", b"99999999999,)")
        many = many[:8] + struct.pack("<H", struct.unpack("<H", many[8:10])[0] + 11) + many[10:]
        tensors = struct.pack("<Q", 1 << 62) + b'{"a":' * 10_000
        hostile = {"a.pt": pickled, "b.pt": zipped.getvalue(), "c.pt2": zipped.getvalue(), "d.npy": array}
        hostile |= {"e.npy": many, "f.safetensors": tensors, "g.pkl": pickled, "h.npz": pickled}
        for name, content in hostile.items():
            (here / name).write_bytes(content)
            penstock(f"train {task} --data {name}").refused(3, name)
            penstock(f"evaluate whole --data {name}").refused(3, name)
            # to translate, any text is welcome, in a file of any name: .pt may be Portuguese; others predict nothing
            if task not in ("translate", "language", "control", "generate", "selfplay"):
                penstock("predict whole", name).refused(3, name)
            penstock(f"train {task} --recipe {name}").refused(2, name)
            penstock(f"evaluate {name}").refused(2, name)
            penstock(f"resume {name}").refused(2, name)
        peaks = [processes.run(here, ["evaluate", "whole"]).peak]
        for content in (pickled, zipped.getvalue(), array, tensors):
            (whole / "model" / "weights.safetensors").write_bytes(content)
            write_manifest(whole / "model", ("weights.safetensors", "config.json"), 2)
            outcome = processes.run(here, ["evaluate", "whole"])
            outcome.refused(4, "weights.safetensors", "not a sound safetensors file")
            peaks.append(outcome.peak)
            for name in Checkpoints(killed / "checkpoints").names():
                place = killed / "checkpoints" / name
                (place / "tensors.safetensors").write_bytes(content)
                write_manifest(place, ("tensors.safetensors", "state.json"), 1, step=int(name[5:]))
                told = penstock(f"resume run --checkpoint {name}")
                told.refused(4, "tensors.safetensors", "not a sound safetensors file", alone=False)
            penstock("resume run").refused(4, "none of 2 verifies", alone=False)
        assert max(peaks) < peaks[0] + 30e6
        assert not (here / "canary").exists()

    @pytest.mark.usefixtures("no_report")
    def test_a_second_process_on_the_same_run(
        self, task: str, words: list[str], whole: Path, killed: Path, penstock: Command, processes: Any, here: Path
    ) -> None:
        assert (killed / ".lock").exists()  # of the one that was killed: it holds nobody up
        with locked(killed), locked(whole):
            before = contents(killed)
            for line in (["resume", "run"], words):
                outcome = processes.run(here, line)
                told = outcome.refused(2, f"process {os.getpid()} is at work in it", alone=line[0] == "resume")
                assert f"runs/{task}/run" in told
            assert contents(killed) == before
            for line in ("evaluate whole", "report whole", "report run", "runs"):
                assert penstock(line).code == 0
        assert penstock("resume run").code == 0
        assert not (killed / ".lock").exists()
