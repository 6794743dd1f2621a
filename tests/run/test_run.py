from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from rich.console import Console
from torch import nn

import penstock as api
from penstock.core.errors import CheckpointError, DataError, Interrupted, RecipeError, ResourceError
from penstock.recipes.job import Supplied
from penstock.recipes.recipe import recipe_type
from penstock.run.folder import all_runs, find_run, new_folder
from penstock.run.show import number, show_facts
from penstock.run.signals import stopping

Writer = Callable[..., Path]
FAST: dict[str, Any] = {"quiet": True, "threads": 1, "steps": 4, "net.hidden": [8]}


def arrays(rows: int = 60) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(rows, 4)).astype(np.float32)
    return x, np.arange(rows) % 3


class TestFolders:
    def test_names(self, here: Path) -> None:
        runs = Path("runs")
        made = [new_folder(runs, "classify", None, "图片 (1)/a-cnn") for _ in range(3)]
        assert [folder.name for folder in made] == ["图片-1-a-cnn", "图片-1-a-cnn-2", "图片-1-a-cnn-3"]
        for _ in range(2):  # one who was killed before there was a recipe leaves the name free
            assert new_folder(runs, "classify", "试 验", "x").name == "试 验"
        (runs / "classify" / "试 验" / "recipe.json").write_text("{}")
        assert new_folder(runs, "classify", None, "///").name == "classify"
        assert len(new_folder(runs, "classify", None, "猫" * 300).name) == 60
        with pytest.raises(RecipeError, match=r"exists already; choose another name, or: penstock resume runs"):
            new_folder(runs, "classify", "试 验", "x")

    def test_a_file_where_the_folder_should_be(self, here: Path) -> None:
        Path("runs").write_text("")
        with pytest.raises(ResourceError, match="runs"):
            new_folder(Path("runs"), "classify", None, "x")

    def test_found_by_name_or_path(self, here: Path) -> None:
        for task in ("classify", "regress"):
            for name in ("a", task):
                folder = new_folder(Path("runs"), task, name, "x")
                (folder / "recipe.json").write_text("{}")
        assert find_run("regress") == Path("runs/regress/regress")
        assert find_run("classify/a") == Path("runs/classify/a") == find_run("runs/classify/a")
        assert len(all_runs(Path("runs"))) == 4
        with pytest.raises(RecipeError, match="names 2 runs"):
            find_run("a")
        with pytest.raises(RecipeError, match="did you mean 'classify'"):
            find_run("clasify")

    def test_a_taken_name_stays_as_it_was(self, here: Path) -> None:
        run = api.train("classify", data=arrays(), name="r", **FAST)
        before = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}
        with pytest.raises(RecipeError, match="exists already"):
            api.train("classify", data=arrays(), name="r", seed=1, **FAST)
        assert {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()} == before


