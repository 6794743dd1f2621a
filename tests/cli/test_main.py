from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import penstock as package
from penstock.cli.main import VERBS
from penstock.recipes.recipe import TASKS

Command = Callable[..., Any]
Writer = Callable[..., Path]

FAST = "--threads 1 --steps 3 --net.hidden 8"


class TestHelp:
    @pytest.mark.parametrize("verb", VERBS)
    @pytest.mark.parametrize("flag", ["--help", "-h"])
    def test_every_verb_has_an_example(self, verb: str, flag: str, penstock: Command) -> None:
        outcome = penstock(f"{verb} {flag}")
        assert outcome.code == 0
        assert outcome.err == ""
        after = outcome.out.partition("examples:")[2]
        assert f"penstock {verb}" in after

    @pytest.mark.parametrize("task", TASKS)
    def test_every_task_lists_its_flags(self, task: str, penstock: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        for width in ("40", "200"):
            monkeypatch.setenv("COLUMNS", width)
            out = penstock(f"train {task} --help").out
            for text in (f"penstock train {task}", "--epochs NUMBER", "--optim.lr NUMBER", "learning rate", "--data"):
                assert text in out
            assert max(map(len, out.splitlines())) <= 140

    def test_help_needs_no_torch(self) -> None:
        import subprocess

        code = (
            "import sys; from penstock.cli.main import run; run(['train', 'classify', '--help']); run(['recipes']);"
            "sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0

    @pytest.mark.parametrize("line", ["", "--help", "-h", "help"])
    def test_overview(self, line: str, penstock: Command) -> None:
        outcome = penstock(line)
        assert outcome.code == 0
        assert all(verb in outcome.out for verb in VERBS)

    def test_version(self, penstock: Command) -> None:
        assert penstock("--version").out == f"penstock {package.__version__}\n"

    def test_recipes(self, penstock: Command) -> None:
        out = penstock("recipes").out
        assert all(f"penstock train {task}" in out for task in TASKS)


class TestMistakes:
    @pytest.mark.parametrize(
        ("line", "code", "text"),
        [
            ("trian", 2, "'train'"),
            ("xyz", 2, "choose one of: train"),
            ("train", 2, "which task"),
            ("train clasify", 2, "'classify'"),
            ("evaluate", 2, "usage: penstock evaluate RUN"),
            ("evaluate r --formt json", 2, "'--format'"),
            ("evaluate r --format yaml", 2, "'table'"),
            ("predict r", 2, "usage: penstock predict"),
            ("resume nothing", 2, "train one first"),
            ("report a b", 2, "without a flag"),
            ("data describe digts", 2, "'digits'"),
            ("data describe", 2, "describe which set?"),
            ("data download", 2, "download which set?"),
            ("data remove", 2, "'list'"),
            ("train --recipe", 2, "needs a file"),
            ("train --recipe=", 2, "needs a file"),
            ("train --recipe nothing.toml", 2, "nothing.toml"),
            ("train classify --data digts", 3, "'digits'"),
            ("train classify --data nothing/at.csv", 3, "nothing"),
            ("train classify --columns.agee number --data wine", 2, "agee"),
            ("train classify --columns.hue numbr --data wine", 2, "'number'"),
            ("train classify --net.hidden", 2, "--net.hidden"),
        ],
    )
    def test_one_line_says_what_to_do(self, line: str, code: int, text: str, penstock: Command, here: Path) -> None:
        penstock(line).refused(code, text)
        assert list(here.iterdir()) == []

    def test_debug_shows_where_and_keeps_the_exit_code(self, penstock: Command, here: Path) -> None:
        for line, code in (("trian --debug", 2), ("--debug train classify --data digts", 3)):
            outcome = penstock(line)
            assert outcome.code == code
            assert "Traceback" in outcome.err
            assert outcome.err.splitlines()[-1].startswith("penstock: ")

    def test_what_nobody_thought_of(self, penstock: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*args: object) -> None:
            raise ZeroDivisionError("一\n二")

        monkeypatch.setattr("penstock.cli.main._dispatch", broken)
        outcome = penstock("runs")
        assert outcome.code == 1
        assert outcome.err == (
            "penstock: internal error: ZeroDivisionError: 一 二; run again with --debug and report it\n"
        )
        shown = penstock("runs --debug")
        assert shown.code == 1
        assert "Traceback" in shown.err

    def test_the_nearest_run(self, penstock: Command, here: Path) -> None:
        assert penstock(f"train regress {FAST} --name houses").code == 0
        penstock("evaluate huoses").refused(2, "'houses'")
        (here / "folder").mkdir()
        penstock("evaluate folder").refused(2, "recipe.json")


class TestFlags:
    """What the flags become can be read in recipe.json."""

    def recipe(self, penstock: Command, here: Path, line: str, *words: object) -> dict[str, Any]:
        outcome = penstock(f"train regress {FAST} --name r", *line.split(), *words)
        assert outcome.code == 0, outcome.err
        found: dict[str, Any] = json.loads((here / "runs/regress/r/recipe.json").read_text(encoding="utf-8"))
        return found

    def test_every_form(self, penstock: Command, here: Path) -> None:
        line = (
            "--optim.lr=0.01 --no-fused --net.hidden 8,4 2 --weight_decay 0 --columns.age category --columns.sex=skip"
        )
        found = self.recipe(penstock, here, line)
        assert (found["optim"]["lr"], found["fused"], found["net"]["hidden"]) == (0.01, False, [8, 4, 2])
        assert found["optim"]["weight_decay"] == 0
        assert found["columns"] == {"age": "category", "sex": "skip"}
        assert found["data"] == "diabetes"
        facts = json.loads((here / "runs/regress/r/data.json").read_text(encoding="utf-8"))
        assert {c["name"]: c["kind"] for c in facts["columns"]} | {"age": "category", "sex": "skip"} == {
            c["name"]: c["kind"] for c in facts["columns"]
        }

    def test_flags_win_over_the_file(self, penstock: Command, here: Path) -> None:
        (here / "r.toml").write_text('task = "regress"\nsteps = 9\nseed = 5\n[optim]\nlr = 0.5\nname = "sgd"\n')
        outcome = penstock("train --recipe r.toml --optim.lr 0.001 --threads 1 --steps 2 --name a")
        assert outcome.code == 0, outcome.err
        found = json.loads((here / "runs/regress/a/recipe.json").read_text(encoding="utf-8"))
        assert (found["steps"], found["seed"], found["optim"]["lr"], found["optim"]["name"]) == (2, 5, 0.001, "sgd")
        penstock("train classify --recipe r.toml").refused(2, "r.toml", "'classify'")

    def test_a_run_can_be_made_again_from_its_record(self, penstock: Command, here: Path, same_runs: Command) -> None:
        self.recipe(penstock, here, "--net.dropout 0.2 --seed 3")
        command = json.loads((here / "runs/regress/r/summary.json").read_text(encoding="utf-8"))["command"]
        assert command.startswith("penstock train regress --recipe ")
        assert penstock(command.removeprefix("penstock ")).code == 0
        same_runs(here / "runs/regress/r", here / "runs/regress/r-again")

    def test_file_with_a_mistake_names_the_file(self, penstock: Command, here: Path) -> None:
        (here / "r.toml").write_text("[optim]\nlr = 'fast'\n")
        penstock("train regress --recipe r.toml").refused(2, "r.toml: optim.lr", "'fast'")
        (here / "r.toml").write_text("optim = 3\n")
        penstock("train regress --recipe r.toml").refused(2, "r.toml: optim", "3")


class TestRuns:
    def test_none_yet(self, penstock: Command) -> None:
        outcome = penstock("runs")
        assert outcome.code == 0
        assert "penstock train" in outcome.out

    def test_list_compare_and_damage(
        self, penstock: Command, here: Path, monkeypatch: pytest.MonkeyPatch, no_report: None
    ) -> None:
        monkeypatch.setenv("COLUMNS", "200")
        assert penstock(f"train regress {FAST} --name first").code == 0
        assert penstock(f"train regress {FAST} --name second --optim.lr 0.1").code == 0
        lines = penstock("runs").out.splitlines()
        assert [line.split()[0] for line in lines] == ["run", "regress/first", "regress/second"]
        assert all("finished" in line and "rmse" in line for line in lines[1:])
        compared = penstock("runs first second").out
        assert [line.split() for line in compared.splitlines() if "lr" in line] == [["--optim.lr", "0.002", "0.1"]]
        assert "--seed" not in compared
        (here / "runs/regress/first/summary.json").write_text("{")
        (here / "runs/regress/second/summary.json").unlink()
        lines = penstock("runs").out.splitlines()
        assert ["damaged" in lines[1], "unfinished" in lines[2]] == [True, True]

    def test_report_is_written_again(self, penstock: Command, here: Path) -> None:
        assert penstock(f"train regress {FAST} --name r").code == 0
        page = here / "runs/regress/r/report.html"
        before = page.read_bytes()
        page.unlink()
        assert penstock("report r").out.strip() == "runs/regress/r/report.html"
        assert page.read_bytes() == before


class TestData:
    def test_list_and_describe(self, penstock: Command) -> None:
        listed = penstock("data").out
        assert penstock("data list").out == listed
        assert "diabetes" in listed
        said = penstock("data describe diabetes").out
        assert "progression" in said
        assert "licence" in said

    def test_what_comes_along_needs_no_download(self, penstock: Command) -> None:
        assert "nothing to download" in penstock("data download digits").out

    def test_a_public_set(self, penstock: Command, here: Path, shared_sets: Path) -> None:
        outcome = penstock("train regress --data california-housing --steps 2 --threads 1 --name r")
        assert outcome.code == 0, outcome.err
        assert "20,640 examples" in outcome.err
        told = json.loads(penstock("evaluate r --format json").out)
        assert told == json.loads((here / "runs/regress/r/evaluation.json").read_text())["metrics"]


class TestEvaluate:
    @pytest.mark.parametrize("task", ["classify", "regress"])
    @pytest.mark.parametrize("data", ["table", "pictures"])
    def test_its_number_is_that_of_training(
        self, task: str, data: str, penstock: Command, here: Path, words_for: Command, no_report: None
    ) -> None:
        odd = ["--criterion", "huber"] if task == "regress" else ["--class-weights", "balanced", "--smoothing", "0.1"]
        assert penstock("", *words_for(task, data, here), *odd, "--name", "r").code == 0
        found = penstock("evaluate r --format json")
        assert found.code == 0, found.err
        expected = json.loads((here / "runs" / task / "r" / "evaluation.json").read_text())["metrics"]
        assert json.loads(found.out) == pytest.approx(expected, rel=1e-6, abs=1e-9)
        assert "test (" in penstock("evaluate r").out

    def test_other_data(self, penstock: Command, here: Path, table: Writer, no_report: None) -> None:
        table(here / "t.csv")
        assert penstock(f"train classify --data t.csv --target animal {FAST} --name r").code == 0
        table(here / "new.csv", rows=25, seed=9)
        told = penstock("evaluate r --data new.csv")
        assert told.code == 0, told.err
        assert "all rows (25)" in told.out
        metrics = json.loads(penstock("evaluate r --data new.csv --format json").out)
        rows = penstock("predict r new.csv").out.splitlines()[1:]
        truth = [line.split(",")[3] for line in (here / "new.csv").read_text(encoding="utf-8").splitlines()[1:]]
        right = sum(row.split(",")[1] == label for row, label in zip(rows, truth, strict=True))
        assert metrics["accuracy"] == pytest.approx(right / 25)

    def test_labels_that_training_did_not_have(
        self, penstock: Command, here: Path, table: Writer, no_report: None
    ) -> None:
        path = table(here / "t.csv")
        assert penstock(f"train classify --data t.csv --target animal {FAST} --name r").code == 0
        (here / "new.csv").write_text(path.read_text(encoding="utf-8").replace("cat", "cow"), encoding="utf-8")
        penstock("evaluate r --data new.csv").refused(3, "new.csv:", "'cow'")


class TestPredict:
    @pytest.fixture
    def tabular(self, penstock: Command, here: Path, table: Writer, no_report: None) -> Path:
        path = table(here / "t.csv")
        assert penstock(f"train classify --data t.csv --target animal {FAST} --name r").code == 0
        return path

    def test_rows_as_csv_and_json(self, tabular: Path, penstock: Command, here: Path) -> None:
        out = penstock("predict r t.csv").out.splitlines()
        assert out[0] == "input,prediction,probability cat,probability dog,probability 鸟"
        assert len(out) == 61
        assert out[1].startswith("t.csv:2,")
        rows = json.loads(penstock("predict r t.csv --format json").out)
        for line, row in zip(out[1:], rows, strict=True):
            name, prediction, *shares = line.split(",")
            assert (name, prediction) == (row["input"], row["prediction"])
            assert list(map(float, shares)) == pytest.approx(list(row["probabilities"].values()), rel=1e-5)
        assert penstock("predict r t.csv --output 结果.csv").out == ""
        assert (here / "结果.csv").read_text(encoding="utf-8").splitlines() == out

    def test_one_row_as_json(self, tabular: Path, penstock: Command) -> None:
        names, first = (line.split(",") for line in tabular.read_text(encoding="utf-8").splitlines()[:2])
        row = dict(zip(names, first, strict=True))
        alone = json.loads(penstock("predict r --format json", json.dumps(row)).out)[0]
        inside = json.loads(penstock("predict r t.csv --format json").out)[0]
        assert alone["probabilities"] == pytest.approx(inside["probabilities"], rel=1e-5)
        numbers = row | {"age": float(row["age"]), "size": None}
        two = penstock("predict r --format json", json.dumps(numbers), json.dumps(row))
        assert two.code == 0, two.err
        assert len(json.loads(two.out)) == 2

    @pytest.mark.parametrize(
        ("word", "texts"),
        [
            ('{"age": 1}', ["'size'"]),
            ('{"age": ', ["JSON"]),
            ('{"age": "old", "size": 1, "city": "x", "price": 1}', ["'age'", "'old'"]),
            ('{"age": [1], "size": 1, "city": "x", "price": 1}', ["'age'"]),
            ("nothing.csv", ["nothing.csv"]),
            ("empty.csv", ["empty.csv"]),
        ],
    )
    def test_bad_rows(self, tabular: Path, word: str, texts: list[str], penstock: Command, here: Path) -> None:
        (here / "empty.csv").touch()
        penstock("predict r", word).refused(3, *texts)

    def test_rows_from_the_standard_input(
        self, tabular: Path, penstock: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names, *lines = (line.split(",") for line in tabular.read_text(encoding="utf-8").splitlines()[:3])
        rows = [json.dumps(dict(zip(names, line, strict=True)), ensure_ascii=False) for line in lines]
        given = "\n".join([rows[0], "", rows[1]]).encode()
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))
        piped = json.loads(penstock("predict r - --format json").out)
        assert piped == json.loads(penstock("predict r --format json", *rows).out)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"ab\xff")))
        penstock("predict r -").refused(3, "standard input", "byte 2")

    def test_pictures(self, penstock: Command, here: Path, pictures: Writer, no_report: None) -> None:
        pictures(here / "p")
        assert penstock(f"train classify --data p {FAST} --name r").code == 0
        one = penstock("predict r p/cat/3.png p/dog").out.splitlines()
        assert len(one) == 1 + 1 + 12
        assert one[1].startswith("p/cat/3.png,")
        assert one[2].startswith("p/dog/0.png,")
        (here / "bad.png").write_text("text")
        penstock("predict r bad.png").refused(3, "bad.png")
        penstock("predict r nothing.png").refused(3, "nothing.png")
        (here / "empty").mkdir()
        penstock("predict r empty").refused(3, "empty")

    def test_numbers(self, penstock: Command, here: Path, table: Writer, no_report: None) -> None:
        table(here / "t.csv")
        assert penstock(f"train regress --data t.csv --target price {FAST} --name r").code == 0
        out = penstock("predict r t.csv").out.splitlines()
        assert out[0] == "input,prediction"
        assert all(-1e4 < float(line.split(",")[1]) < 1e4 for line in out[1:])

    def test_formulas_are_inert_in_csv(self, penstock: Command, here: Path, no_report: None) -> None:
        import csv

        rows = [f"{i % 2 * 5 + i / 100},{'=cmd()' if i % 2 else '@SUM(1)'}" for i in range(40)]
        (here / "=t.csv").write_text("x,y\n" + "\n".join(rows) + "\n")
        assert penstock(f"train classify --data =t.csv --target y {FAST} --name r").code == 0
        out = penstock("predict r =t.csv").out
        for cells in csv.reader(out.splitlines()):
            assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
        assert "'=cmd()" in out or "'@SUM(1)" in out
        assert "'=cmd()" not in penstock("predict r =t.csv --format json").out
