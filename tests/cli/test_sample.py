"""`penstock train language` and `penstock sample`, from a text to a text."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.run.run import load

Command = Callable[..., Any]
SMALL = "--steps 100 --batch-size 8 --threads 1 --net.width 32 --net.dropout 0 --optim.lr 0.02 --name run"


@pytest.fixture
def run(penstock: Command, text: Callable[[Path, int], Path], here: Path) -> Path:
    """A model that has learned a text of a few words."""
    words = ["--data", str(text(here / "t.txt", 2000)), "--context", "16", "--evaluate-every", "2"]
    outcome = penstock(f"train language {SMALL}", *words)
    assert outcome.code == 0, outcome.err
    return here / "runs/language/run"


def test_a_text_is_learned_and_written(run: Path, penstock: Command) -> None:
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert evaluation["metrics"]["loss"] < 0.5 * evaluation["baseline"]["metrics"]["loss"]
    line = "sample run --length 60 --temperature 0.5 --seed 3 --prompt"
    one, again = (penstock(line, "water flows").out for _ in range(2))
    assert one == again
    assert one.startswith("water flows")
    assert "through the gate" in one
    assert len(one) == len("water flows") + 60 + 1
    several = penstock("sample run --length 60 --temperature 0.5 --count 2 --seed 2 --prompt", "water flows").out
    assert several.endswith(one)
    assert penstock("sample run --length 60 --temperature 0.9 --seed 4 --prompt", "water flows").out != one
    greedy = [penstock(f"sample run --length 40 --temperature 0 --seed {seed}").out for seed in (1, 2)]
    assert greedy[0] == greedy[1]


def test_python_writes_the_same(run: Path, penstock: Command) -> None:
    written = "".join(load(run).write("the", length=30, seed=1, top_k=5, top_p=0.9, temperature=0.7))
    told = penstock("sample run --prompt the --length 30 --seed 1 --top-k 5 --top-p 0.9 --temperature 0.7").out
    assert told == f"the{written}\n"


def test_the_report_shows_what_it_wrote(run: Path, penstock: Command) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    for title in ("Samples", "While it learned", "Surprise", "bits per character"):
        assert title in page
    lines = [json.loads(line) for line in (run / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["step"] for line in lines] == sorted({line["step"] for line in lines})
    assert lines[-1]["step"] == 100
    assert penstock("report run").code == 0
    assert (run / "report.html").read_text(encoding="utf-8") == page


def test_other_text_is_measured(run: Path, penstock: Command, here: Path) -> None:
    (here / "other.txt").write_text("turbine. the to\n" * 30)
    same = json.loads(penstock("evaluate run --format json").out)
    assert same == pytest.approx(json.loads((run / "evaluation.json").read_text())["metrics"], rel=1e-5)
    other = json.loads(penstock("evaluate run --format json --data other.txt").out)
    assert other["loss"] > same["loss"]


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        ("sample run --temperature -1", ["temperature"]),
        ("sample run --top-p 2", ["top_p"]),
        ("sample run --condition author", ["name=value"]),
        ("sample run --condition author=x", ["no 'author'", "--condition"]),
        ("sample rum", ["rum"]),
        ("predict run text", ["penstock sample"]),
    ],
)
def test_what_cannot_be_asked_for(run: Path, words: str, texts: list[str], penstock: Command) -> None:
    penstock(words).refused(2, *texts)


def test_a_kind_of_text_can_be_asked_for(penstock: Command, here: Path) -> None:
    rows = ["text,form,author", *["abcd,short,x", "zyxwvuts,long,y"] * 30]
    (here / "p.csv").write_text("\n".join(rows) + "\n")
    assert penstock(f"train language {SMALL} --data p.csv --condition form,author --text.column text").code == 0
    assert penstock("sample run --temperature 0 --condition form=long").out == "zyxwvuts\n"
    assert penstock("sample run --temperature 0 --condition author=x form=short").out == "abcd\n"
    assert penstock("sample run --temperature 0 --condition author=x form=short --prompt ab").out == "abcd\n"
    assert penstock("sample run --count 4").out.split() != []
    penstock("sample run --condition frm=long").refused(2, "did you mean 'form'")


def test_texts_that_do_not_fit_are_refused(penstock: Command, here: Path) -> None:
    (here / "p.csv").write_text("text\n" + "short\n" * 30 + "x" * 40 + "\n")
    penstock(f"train language {SMALL} --data p.csv --context 20").refused(3, "p.csv:32", "42 tokens", "20 are seen")
    (here / "s.txt").write_text("short\n" * 100)
    penstock(f"train language {SMALL} --data s.txt --condition form").refused(3, "form")
    penstock(f"train language {SMALL} --data s.txt --context 900").refused(2, "900", "training examples")
    penstock(f"train language {SMALL} --data s.txt --model transformer --context 900").refused(3, "900")
    assert not (here / "runs").exists()


@pytest.mark.parametrize("model", ["transformer", "gru", "tcn"])
@pytest.mark.usefixtures("no_report")
def test_every_sort_of_model_goes_on_as_it_was(
    model: str,
    penstock: Command,
    here: Path,
    text: Callable[[Path, int], Path],
    signalled: Callable[..., None],
    same_runs: Callable[[Path, Path], None],
) -> None:
    """Line 16: dropout on; what is carried, the order of windows and the samples are as without a stop."""
    from penstock.engine.stepper import Stepper

    words = (
        f"train language --steps 9 --batch-size 4 --threads 1 --net.width 16 --net.layers 2 --context 8 --model {model}"
    )
    words += f" --net.dropout 0.3 --log-every 2 --evaluate-every 0.2 --data {text(here / 't.txt', 1000)} --name"
    assert penstock(f"{words} whole").code == 0
    signalled(Stepper, "step", 5)
    assert penstock(f"{words} cut").code == 143
    assert penstock("resume cut").code == 0
    same_runs(here / "runs/language/whole", here / "runs/language/cut")
    samples = [(here / "runs/language" / name / "samples.jsonl").read_bytes() for name in ("whole", "cut")]
    assert samples[0] == samples[1]
