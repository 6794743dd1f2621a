"""Errors are one line, find their way home from worker processes, and carry the exit code of their kind."""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import pytest

from penstock.core import errors
from penstock.core.errors import DataError, Interrupted, PenstockError, suggest

KINDS = {
    errors.RecipeError: 2,
    errors.DataError: 3,
    errors.CheckpointError: 4,
    errors.NumericError: 5,
    errors.ResourceError: 6,
    errors.WorkerError: 7,
}


def fail(path: str) -> None:
    raise DataError(path, "damaged", "replace it")


@pytest.mark.parametrize(("kind", "code"), KINDS.items())
def test_one_line_whatever_goes_in_and_the_code_of_its_kind(kind: type[PenstockError], code: int) -> None:
    error = kind("数据/一.csv", "first\n\n  second\tthird", "do\r\nthis")
    assert str(error) == "数据/一.csv: first second third; do this"
    assert (error.code, error.where, error.problem) == (code, "数据/一.csv", "first\n\n  second\tthird")


@pytest.mark.parametrize("kind", KINDS)
def test_survives_pickling(kind: type[PenstockError]) -> None:
    back = pickle.loads(pickle.dumps(kind("图", "坏了", "换一张")))
    assert type(back) is kind
    assert (str(back), back.remedy) == ("图: 坏了; 换一张", "换一张")


def test_an_interruption_survives_pickling_with_its_signal() -> None:
    back = pickle.loads(pickle.dumps(Interrupted(15, "step 3", "stopped", "resume")))
    assert (type(back), back.code, str(back)) == (Interrupted, 143, "step 3: stopped; resume")


def test_comes_home_from_a_worker_process() -> None:
    with (
        ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool,
        pytest.raises(DataError, match=r"^图片\.png: damaged; replace it$"),
    ):
        pool.submit(fail, "图片.png").result(timeout=20)


def test_suggests_the_nearest_name_in_any_case_and_alphabet() -> None:
    assert suggest("lerning_rate", ["weight_decay", "Learning_Rate"]) == "did you mean 'Learning_Rate'?"
    assert suggest("LERNING_RATE", ["weight_decay", "learning_rate"]) == "did you mean 'learning_rate'?"
    assert suggest("房屋价格", ["面积", "房屋的价格"]) == "did you mean '房屋的价格'?"


def test_lists_what_there_is_where_nothing_is_near() -> None:
    assert suggest("xyz", ["a1", "b2"]) == "choose one of: a1, b2"
    assert suggest("xyz", (f"name{i:02}" for i in range(21))).endswith("name18, name19, ...")
    assert suggest("xyz", []) == "there is none to choose from"
