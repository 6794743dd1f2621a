"""Games in the report: boards with stones and shares, a table of matches, and files that are damaged."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from penstock.core.errors import CheckpointError
from penstock.run.report.page import build_report

MATCHES = [
    {"opponent": "one_ply", "first": True, "wins": 7, "draws": 2, "losses": 1, "length": 8.25},
    {"opponent": "<b>x</b>", "first": False, "wins": 0, "draws": 0, "losses": 4, "length": 6.0},
]
OPENED = {"board": [[0, 1], [-1, 0]], "visits": [0.5, 0.0, 0.0, 0.3, 0.2], "expected": 0.25, "value": -0.5}


def page(folder: Path, rows: int = 0, **changes: object) -> str:
    board = {"name": "go-2", "opponents": ["one_ply", "<b>x</b>"], "opening": [OPENED | changes], "matches": MATCHES}
    (folder / "recipe.json").write_text(json.dumps({"task": "selfplay"}), encoding="utf-8")
    (folder / "evaluation.json").write_text(json.dumps({"metrics": {"return": 0.4}, "board": board}), encoding="utf-8")
    (folder / "data.json").write_text(json.dumps({"splits": {"train": 100}}), encoding="utf-8")
    lines = [
        {"split": split, "step": n, "epoch": n, "wins_one_ply": n / 4, "draws_one_ply": 0.5, "policy_loss": 2 / n}
        for n in range(1, rows + 1)
        for split in ("train", "validation")
    ]
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return build_report(folder).read_text(encoding="utf-8")


def test_stones_and_shares_stand_on_their_points(tmp_path: Path) -> None:
    (drawn,) = re.findall(r"<svg.*?</svg>", page(tmp_path).split('id="opening"')[1], re.DOTALL)
    root = ElementTree.fromstring(drawn)
    points = [(node.attrib["x"], node.attrib["y"]) for node in root.iter("rect")]
    assert points == [("0", "0"), ("44", "0"), ("0", "44"), ("44", "44")]
    tints = [float(node.attrib["fill-opacity"]) for node in root.iter("rect")]
    assert tints[0] > tints[3] > tints[1] == tints[2] == 0
    stones = {(node.attrib["cx"], node.attrib["cy"]): node.attrib["fill"] for node in root.iter("circle")}
    assert stones == {("66", "22"): "currentColor", ("22", "66"): "var(--card)"}
    assert [node.text for node in root.iter("text")] == ["50", "30"]


def test_where_stones_fall_a_column_is_a_move(tmp_path: Path) -> None:
    (drawn,) = re.findall(r"<svg.*?</svg>", page(tmp_path, visits=[0.9, 0.1]).split('id="opening"')[1], re.DOTALL)
    root = ElementTree.fromstring(drawn)
    tints = [float(node.attrib["fill-opacity"]) for node in root.iter("rect")]
    assert tints[0] == tints[2] > tints[1] == tints[3]
    assert [node.text for node in root.iter("text")] == ["90", "10"]


def test_what_is_said_of_games(tmp_path: Path) -> None:
    text = page(tmp_path, rows=3)
    assert re.search(r"20(\.\d)?\s?% pass", text)
    assert "value 0.25, after the search \u22120.5" in text or "value 0.25, after the search -0.5" in text
    table = text.split('id="games"')[1].split("</table>")[0]
    assert "one-ply" in table
    assert "--v:0.700" in table
    assert "<b>x</b>" not in text
    assert "Points over positions: one-ply from 0.5 to 1." in text
    assert 'id="balance"' not in text  # policy and value do not play against each other


@pytest.mark.parametrize("wrong", [{"visits": [1.0]}, {"board": []}, {"board": [[0, 1], [0]]}])
def test_boards_that_do_not_fit_are_damage(wrong: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="do not fit a board"):
        page(tmp_path, **wrong)