class TestReload:
    def test_in_a_new_process_on_files_of_no_data_set(self, here: Path, table: Writer, pictures: Writer) -> None:
        table(here / "t.csv")
        pictures(here / "图片", ("猫", "狗"))
        rows = api.train("classify", data="t.csv", target="animal", name="rows", **FAST)
        seen = api.train("classify", data=Path("图片"), name="seen", **FAST)
        table(here / "new" / "u.csv", rows=7, seed=5)
        pictures(here / "new" / "p", ("猫",), each=5, size=11, seed=5)
        code = (
            "import json, penstock\n"
            "print(json.dumps([penstock.load('rows').predict('new/u.csv'), penstock.load('seen').predict('new/p')]))"
        )
        found = subprocess.run([sys.executable, "-c", code], cwd=here, capture_output=True, text=True, check=True)
        expected = [rows.predict("new/u.csv"), seen.predict(Path("new/p"))]
        assert [len(part) for part in expected] == [7, 5]
        for part, wanted in zip(json.loads(found.stdout), expected, strict=True):
            for said, row in zip(part, wanted, strict=True):
                assert (said["input"], said["prediction"]) == (row["input"], row["prediction"])
                assert said["probabilities"] == pytest.approx(row["probabilities"], rel=1e-5, abs=1e-6)

    def test_a_row_alone_is_as_in_a_batch(self, here: Path, table: Writer, listing: Writer) -> None:
        table(here / "t.csv")
        run = api.train("regress", data="t.csv", target="price", **FAST)
        frame = pd.read_csv("t.csv")
        together = run.predict("t.csv")
        for at in (0, 7, 59):
            (alone,) = run.predict(frame.iloc[at].to_dict())
            assert alone["prediction"] == pytest.approx(together[at]["prediction"], rel=1e-5, abs=1e-6)
        listed = listing(here / "listed")
        run = api.train("regress", data=listed, target="brightness", **FAST)
        files = sorted((here / "listed" / "pics").glob("*.png"))
        together = run.predict(files)
        for at in (0, 29):
            (alone,) = run.predict(files[at])
            assert alone["prediction"] == pytest.approx(together[at]["prediction"], rel=1e-5, abs=1e-6)

    def test_a_picture_in_any_form(self, here: Path, pictures: Writer) -> None:
        pictures(here / "p")
        run = api.train("classify", data="p", **FAST)
        file = here / "p" / "dog" / "2.png"
        pixels = np.asarray(Image.open(file))
        forms: list[Any] = [file, str(file), pixels, pixels.transpose(2, 0, 1), pixels[None], pixels / 255]
        forms += [Image.open(file), torch.from_numpy(pixels.copy())]
        said = [run.predict(form)[0]["probabilities"] for form in forms]
        assert all(row == pytest.approx(said[0], rel=1e-5, abs=1e-6) for row in said)
        with pytest.raises(DataError, match=r"shape"):
            run.predict(pixels[:4])

    def test_damage_is_told(self, here: Path) -> None:
        run = api.train("classify", data=arrays(), name="r", **FAST)
        for name in ("model/config.json", "model/weights.safetensors", "recipe.json"):
            path = run.folder / name
            whole = path.read_bytes()
            path.write_bytes(whole[: len(whole) // 2])
            with pytest.raises(CheckpointError, match=path.name.replace(".", r"\.")):
                api.load("r")
            path.write_bytes(whole)
        (run.folder / "model").rename(run.folder / "elsewhere")
        with pytest.raises(CheckpointError, match="penstock resume"):
            api.load("r")

    def test_evaluation_is_that_of_training(self, here: Path) -> None:
        """Dropout, averages of batch normalisation and the kept weights all count."""
        x, y = arrays(90)
        run = api.train("regress", data=(x, y * 0.3), criterion="mae", name="r", **FAST | {"net.dropout": 0.5})
        saved = json.loads((run.folder / "evaluation.json").read_text())["metrics"]
        assert run.evaluate() == pytest.approx(saved, rel=1e-6)
        said = run.predict(pd.DataFrame(x, columns=["x0", "x1", "x2", "x3"]))
        prediction = np.array([row["prediction"] for row in said])
        everything = run.evaluate((x, y * 0.3))
        assert everything["mae"] == pytest.approx(np.abs(prediction - y * 0.3).mean(), rel=1e-5)
        again = run.evaluate((x, y * 0.3))
        assert again == everything

    def test_data_that_have_changed(self, here: Path, table: Writer, pictures: Writer) -> None:
        table(here / "t.csv")
        run = api.train("classify", data="t.csv", target="animal", **FAST)
        table(here / "t.csv", seed=1)
        with pytest.raises(DataError, match=r"t\.csv: the data have changed"):
            run.evaluate()
        pictures(here / "p")
        run = api.train("classify", data="p", **FAST)
        run.evaluate()
        pictures(here / "p", seed=1)
        with pytest.raises(DataError, match="changed"):
            run.evaluate()

    def test_a_row_moved_to_another_split(self, here: Path, table: Writer) -> None:
        lines = table(here / "t.csv").read_text(encoding="utf-8").splitlines(keepends=True)
        (here / "d").mkdir()

        def divide(at: int) -> None:
            (here / "d" / "train.csv").write_text("".join(lines[:at]), encoding="utf-8")
            (here / "d" / "test.csv").write_text(lines[0] + "".join(lines[at:]), encoding="utf-8")

        divide(40)
        run = api.train("classify", data="d", target="animal", **FAST)
        run.evaluate()
        divide(41)
        with pytest.raises(DataError, match="changed"):
            run.evaluate()


class Own(nn.Module):
    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.hidden, self.norm, self.drop = nn.Linear(4, width), nn.BatchNorm1d(width), nn.Dropout(0.4)
        self.out = nn.Linear(width, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.out(self.drop(torch.relu(self.norm(self.hidden(x)))))
        return out


class TestFromPython:
    def test_a_module_of_ones_own(self, here: Path) -> None:
        x, y = arrays()
        model = Own()
        run = api.train("classify", data=(x, y), model=model, name="own", batch_size=8, quiet=True, steps=4)
        assert run.model is model
        assert run.summary["model"] == "Own"
        with pytest.raises(CheckpointError, match="model=m"):
            api.load("own")
        with pytest.raises(CheckpointError, match="hidden"):
            api.load("own", Own(7))
        rows = pd.DataFrame(x[:5], columns=["x0", "x1", "x2", "x3"])
        assert api.load("own", Own()).predict(rows) == run.predict(rows)
        named = recipe_type("classify").parse({"model": "mlp", "data": "tuple"})
        with pytest.raises(RecipeError, match="both a name and a module"):
            named.build(Supplied((x, y), Own()))

    def test_stopped_and_resumed(
        self, here: Path, same_runs: Callable[..., None], signalled: Callable[..., None]
    ) -> None:
        x, y = arrays()

        def train(name: str) -> api.Run:
            torch.manual_seed(0)
            return api.train("classify", data=(x, y), model=Own(), name=name, batch_size=8, quiet=True, steps=9)

        train("whole")
        signalled(nn.BatchNorm1d, "forward", 8, signal.SIGINT)
        with pytest.raises(Interrupted, match="penstock resume"):
            train("part")
        resumed = api.resume("part", data=(x, y), model=Own(), quiet=True)
        same_runs(here / "runs/classify/whole", resumed.folder)
        with pytest.raises(DataError, match="changed"):
            api.resume("part", data=(x + 1, y), model=Own(), quiet=True)

    def test_frames_and_arrays_are_the_same_data(self, here: Path) -> None:
        x, y = arrays()
        frame = pd.DataFrame(x, columns=["x0", "x1", "x2", "x3"]).assign(y=y)
        runs = [
            api.train("classify", data=(x, y), **FAST),
            api.train("classify", data=[x.tolist(), y.tolist()], **FAST),
            api.train("classify", data={"x": torch.from_numpy(x), "y": torch.from_numpy(y)}, **FAST),
            api.train("classify", data=frame, target="y", **FAST),
        ]
        rows = [(run.folder / "metrics.jsonl").read_text() for run in runs]
        assert rows[0] == rows[2] == rows[3]
        assert len(set(rows)) <= 2  # lists hold float64

    def test_in_a_thread(self, here: Path) -> None:
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        found: list[Any] = []

        def work() -> None:
            run = api.train("classify", data=arrays(), name="r", **FAST)
            found.append(run.predict({"x0": 0, "x1": 0, "x2": 0, "x3": 0}))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert len(found[0]) == 1
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before

    def test_settings_in_both_forms(self, here: Path) -> None:
        one = api.train("classify", data=arrays(), optim={"lr": 0.01, "name": "sgd"}, **FAST)
        two = api.train("classify", data=arrays(), **FAST, **{"optim.lr": 0.01, "optim.name": "sgd"})
        assert (one.folder / "metrics.jsonl").read_text() == (two.folder / "metrics.jsonl").read_text()
        with pytest.raises(RecipeError, match="did you mean 'epochs'"):
            api.train("classify", epoch=3)

    def test_a_report_in_any_alphabet(self, here: Path) -> None:
        x, y = arrays()
        frame = pd.DataFrame(x, columns=["年龄", "身高", "体重", "尺寸"]).assign(动物=np.array(["猫", "狗", "鸟"])[y])
        run = api.train("classify", data=frame, target="动物", name="试验", **FAST)
        page = run.report().read_text(encoding="utf-8")
        for text in ("动物", "猫", "狗", "鸟", "试验", "年龄"):
            assert text in page
        assert run.predict({"年龄": 1, "身高": 2, "体重": 3, "尺寸": None})[0]["prediction"] in "猫狗鸟"


class TestShown:
    def test_the_table_before_training(self, here: Path) -> None:
        rng = np.random.default_rng(0)
        age = rng.normal(40, 9, 80).round(1)
        lines = ["年龄,city,same,tell,y"]
        for i in range(80):
            y = "dog" if age[i] < 40 else "猫"
            lines.append(f"{'' if i < 3 else age[i]},{'ab'[i % 2]},7,{'no' if y == 'dog' else 'yes'},{y}")
        (here / "t.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        run = api.train("classify", data="t.csv", target="y", **FAST)
        facts = json.loads((run.folder / "data.json").read_text(encoding="utf-8"))
        columns = {column["name"]: column for column in facts["columns"]}
        assert {name: column["kind"] for name, column in columns.items()} == {
            "年龄": "number",
            "city": "category",
            "same": "skip",
            "tell": "boolean",
        }
        assert (columns["年龄"]["missing"], columns["city"]["distinct"]) == (3, 2)
        assert sum(facts["splits"].values()) == 80 == facts["examples"]
        assert {row["name"] for row in facts["classes"]} == {"dog", "猫"}
        assert any("'tell'" in finding for finding in facts["suspicions"])
        assert any("'same'" in finding for finding in facts["suspicions"])
        screen = io.StringIO()
        show_facts(Console(file=screen, width=150), facts)
        shown = screen.getvalue()
        for text in ("年龄", "city", "skip", "80 examples", "dog", "猫", "look:", "to predict: y"):
            assert text in shown
        assert "[bold]" not in shown

    def test_names_are_not_markup(self, here: Path) -> None:
        x, y = arrays()
        frame = pd.DataFrame(x, columns=["[red]a", "[/]", "c", "d"]).assign(y=np.array(["[b]", "[/b]", "u"])[y])
        run = api.train("classify", data=frame, target="y", **FAST)
        screen = io.StringIO()
        show_facts(Console(file=screen, width=150), json.loads((run.folder / "data.json").read_text()))
        for text in ("[red]a", "[/]", "[b]", "[/b]"):
            assert text in screen.getvalue()

    def test_long_tables_are_cut(self) -> None:
        classes = [{"name": f"k{i}", "train": 1} for i in range(50)]
        target = {"name": "y", "kind": "category", "detail": "50 classes"}
        facts = {"name": "n", "examples": 50, "splits": {"train": 50}, "target": target, "classes": classes}
        screen = io.StringIO()
        show_facts(Console(file=screen, width=100), facts | {"suspicions": []})
        assert "... and 20 more" in screen.getvalue()

    @pytest.mark.parametrize(
        ("value", "text"),
        [(None, ""), (float("nan"), ""), (0.12345, "0.1235"), (-1.5, "-1.5000"), (12345.67, "12,345.7")],
    )
    def test_numbers(self, value: float | None, text: str) -> None:
        assert number(value) == text


class TestSignals:
    def test_the_first_asks_and_the_handlers_come_back(self) -> None:
        asked: list[int] = []
        before = signal.getsignal(signal.SIGTERM)
        with stopping(asked.append) as seen:
            os.kill(os.getpid(), signal.SIGTERM)
            assert asked == [signal.SIGTERM] == seen
        assert signal.getsignal(signal.SIGTERM) is before

    def test_the_second_leaves_at_once(self, tmp_path: Path) -> None:
        code = (
            "import os, signal\nfrom penstock.run.signals import stopping\n"
            "with stopping(lambda n: None):\n os.kill(os.getpid(), signal.SIGINT)\n"
            " os.kill(os.getpid(), signal.SIGTERM)"
        )
        assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path).returncode == 143

    def test_not_in_a_thread(self) -> None:
        before = signal.getsignal(signal.SIGINT)
        found: list[Any] = []

        def work() -> None:
            with stopping(lambda number: None) as asked:
                found.append((signal.getsignal(signal.SIGINT), asked))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert found == [(before, [])]
