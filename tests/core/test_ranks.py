"""What the ranks tell one another, in processes of their own; alone, nothing is exchanged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import DataError, Interrupted, PenstockError, RecipeError, described, told_elsewhere
from penstock.core.machine import Place, place
from penstock.core.ranks import ALONE, Ranks
from penstock.core.shared import Shared, rows
from penstock.core.together import together

TWO = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}


def fake(rank: int, size: int) -> Ranks:
    """One of several ranks that is never connected."""
    ranks = Ranks()
    ranks.rank, ranks.size = rank, size
    return ranks


@given(st.integers(0, 300), st.integers(1, 9))
def test_shares_are_a_partition_into_nearly_equal_parts_of_two_or_more(count: int, size: int) -> None:
    shares = [range(count)[fake(rank, size).share(count)] for rank in range(size)]
    assert [i for share in shares for i in share] == list(range(count))
    held = [len(share) for share in shares if len(share)]
    assert not held or max(held) - min(held) <= 1
    assert count < 2 or min(held) >= 2
    assert len(held) == size or not held or count < 2 * (len(held) + 1)  # no rank idles without need
    assert held == sorted(held, reverse=True)
    assert [len(share) for share in shares[: len(held)]] == held  # the first rank is never idle


def test_alone_nothing_is_exchanged() -> None:
    tensor = torch.tensor([1.0, 2.0])
    ALONE.sum(tensor)
    ALONE.copy_from_first([tensor])
    assert tensor.tolist() == [1, 2]
    assert (ALONE.gather(3), ALONE.from_first("a"), ALONE.any(True), ALONE.any(False)) == ([3], "a", True, False)
    assert ALONE.attempt(lambda: 7) == 7
    assert ALONE.gather_tensors({"x": tensor})[0]["x"] is tensor
    with together() as ranks:
        assert ranks is ALONE


def test_alone_torch_is_not_even_imported() -> None:
    program = "import sys; from penstock.core.together import together\nwith together() as ranks: pass"
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nprint('torch' in sys.modules)"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Place(1, 2, 1, 2)),
        ({"LOCAL_RANK": ""}, Place(0, 1, 0, 1)),  # other launchers set some of them for other ends
        ({"RANK": "2"}, "do not fit together"),
        ({"LOCAL_WORLD_SIZE": "3"}, "do not fit together"),
        ({"WORLD_SIZE": "two"}, "are not four numbers"),
    ],
)
def test_the_place_is_what_torchrun_says(changes: Any, expected: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (TWO | changes).items():
        monkeypatch.setenv(name, text)
    if isinstance(expected, Place):
        assert place() == expected
        return
    with pytest.raises(RecipeError, match=expected):
        place()


@pytest.mark.parametrize(
    "error", [DataError("图.png", "gone", "put it back"), Interrupted(15, "step 3", "stopped", "resume")]
)
def test_an_error_is_the_same_elsewhere(error: PenstockError) -> None:
    found = told_elsewhere(described(error, 1))
    assert (type(found), str(found), found.code) == (type(error), str(error), error.code)
    assert found.told
    assert not error.told


def test_a_foreign_error_is_an_internal_one_elsewhere() -> None:
    found = told_elsewhere(described(ZeroDivisionError("by\nzero"), 1))
    assert str(found) == "rank 1: ZeroDivisionError: by zero; see what it said"
    assert found.code == 1


def exchanged(ranks: Ranks) -> dict[str, Any]:
    """Run on each rank: everything once."""
    torch.manual_seed(ranks.rank)
    number = torch.full((3,), float(ranks.rank + 1), dtype=torch.float64)
    ranks.sum(number)
    odd = [torch.full((2, 2), ranks.rank, dtype=kind) for kind in (torch.bool, torch.bfloat16, torch.int64)]
    strided = torch.full((1, 2, 2, 2), float(ranks.rank)).contiguous(memory_format=torch.channels_last)
    ranks.copy_from_first([*odd, strided])
    tensors = ranks.gather_tensors({"x": torch.arange(ranks.rank * 2), "y": torch.tensor(float(ranks.rank))})
    whole = [{"x": torch.tensor([float(i)])} for i in range(5)]
    seen: list[float] = []
    shared = Shared(lambda: whole, lambda: whole[ranks.rank :: ranks.size], ranks)

    def look(batch: Any) -> tuple[torch.Tensor, ...]:
        seen.append(batch["x"].item())
        return batch["x"] * 10, batch["x"].long()

    found = rows(shared, look)
    failures = []
    for failing in ([], [1], [0, 1]):
        try:
            failures.append(ranks.attempt(lambda failing=failing: work(ranks.rank, failing)))
        except PenstockError as error:
            failures.append(f"{error} {error.told}")
    try:  # one rank fails before the others come to what they do together within the same work
        ranks.attempt(lambda: work(ranks.rank, [0]) if ranks.first else ranks.attempt(lambda: 1))
    except PenstockError as error:
        failures.append(str(error))
    return {
        "sum": number.tolist(),
        "copied": [float(t.sum()) for t in (*odd, strided)],
        "gathered": ranks.gather({"rank": ranks.rank, "nan": "é" * ranks.rank}),
        "any": [ranks.any(ranks.rank == 1), ranks.any(False)],
        "tensors": [{name: t.tolist() for name, t in one.items()} for one in tensors],
        "rows": [[a.item(), b.item()] for a, b in found],
        "iterated": sum(batch["x"].item() for batch in shared),
        "seen": seen,
        "failures": failures,
    }


def work(rank: int, failing: list[int]) -> int:
    if rank in failing:
        raise DataError(f"file {rank}", "gone", "put it back")
    return rank


def test_two_ranks_tell_one_another(rank_processes: Any, tmp_path: Path) -> None:
    found = rank_processes.call(tmp_path, __file__, "exchanged")
    said = "file 1: gone; put it back"
    own = [{**one} for one in found]
    assert [one.pop("seen") for one in own] == [[0, 2, 4], [1, 3]]
    assert [one.pop("failures") for one in own] == [
        [0, f"{said} True", "file 0: gone; put it back False", "file 0: gone; put it back"],
        [1, f"{said} False", "file 1: gone; put it back False", "file 0: gone; put it back"],
    ]
    assert own[0] == own[1]
    assert own[0] == {
        "sum": [3, 3, 3],
        "copied": [0, 0, 0, 0],
        "gathered": [{"rank": 0, "nan": ""}, {"rank": 1, "nan": "é"}],
        "any": [True, False],
        "tensors": [{"x": [], "y": 0.0}, {"x": [0, 1], "y": 1.0}],
        "rows": [[10.0 * i, i] for i in range(5)],
        "iterated": 10.0,
    }


def again(ranks: Ranks, kind: str) -> list[Any]:
    """Run on each rank: an error ends a session on all ranks, and another session may begin."""
    caught = []
    ranks.close()
    for turn in range(3):
        try:
            with together() as inner:
                caught.append(inner.gather(turn))
                if inner.rank == turn % 2:
                    raise DataError(f"turn {turn}", "gone", "put it back") if kind == "said" else SystemError("a bug")
                inner.gather(None)
        except (PenstockError, SystemError) as error:
            caught.append([str(error), getattr(error, "told", False), getattr(error, "code", 1)])
    return caught


@pytest.mark.parametrize("kind", ["said", "bug"])
def test_an_error_of_one_is_the_error_of_all(kind: str, rank_processes: Any, tmp_path: Path) -> None:
    found = rank_processes.call(tmp_path, __file__, "again", kind)
    for rank in range(2):
        assert found[rank][::2] == [[0, 0], [1, 1], [2, 2]]
        for turn, (said, told, code) in enumerate(found[rank][1::2]):
            assert told == (rank != turn % 2)
            assert code == (3 if kind == "said" else 1)
            assert (f"turn {turn}: gone" if kind == "said" else "a bug") in said
