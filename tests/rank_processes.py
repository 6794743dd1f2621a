"""Several ranks of one run, for tests."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

Moment = tuple[str, str, int, int]


@dataclass(frozen=True)
class Ended:
    """How some ranks ended: exit codes, what each wrote, and the seconds from the first failure to the last exit."""

    codes: list[int]
    errors: list[str]
    seconds: float

    def told(self) -> list[str]:
        """Every line of error, of all ranks."""
        return [line for text in self.errors for line in text.splitlines() if line.startswith("penstock: ")]


class RankProcesses:
    """Forks ranks out of a process that has everything imported (see rank_nursery.py)."""

    def __init__(self, nursery: subprocess.Popen[str]) -> None:
        self._nursery = nursery

    def run(
        self,
        folder: Path,
        words: Sequence[str],
        size: int = 2,
        moments: Mapping[int, Sequence[Moment]] | None = None,
        after: tuple[float, Sequence[int], int] | None = None,
    ) -> Ended:
        """A command line on `size` ranks, in a folder.

        `moments`: a rank signals itself at the n-th call of a method, ("module:Class", "method", n, signal). `after`:
        so many seconds after the start, these ranks get a signal.
        """
        return self._ask(folder, size, moments, after, words=[*words])

    def call(
        self, folder: Path, file: str, function: str, *arguments: Any, size: int = 2, moments: Any = None
    ) -> list[Any]:
        """What a test module's function returns on each rank, as JSON values; None where it failed."""
        ended = self._ask(folder, size, moments, None, call=[file, function, list(arguments)])
        results = [folder / f"result.{rank}.json" for rank in range(size)]
        assert all(path.exists() for path in results), "\n".join(ended.errors)
        return [json.loads(path.read_text(encoding="utf-8")) for path in results]

    def _ask(self, folder: Path, size: int, moments: Any, after: Any, **job: Any) -> Ended:
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        asked = {"folder": str(folder), "size": size, "moments": moments or {}, "after": after, **job}
        self._nursery.stdin.write(json.dumps(asked) + "\n")
        self._nursery.stdin.flush()
        codes, seconds = json.loads(self._nursery.stdout.readline())
        errors = [(folder / f"stderr.{rank}.txt").read_text(encoding="utf-8") for rank in range(size)]
        return Ended(codes, errors, seconds)


@pytest.fixture(scope="session")
def rank_processes() -> Iterator[RankProcesses]:
    """See `RankProcesses`."""
    program = [sys.executable, str(Path(__file__).with_name("rank_nursery.py"))]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as nursery:
        assert nursery.stdout is not None
        assert nursery.stdout.readline().strip() == "ready"
        yield RankProcesses(nursery)
        assert nursery.stdin is not None
        nursery.stdin.close()
