"""Texts that every Python brings along, in the source of its standard library; none of it is run."""

from __future__ import annotations

import ast
import io
import keyword
import re
import sysconfig
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pandas as pd

from penstock.core.errors import DataError

_TOPICS = {
    "concurrency": "asyncio threading multiprocessing concurrent queue sched subprocess selectors contextlib",
    "files": "os shutil pathlib tarfile zipfile tempfile glob fileinput gzip bz2 lzma filecmp posixpath zipapp shelve "
    "genericpath fnmatch io _pyio",
    "language": "ast tokenize dis compileall importlib pkgutil typing types abc functools dataclasses enum inspect "
    "modulefinder pyclbr opcode codeop code symtable pickle copy",
    "network": "http urllib email smtplib imaplib poplib ftplib socket socketserver ssl xmlrpc wsgiref ipaddress "
    "webbrowser mailbox",
    "numbers": "statistics random fractions _pydecimal numbers _pydatetime calendar colorsys datetime decimal heapq "
    "bisect",
    "testing": "unittest doctest pdb bdb trace cProfile timeit traceback pstats profile tracemalloc warnings logging",
    "text": "string textwrap difflib re csv json configparser html xml gettext locale codecs argparse optparse "
    "plistlib pprint reprlib shlex cmd getopt base64 quopri",
}
_LEAST_WORDS = 8
_CODE = (
    "argparse calendar configparser contextlib csv difflib fractions functools gettext heapq inspect pprint random "
    "shlex shutil statistics string textwrap threading tokenize traceback"
)
_FEWEST, _MOST = 6, 40
"""Words of a statement."""
_LAYOUT = {tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER, tokenize.ENCODING}
_OUTSIDE = "O"


@cache
def topics() -> pd.DataFrame:
    """The paragraphs of its docstrings, of eight words and more, and what the module is for: columns text, topic.

    Raises DataError where the interpreter came without its source.
    """
    rows: dict[str, tuple[str, str]] = {}
    for topic, modules in _TOPICS.items():
        for module in modules.split():
            for file in _files(module):
                for node in ast.walk(_parsed(file)):
                    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                        continue
                    line = 1 if isinstance(node, ast.Module) else node.lineno
                    for paragraph in re.split(r"\n\s*\n", ast.get_docstring(node) or ""):
                        text = " ".join(paragraph.split())
                        if len(text.split()) >= _LEAST_WORDS:
                            rows.setdefault(text, (topic, f"{file.name}:{line}"))
    _require(rows)
    frame = pd.DataFrame({"text": list(rows), "topic": [topic for topic, _ in rows.values()]}, dtype=object)
    frame.index = pd.Index([place for _, place in rows.values()], dtype=object)
    return frame


@cache
def roles() -> pd.DataFrame:
    """Its statements, and the part that each name plays: columns words and tags, of lists.

    What is no name is O. Raises DataError where the interpreter came without its source.
    """
    found: dict[tuple[str, ...], tuple[list[str], str]] = {}
    for module in _CODE.split():
        for file in _files(module):
            for line, words, tags in statements(file.read_text(encoding="utf-8")):
                if _FEWEST <= len(words) <= _MOST:
                    found.setdefault(tuple(words), (tags, f"{file.name}:{line}"))
    _require(found)
    index = pd.Index([place for _, place in found.values()], dtype=object)
    columns = {"words": [list(words) for words in found], "tags": [tags for tags, _ in found.values()]}
    return pd.DataFrame(columns, index, dtype=object)


def statements(source: str) -> Iterator[tuple[int, list[str], list[str]]]:
    """The line, the words and the tags of every statement of a program; a text in quotes counts as '...'."""
    parts = _Parts()
    parts.visit(ast.parse(source))
    words: list[str] = []
    tags: list[str] = []
    line, quotes = 1, 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NEWLINE:
            if quotes >= 0 and words:
                yield line, words, tags
            words, tags, quotes = [], [], 0
        elif token.type not in _LAYOUT:
            line = line if words else token.start[0]
            if "FSTRING" in tokenize.tok_name[token.type] or not token.string.isascii():
                quotes = -1  # some versions of Python cut up formatted texts, and columns count bytes: left out
            tags.append(_tag(token, words, parts.found))
            words.append("'...'" if token.type == tokenize.STRING else token.string)


def _tag(token: tokenize.TokenInfo, before: list[str], found: dict[tuple[int, int], str]) -> str:
    if token.type != tokenize.NAME or keyword.iskeyword(token.string):
        return _OUTSIDE
    defined = {"def": "function", "class": "class"}.get(before[-1] if before else "")
    imported = "module" if before and before[0] in ("import", "from") else _OUTSIDE
    return defined or found.get(token.start, imported)


class _Parts(ast.NodeVisitor):
    """The part that a name plays, by the line and column where it stands."""

    def __init__(self) -> None:
        self.found: dict[tuple[int, int], str] = {}

    def visit_Name(self, node: ast.Name) -> None:
        part = "variable" if isinstance(node.ctx, ast.Load) else "target"
        self.found.setdefault((node.lineno, node.col_offset), part)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.found.setdefault(_end(node), "attribute")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name):
            self.found[node.func.lineno, node.func.col_offset] = "call"
        if isinstance(node.func, ast.Attribute):
            self.found[_end(node.func)] = "method"
        self.found |= {(given.lineno, given.col_offset): "argument" for given in node.keywords if given.arg}
        self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> None:
        self.found[node.lineno, node.col_offset] = "parameter"
        self.generic_visit(node)


def _end(node: ast.Attribute) -> tuple[int, int]:
    """Where the name behind the dot stands."""
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return node.end_lineno, node.end_col_offset - len(node.attr)


def _files(module: str) -> list[Path]:
    """The source files of a module, without its tests; none where this Python has it not, or not in Python."""
    base = Path(sysconfig.get_path("stdlib")) / module
    if base.is_dir():
        return [path for path in sorted(base.rglob("*.py")) if "test" not in path.relative_to(base).parts]
    file = base.with_suffix(".py")
    return [file] if file.is_file() else []


def _parsed(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError, OSError) as error:
        raise DataError(file, f"cannot be read as Python ({error})", "install Python anew, or give --data") from None


def _require(rows: object) -> None:
    if not rows:
        problem = "this Python came without the source of its standard library"
        raise DataError("standard library", problem, "give data of your own with --data, or install Python whole")
