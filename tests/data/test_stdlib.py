"""What is made of the standard library: parts of names by hand, and sets that are whole and the same each time."""

from __future__ import annotations

import pytest

from penstock.core.errors import DataError
from penstock.data import stdlib
from penstock.data.named import NAMED, load


def tagged(source: str) -> list[str]:
    """Every statement, its names with their part behind a slash."""
    return [
        " ".join(f"{word}/{tag}" if tag != "O" else word for word, tag in zip(words, tags, strict=True))
        for _, words, tags in stdlib.statements(source)
    ]


def test_the_part_of_every_name() -> None:
    source = '''
import os.path as p
from json import loads
class Gate(Valve):
    def open(self, width, *, speed: int = fast) -> str:
        """Text."""
        self.width, rest = width, [x for x in self.all(3) if x.y]
        return print(rest, end=sep)  # a remark
'''
    assert tagged(source) == [
        "import os/module . path/module as p/module",
        "from json/module import loads/module",
        "class Gate/class ( Valve/variable ) :",
        "def open/function ( self/parameter , width/parameter , * , speed/parameter : int/variable = fast/variable )"
        " -> str/variable :",
        "'...'",
        "self/variable . width/attribute , rest/target = width/variable ,"
        " [ x/variable for x/target in self/variable . all/method ( 3 ) if x/variable . y/attribute ]",
        "return print/call ( rest/variable , end/argument = sep/variable )",
    ]


def test_formatted_and_foreign_texts_are_left_out() -> None:
    """Some versions of Python cut the former up, and columns behind the latter are counted in two ways."""
    assert tagged('x = "水" + y\nz = 1\n') == ["z/target = 1"]
    assert tagged('x = f"{y}"\nz = 1\n')[-1] == "z/target = 1"
    assert "FSTRING" not in " ".join(tagged('x = f"{y}"\n'))


def test_sets_of_the_standard_library() -> None:
    topics = load("python-topics")
    assert topics.frame is not None
    assert topics.target == "topic"
    assert not topics.frame["text"].duplicated().any()
    assert topics.frame["topic"].value_counts().min() > 300
    assert len(topics.frame) == pytest.approx(NAMED["python-topics"].rows, rel=0.5)
    roles = load("python-roles").frame
    assert roles is not None
    assert len(roles) == pytest.approx(NAMED["python-roles"].rows, rel=0.5)
    assert all(len(words) == len(tags) for words, tags in zip(roles["words"], roles["tags"], strict=True))
    assert len({tag for tags in roles["tags"] for tag in tags}) == 11
    assert roles.index[0].startswith("argparse.py:")


def test_a_python_without_its_source(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr(stdlib.sysconfig, "get_path", lambda name: str(tmp_path))
    for make in (stdlib.topics, stdlib.roles):
        with pytest.raises(DataError, match="without the source of its standard library"):
            make.__wrapped__()
