"""Modules of users' own: run once, and anew when their files have changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.core.errors import RecipeError
from penstock.rl.maker import imported


def test_a_file_is_run_once_and_again_when_it_has_changed(tmp_path: Path) -> None:
    file = tmp_path / "world.py"
    file.write_text("size = 1\n", encoding="utf-8")
    first = imported(str(file))
    assert imported(str(file)) is first
    file.write_text("size = 2\n", encoding="utf-8")
    assert (first.size, imported(str(file)).size) == (1, 2)


def test_files_of_the_same_name_are_apart(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "world.py").write_text("from pathlib import Path\nhome = Path(__file__).parent.name\n")
    found = [imported(str(tmp_path / name / "world.py")).home for name in ("one", "two")]
    assert found == ["one", "two"]


def test_a_file_that_fails_is_told_of_and_can_be_mended(tmp_path: Path) -> None:
    file = tmp_path / "world.py"
    with pytest.raises(RecipeError, match="is no Python file"):
        imported(str(file))
    file.write_text("1 / 0\n", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"cannot be run .ZeroDivisionError"):
        imported(str(file))
    file.write_text("size = 3\n", encoding="utf-8")
    assert imported(str(file)).size == 3
