"""The forecasting task, from a table to numbers: what is fitted on what, faults, and that it beats simple rules."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from penstock.kinds.series import SeriesKind
from penstock.recipes.forecast import Forecast
from penstock.recipes.job import Job, Supplied

Command = Callable[..., Any]
Writer = Callable[..., Path]


def job(data: object, **changes: Any) -> Job:
    settings = {"window": {"horizon": 3, "context": 14}, "steps": 2} | changes
    named = {"data": str(data)} if isinstance(data, Path) else {}
    return Forecast.parse(named | settings).build(Supplied(data=None if named else data))


def test_what_is_learned_knows_the_training_rows_only(tmp_path: Path, series: Writer) -> None:
    path = series(tmp_path / "销量.csv", 200)
    one = job(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    last = round(200 * (1 - 0.1 - 0.2))
    for row in range(last, 200):
        day, x, hint = lines[row + 1].split(",")
        lines[row + 1] = f"{day},{float(x) * 9},{float(hint) + 50}"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    other = job(path)
    assert one.trained.config() == other.trained.config()
    assert one.facts["fingerprint"] != other.facts["fingerprint"]
    known = pd.read_csv(path)["销量"][:last]
    assert one.trained.config()["answer"]["scales"][0]["mean"] == pytest.approx(known.mean())
    naive = known.diff(one.trained.config()["answer"]["stretch"]["season"]).abs().mean()
    assert one.trained.config()["answer"]["naive"][0] == pytest.approx(naive)


def test_seasons_and_context_are_found_and_written_down(tmp_path: Path, series: Writer) -> None:
    found = job(series(tmp_path / "s.csv", 200), window={"horizon": 3}, target=["销量"])
    window = found.recipe.dump()["window"]
    assert window == {"horizon": 3, "season": 7, "context": 21}
    assert [column["kind"] for column in found.facts["columns"]] == ["to tell", "seen"]


@pytest.mark.parametrize("model", ["linear", "rnn", "lstm", "gru", "tcn", "transformer"])
def test_every_model_takes_several_columns(model: str, tmp_path: Path, series: Writer) -> None:
    found = job(series(tmp_path / "s.csv", 200), model=model, quantiles=[0.05, 0.5])
    batch = next(found.source)
    assert found.trained.objective(batch).shape == (len(batch["series"]), 3, 2, 2)


def test_a_saved_forecaster_says_the_same(tmp_path: Path, series: Writer) -> None:
    path = series(tmp_path / "s.csv", 200)
    made = job(path, target=["销量"])
    (tmp_path / "model").mkdir()
    made.trained.save(tmp_path / "model")
    again = made.recipe.load(tmp_path / "model")
    assert isinstance(again.kind, SeriesKind)
    one, other = made.trained.predict([path]), again.predict([str(path)])
    assert one == other
    assert [row["time"] for row in one] == ["2023-07-20", "2023-07-21", "2023-07-22"]
    assert {row["column"] for row in one} == {"销量"}
    for row in one:
        assert row["quantiles"]["0.1"] <= row["prediction"] == row["quantiles"]["0.5"] <= row["quantiles"]["0.9"]


def test_a_prediction_is_that_of_the_last_window(tmp_path: Path, series: Writer) -> None:
    path = series(tmp_path / "s.csv", 200)
    made = job(path)
    frame = pd.read_csv(path)
    shorter = frame[:-3]
    examples = made.source.examples
    with torch.no_grad():
        expected = made.trained.objective.eval().predict(examples[torch.tensor([len(shorter) - 1])])
    found = [row["prediction"] for row in made.trained.predict([shorter])]
    assert found == pytest.approx(expected[0, :, :, 1].flatten().tolist(), rel=1e-6)


def test_it_learns_more_than_simple_rules(penstock: Command, here: Path, series: Writer) -> None:
    series(here / "s.csv", 600)
    flags = "--target 销量 --horizon 2 --steps 290 --net.width 16 --lr 0.01 --batch-size 64 --threads 1 --name r"
    outcome = penstock(f"train forecast --data s.csv {flags}")
    assert outcome.code == 0, outcome.err
    found = json.loads((here / "runs/forecast/r/evaluation.json").read_text())
    assert found["metrics"]["mase"] < 0.75 * found["baseline"]["metrics"]["mase"]
    steps = found["forecast"]["steps"]
    assert steps["model"][0] < 0.6 * steps["seasonal"][0]  # of the next day the hint tells the noise
    assert 0.6 < found["forecast"]["coverage"] < 0.95
    page = (here / "runs/forecast/r/report.html").read_text(encoding="utf-8")
    assert all(words in page for words in ("Error by steps ahead", "销量, window 1", "How far back it looks"))
    rows = penstock("predict r s.csv").out.splitlines()
    assert rows[0] == "input,time,column,prediction,quantile 0.1,quantile 0.5,quantile 0.9"
    assert len(rows) == 3
    assert "all rows (" in penstock("evaluate r --data s.csv").out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("--data s.csv --target 销良", 3, "销量"),
        ("--data s.csv --time Datum", 3, "there is no column 'Datum'"),
        ("--data note.csv --target note", 3, "note.csv:2: column 'note' holds 'a'"),
        ("--data s.csv --ignore hnt", 2, "'hint'"),
        ("--data s.csv --ignore hint --target hint", 2, "'hint' is to be forecast"),
        ("--data s.csv --horizon 0", 2, "window.horizon"),
        ("--data s.csv --horizon 100", 3, "100 ahead"),
        ("--data s.csv --quantiles 0.9 0.1", 2, "hold 0.5"),
        ("--data s.csv --split.column hint", 2, "divided by time"),
        ("--data s.csv --model cnn", 2, "model"),
        ("--data digits", 3, "pictures"),
        ("--data flat.csv", 3, "'x' is 3 in each of the 28"),
        ("--data twice.csv", 3, "twice.csv:3: column 't' says 2024-01-01 a second time"),
        ("--data text.csv", 3, "text.csv:9: column 'x' holds 'N.N.'"),
        ("--data ragged.csv", 3, "ragged.csv:3"),
        ("--data latin.csv", 3, "--encoding"),
        ("--data huge.csv", 3, "float32"),
        ("--data nothing.csv", 3, "nothing.csv"),
    ],
)
def test_faults_are_one_line_and_leave_nothing(
    words: str, code: int, said: str, penstock: Command, here: Path, series: Writer
) -> None:
    series(here / "s.csv", 200)
    (here / "note.csv").write_text("x,note\n" + "".join(f"{n},a\n" for n in range(40)))
    (here / "flat.csv").write_text("x\n" + "3\n" * 28 + "4\n" * 12)
    (here / "twice.csv").write_text("t,x\n2024-01-01,1\n2024-01-01,2\n")
    (here / "text.csv").write_text("x\n" + "".join("N.N.\n" if n == 7 else f"{n}.5\n" for n in range(60)))
    (here / "ragged.csv").write_text("a,b\n1,2\n1\n")
    (here / "latin.csv").write_bytes("x,é\n1,2\n".encode("latin-1"))
    (here / "huge.csv").write_text("x\n" + "".join(f"{n}e300\n" for n in range(40)))
    penstock(f"train forecast --window.context 2 --window.horizon 2 {words}").refused(code, said)
    assert not (here / "runs").exists()


@pytest.mark.usefixtures("no_report")
def test_too_little_to_look_back_at_is_refused_with_both_numbers(penstock: Command, here: Path, series: Writer) -> None:
    series(here / "s.csv", 200)
    assert penstock("train forecast --data s.csv --target 销量 --steps 2 --horizon 3 --threads 1 --name r").code == 0
    pd.read_csv(here / "s.csv")[:5].to_csv(here / "few.csv", index=False)
    penstock("predict r few.csv").refused(3, "few.csv", "5 rows", "21 rows back")
    penstock("evaluate r --data few.csv").refused(3, "few.csv", "5 rows hold no window")
    pd.read_csv(here / "s.csv").drop(columns="hint").to_csv(here / "less.csv", index=False)
    penstock("predict r less.csv").refused(3, "there is no column 'hint'")
