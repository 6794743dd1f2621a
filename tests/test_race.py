"""The race against the peers: that contestants do the same work, and that what is said of them is what was measured."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from torch.nn import functional as F

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import race as racing  # noqa: E402
import render  # noqa: E402
from peers import bare, penstock_, plain  # noqa: E402
from peers.cases import CASES, TRIAL_STEPS, Case, Data, Length, Task  # noqa: E402
from peers.chart import chart, short  # noqa: E402
from peers.entries import RACES, Bar, Entry, Race  # noqa: E402
from peers.laps import Laps  # noqa: E402
from peers.table import tables  # noqa: E402
from peers.verdict import judge, lines, same  # noqa: E402

FIELD = Race(
    {
        "ours": Entry("Penstock, eager", "penstock_"),
        "theirs": Entry("Other", "other", needs=("other",)),
        "absent": Entry("Absent", "absent", needs=("absent",)),
        "broken": Entry("Broken", "broken"),
    },
    "theirs",
    (Bar("ours", "theirs", 3.0), Bar("ours", "theirs", 2.0), Bar("ours", "absent", 1.0)),
)


def measured(seconds: float, loss: float, trial: float | None = None, warm_up: float = 1.0) -> dict[str, Any]:
    found = {"seconds": seconds, "loss": loss, "warm_up_seconds": warm_up, "data": "a table"}
    return found | ({"trial_loss": trial} if trial is not None else {})


def result(case: str = "table") -> dict[str, Any]:
    rounds = [
        {"ours": measured(1.0, 0.5, 0.700, 20.0), "theirs": measured(2.4, 0.51, 0.701, 4.0)},
        {"ours": measured(2.0, 0.5), "theirs": measured(4.0, 0.51)},
        {"ours": measured(1.5, 0.5, warm_up=3.0), "theirs": measured(9.0, 0.51)},
    ]
    found = judge(CASES[case], FIELD, Length(1000, 1, 6), rounds, {"broken": "fell over"})
    origin = {"command": "python benchmarks/race.py", "rounds": 3, "processor": "P", "machine": "M", "date": "D"}
    return found | {"origin": origin | {"versions": {"torch": "2"}}}


@pytest.mark.parametrize("name", ["table", "pair"])
def test_the_engine_and_a_loop_by_hand_come_to_the_same_loss(name: str) -> None:
    trial, function = CASES[name].trial(), "train_pair" if name == "pair" else "train"
    ends = [trial.loss(getattr(module, function)(trial, Laps(0, TRIAL_STEPS))) for module in (plain, penstock_)]
    assert ends[0] == pytest.approx(ends[1], rel=1e-4)
    untrained = plain.torch_net.build(*(next(iter(part.values())) for part in (trial.nets, trial.weights)))
    if name == "table":
        assert ends[0] < 0.7 * trial.loss(plain.torch_net.outputs(untrained, trial.data.x))


def test_clipping_too_and_on_batches_that_are_shuffled() -> None:
    task = CASES["overhead"].task(Length(1024, 0, 2), 3)
    ends = [task.loss(module.train(task, Laps(0, 2), clip_norm=0.5)) for module in (bare, penstock_)]
    assert ends[0] == pytest.approx(ends[1], rel=1e-4)
    assert task.loss(penstock_.train(task, Laps(0, 2))) != pytest.approx(ends[0], rel=1e-3)  # it had something to clip


def test_losses_are_those_of_torch() -> None:
    random = np.random.default_rng(0)
    outputs = random.standard_normal((32, 10)) * 20
    classes = random.integers(0, 10, 32)

    def loss(outputs: np.ndarray, answers: np.ndarray, nets: dict[str, Any]) -> float:
        return Task(nets, {}, Data(outputs, answers, ""), 8, 0).loss(outputs)

    expected = F.cross_entropy(torch.from_numpy(outputs), torch.from_numpy(classes))
    assert loss(outputs, classes, {"model": ()}) == pytest.approx(float(expected))
    numbers = random.standard_normal((32, 1))
    expected = F.mse_loss(torch.from_numpy(outputs[:, :1]), torch.from_numpy(numbers))
    assert loss(outputs[:, 0], numbers, {"model": ()}) == pytest.approx(float(expected))
    true, made = torch.from_numpy(outputs[:, :2]).T
    expected = F.softplus(-true).mean() + F.softplus(made).mean()
    assert loss(outputs[:, :2], numbers, {"discriminator": ()}) == pytest.approx(float(expected))


def test_figures_are_medians_and_ratios_are_taken_within_a_round() -> None:
    found = result()
    ours = found["rows"]["ours"]
    assert (ours["seconds"], ours["samples_per_second"]) == (1.5, 4000)
    assert (ours["first_warm_up"], ours["warm_up"]) == (20.0, 2.0)
    assert ours["beside"] == pytest.approx(2.4)  # of 2.4, 2 and 6; the ratio of the medians would be 2.67
    assert [(bar["found"], bar["reached"]) for bar in found["bars"]] == [(2.4, False), (2.4, True), (None, False)]
    assert found["rows"]["absent"]["missing"] == "not installed"
    assert found["rows"]["broken"]["missing"] == "fell over"


def test_a_bar_within_a_round_and_one_above() -> None:
    rounds = [{"a": {"seconds": 1.0}, "b": {"seconds": 10.0}}, {"a": {"seconds": 9.0}, "b": {"seconds": 9.0}}]
    rounds += [{"a": {"seconds": 4.0}, "b": {"seconds": 8.0}}, {"a": {"seconds": 4.0}}]
    assert Bar("a", "b", 2.0).found(rounds) == 2.0  # of 10, 1 and 2
    bar = Bar("b", "a", 4.5, above=True)
    assert bar.found(rounds) == 4.0  # of 9, 0 and 4
    assert (bar.reached(4.5), bar.reached(4.6)) == (True, False)


@pytest.mark.parametrize(
    ("loss", "trial", "expected"),
    [(1.09, 2.009, True), (1.11, 2.0, False), (1.0, 2.011, False), (None, None, None), (1.0, None, True)],
)
def test_a_loss_that_is_not_the_others_is_marked(loss: float, trial: float, expected: bool | None) -> None:
    assert same({"loss": loss, "trial_loss": trial}, {"loss": 1.0, "trial_loss": 2.0}, 0.1, 0.005) is expected


def test_pages_say_what_was_measured_in_both_languages() -> None:
    found = result()
    found["rows"]["ours"]["same"] = False
    pages = {language: tables({"table": found}, language, "docs/race.svg").splitlines() for language in ("en", "zh")}
    rows = {language: [line for line in page if line.startswith("|")] for language, page in pages.items()}
    assert rows["en"][2:] == rows["zh"][2:]
    assert rows["en"][2:] == [
        "| **Penstock, eager** | 4,000 | 2.40 | 20.0, 2.0 | 0.5000 ≠ |",
        "| Other | 1,500 | 1.00 | 4.0, 1.0 | 0.5100 |",
        "| Absent | not installed |  |  |  |",
        "| Broken | fell over |  |  |  |",
    ]
    for page in pages.values():
        assert any("Penstock, eager ≥ 3 × Other: **2.40 ×** ✗" in line for line in page)
        assert any("`python benchmarks/race.py`" in line and "torch 2" in line for line in page)
    assert any("DIFFERS" in line for line in lines(found))


def test_the_chart_has_a_bar_for_each_row_in_proportion() -> None:
    text = chart({"table": result(), "mlp": result("mlp")})
    bars = [float(node.attrib["width"]) for node in ElementTree.fromstring(text).iter() if node.tag.endswith("rect")]
    assert bars == pytest.approx([420.0, 157.5] * 2, abs=0.1)
    assert [short(value) for value in (1_234_567, 999_960, 45_600, 789, 2.345)] == [
        "1.23M",
        "1M",
        "45.6k",
        "789",
        "2.35",
    ]


@pytest.mark.parametrize("page", ["README.md", "README.zh.md"])
def test_the_pages_show_the_results_that_are_there(page: str) -> None:
    assert render.rendered(page) == (ROOT / page).read_text(encoding="utf-8"), "run: python benchmarks/render.py"


def test_the_drawn_chart_is_of_the_results_that_are_there() -> None:
    found, path = render.races(), ROOT / render.CHART
    assert path.exists() == bool(found)
    assert not found or chart(found) == path.read_text(encoding="utf-8")


def test_who_fails_is_heard_in_one_line() -> None:
    python = Path(sys.executable)
    falls = Entry("falls", command=("-c", "raise SystemExit('no\\nmore')"))
    with pytest.raises(racing.Failure, match=r"^more$"):
        racing.run(falls, "table", "quick", python, "", 0)
    seconds = racing.run(Entry("stands", command=("-c", "pass")), "table", "quick", python, "", 0)["seconds"]
    assert 0 < seconds < 60
    assert racing.versions(Path("/nowhere")) == {}


def test_every_race_has_what_it_names() -> None:
    assert RACES.keys() == CASES.keys()
    for name, field in RACES.items():
        assert field.reference in field.entries
        assert {bar.ahead for bar in field.bars} | {bar.behind for bar in field.bars} <= field.entries.keys()
        for entry in field.entries.values():
            assert bool(entry.command) or (ROOT / "benchmarks" / "peers" / f"{entry.module}.py").is_file()
        case: Case = CASES[name]
        for length in (case.quick, case.full):
            assert length.examples % case.batch == 0, name
