"""The house rules that can be read off the source: who imports whom, what stays light, what is never called."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import penstock

ROOT = Path(penstock.__file__).parent
FLOORS = [
    {"__main__"},
    {"cli"},
    {"studies", "doctor", "explain", "serve", "sklearn"},
    {"run"},
    {"recipes"},
    {"kinds"},
    {"objectives", "engine"},
    {"models", "data", "rl", "decoding"},
    {"nn", "optim", "metrics"},
    {"core"},
]
"""From the top down. A room imports from lower floors and from itself."""

LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
LIGHT = [
    "penstock",
    "penstock.cli.main",
    "penstock.recipes.recipe",
    "penstock.recipes.classify",
    "penstock.recipes.regress",
    "penstock.engine.plan",
]
HEAVY = ["torch", "numpy", "pandas", "sklearn", "matplotlib", "PIL", "pyarrow", "safetensors"]
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}


@cache
def sources() -> dict[str, ast.Module]:
    """Every module of the library by its full name; the package itself, which is only a face, left out."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name != "penstock":
            found[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


def room(module: str) -> str:
    return module.split(".")[1]


def imported(module: str, node: ast.AST, known: set[str]) -> Iterator[str]:
    """The modules of the library that an import statement in `module` names."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name.startswith("penstock."))
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"{module} line {node.lineno}: a relative import"
        base = node.module or ""
        if base == "penstock" or base.startswith("penstock."):
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                if inner in known or base != "penstock":
                    yield inner if inner in known else base


@cache
def arrows(*, at_run_time: bool) -> dict[str, set[str]]:
    """Who imports whom, inside functions too; `at_run_time` leaves out what is imported for type checkers only."""
    graph = {}
    for module, tree in sources().items():
        skipped = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
                skipped |= {id(inner) for statement in node.body for inner in ast.walk(statement)}
        graph[module] = {
            name
            for node in ast.walk(tree)
            if not (at_run_time and id(node) in skipped)
            for name in imported(module, node, set(sources()))
        }
    return graph


def test_the_source_is_found_and_every_room_has_its_floor() -> None:
    assert len(sources()) > 80
    assert {room(module) for module in sources()} <= set(LEVEL)
    assert "penstock.core.errors" in arrows(at_run_time=True)["penstock.engine.clock"]
    assert "penstock.kinds.category" in arrows(at_run_time=True)["penstock.recipes.classify"]  # inside a function
    assert "penstock.kinds.answer" in arrows(at_run_time=False)["penstock.recipes.classify"]  # for type checkers


def test_imports_point_down() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, names in arrows(at_run_time=False).items()
        for name in sorted(names)
        if room(name) != room(module) and LEVEL[room(name)] <= LEVEL[room(module)]
    ]
    assert wrong == []


def test_every_import_exists() -> None:
    wrong = [f"{a} imports {b}" for a, names in arrows(at_run_time=False).items() for b in names if b not in sources()]
    assert wrong == []


def test_files_do_not_import_in_circles() -> None:
    try:
        TopologicalSorter(arrows(at_run_time=True)).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_a_room_opens_without_importing_anything() -> None:
    for module, tree in sources().items():
        if (ROOT.parent / module.replace(".", "/")).is_dir():
            assert [type(node) for node in tree.body] == [ast.Expr], f"{module} holds more than a docstring"


def loaded_after(program: str) -> set[str]:
    """The modules in memory after a program that ran in a process of its own."""
    tail = "\nimport sys; print('LOADED', *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program + tail], capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stdout.rsplit("LOADED", 1)[1].split())


def test_recipes_plan_and_command_line_are_light() -> None:
    """All in one process, for each would be a second; the failure names the package."""
    loaded = loaded_after("\n".join(f"import {module}" for module in LIGHT))
    assert "pydantic" in loaded
    assert loaded.isdisjoint(HEAVY), loaded.intersection(HEAVY)


def test_help_is_light() -> None:
    program = (
        "from penstock.cli.main import run\nassert run(['{}']) == 0\nassert run(['train', 'classify', '--help']) == 0"
    )
    loaded = loaded_after(program.format("--help"))
    assert loaded.isdisjoint({"torch", "pandas", "sklearn", "matplotlib"}), loaded


def test_training_loads_nothing_of_other_tasks() -> None:
    """What it would import, it would import each time, before its model learns."""
    folder = "import os, tempfile\nos.chdir(tempfile.mkdtemp())\n"
    words = "'train', 'classify', '--data', 'wine', '--steps', '2', '--threads', '1'"
    loaded = loaded_after(f"{folder}from penstock.cli.main import run\nassert run([{words}]) == 0")
    networks = {name for name in loaded if name.startswith("penstock.models.")}
    assert networks == {f"penstock.models.{name}" for name in ("mlp", "tabular", "trunk", "horizon")}
    foreign = r"penstock\.(rl|decoding|recipes\..*(codes|mak|creat|sheet|sampl|reconstruct|generat|control|writ)).*"
    assert not [name for name in loaded if re.fullmatch(foreign, name)]


def test_the_command_is_installed() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "penstock", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("usage: penstock VERB ...")
    assert " torch" not in done.stderr


def faults(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Import):
            yield from (f"{line} {a.name}" for a in node.names if a.name.partition(".")[0] in FORBIDDEN_MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in FORBIDDEN_MODULES:
            yield f"{line} {node.module}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
            yield f"{line} {node.func.id}()"
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "torch.save"):
            yield f"{line} {ast.unparse(node.func)}"
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle" and ast.unparse(node.value) != "False":
            yield f"{line} allow_pickle"
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            yield f"{line} bare except"


def test_nothing_unpickles_evaluates_or_swallows_every_error() -> None:
    assert [f"{module}:{fault}" for module, tree in sources().items() for fault in faults(tree)] == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from pickle import loads",
        "def f():\n    import joblib.numpy",
        "eval('1')",
        "exec('1')",
        "torch.load(path)",
        "np.load(path, allow_pickle=True)",
        "try:\n    f()\nexcept:\n    pass",
    ],
)
def test_each_of_these_would_be_seen(text: str) -> None:
    assert len(list(faults(ast.parse(text)))) == 1
