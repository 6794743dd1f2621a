"""The maps of where a model looked, in the report."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from penstock.core.errors import CheckpointError
from penstock.run.report.page import build_report

NASTY = "<script>alert(1)</script>"


def page(folder: Path, **changes: object) -> str:
    looks = {"read": ["猫", NASTY, "end"], "written": ["a", "end"], "looks": [[0.75, 0.25, 0.0], [0.0, 0.0, 1.0]]}
    (folder / "recipe.json").write_text(json.dumps({"task": "translate"}), encoding="utf-8")
    evaluation = {"metrics": {"chrf": 80.0}, "looks": [looks | changes]}
    (folder / "evaluation.json").write_text(json.dumps(evaluation), encoding="utf-8")
    return build_report(folder).read_text(encoding="utf-8")


def test_a_square_for_every_weight_that_can_be_seen(tmp_path: Path) -> None:
    (drawn,) = re.findall(r"<svg.*?</svg>", page(tmp_path).split('id="attention"')[1], re.DOTALL)
    root = ElementTree.fromstring(drawn)
    squares = [node for node in root.iter("rect") if node.find("title") is not None]
    weights = {str(node.findtext("title")): float(node.attrib["fill-opacity"]) for node in squares}
    assert weights == {
        "a looks at 猫: 0.75": 0.75,
        f"a looks at {NASTY}: 0.25": 0.25,
        "end looks at end: 1.00": 1.0,
    }
    first, second, last = (float(node.attrib["x"]) for node in squares)
    assert first < second < last
    assert float(squares[0].attrib["y"]) == float(squares[1].attrib["y"]) < float(squares[2].attrib["y"])
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    assert last + 17 <= width
    assert float(squares[2].attrib["y"]) + 17 <= height
    assert [node.text for node in root.iter("text")] == ["猫", NASTY, "end", "a", "end"]


def test_nothing_that_was_written_can_run(tmp_path: Path) -> None:
    assert "<script" not in page(tmp_path)


def test_what_is_too_long_for_a_page_is_left_out(tmp_path: Path) -> None:
    long = {"read": ["x"] * 61, "written": ["a"], "looks": [[0.0] * 61]}
    assert 'id="attention"' not in page(tmp_path, **long)


def test_weights_that_do_not_fit_are_damage(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="the weights are not 3 x 3"):
        page(tmp_path, written=["a", "b", "end"])
