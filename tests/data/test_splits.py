from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.errors import DataError
from penstock.data.splits import PARTS, split


def sound(splits, count):
    assert list(splits) == list(PARTS)
    assert all(np.array_equal(rows, np.sort(rows)) for rows in splits.values())
    assert np.array_equal(np.sort(np.concatenate(list(splits.values()))), np.arange(count))


fractions = st.floats(0.02, 0.45)


@settings(max_examples=150, deadline=None)
@given(st.integers(60, 400), st.integers(0, 2**40), fractions, fractions)
def test_disjoint_complete_reproducible_and_within_one_of_the_exact_shares(count, seed, validation, test):
    splits = split(count, seed=seed, validation=validation, test=test)
    sound(splits, count)
    for name, share in zip(PARTS, (1 - validation - test, validation, test), strict=True):
        assert abs(len(splits[name]) - share * count) < 1 + 1e-6
    again = split(count, seed=seed, validation=validation, test=test)
    assert all(np.array_equal(splits[name], again[name]) for name in PARTS)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=2, max_size=25),
    st.integers(0, 1000),
    st.floats(0.05, 0.25),
    st.floats(0.05, 0.25),
)
def test_every_class_is_divided_within_one_row_of_its_exact_share(sizes, seed, validation, test):
    sizes = [*sizes, 60]
    strata = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes)).astype(str).astype(object)
    splits = split(len(strata), seed=seed, validation=validation, test=test, strata=strata)
    sound(splits, len(strata))
    several = sum(size for size in sizes if size > 1)
    for name, share in zip(PARTS, (1 - validation - test, validation, test), strict=True):
        found = [int((strata[splits[name]] == str(label)).sum()) for label in range(len(sizes))]
        for size, got in zip(sizes, found, strict=True):
            if size == 1:
                assert got == (name == "train")
            else:
                assert abs(got - share * size) < 1 + 1e-6
                assert got >= (name == "train")
        total = sum(got for size, got in zip(sizes, found, strict=True) if size > 1)
        assert abs(total - share * several) < 1 + 1e-6


def test_many_small_classes_still_fill_every_part():
    strata = np.repeat(np.arange(100), 3)
    splits = split(300, seed=0, validation=0.1, test=0.1, strata=strata)
    assert [len(splits[name]) for name in PARTS] == [240, 30, 30]
    assert len(np.unique(strata[splits["test"]])) == 30


def test_a_class_keeps_a_row_in_training_whatever_the_fractions():
    strata = np.repeat(np.arange(10), 2)
    for seed in range(20):
        splits = split(20, seed=seed, validation=0.4, test=0.4, strata=strata)
        assert set(strata[splits["train"]]) == set(range(10))


def test_rows_are_spread_evenly_and_the_seed_matters():
    hits = np.zeros(50)
    for seed in range(400):
        hits[split(50, seed=seed, validation=0.2, test=0.2)["test"]] += 1
    assert abs(hits - 80).max() < 5 * np.sqrt(400 * 0.2 * 0.8)
    one, other = (split(50, seed=seed, validation=0.2, test=0.2) for seed in (1, 2))
    assert not np.array_equal(one["test"], other["test"])


def test_a_given_split_is_respected_and_only_what_is_missing_is_cut_from_train():
    names = np.array(["Train"] * 80 + ["TEST "] * 20, dtype=object)
    splits = split(100, seed=0, validation=0.1, test=0.5, given=names)
    sound(splits, 100)
    assert np.array_equal(splits["test"], np.arange(80, 100))
    assert len(splits["validation"]) == 8
    whole = np.array(["train", "val", "test", "dev", "valid", "validation", "training"], dtype=object)
    splits = split(7, seed=0, validation=0.3, test=0.3, given=whole)
    assert [rows.tolist() for rows in splits.values()] == [[0, 6], [1, 3, 4, 5], [2]]


@pytest.mark.parametrize(
    ("bad", "shown"), [("tset", r"'tset' .*did you mean 'test'\?"), (None, "'None'"), (float("nan"), "'nan'")]
)
def test_an_unknown_name_of_a_part_is_refused(bad, shown):
    with pytest.raises(DataError, match=rf"row 2 of the splits: {shown}"):
        split(3, seed=0, validation=0.1, test=0.1, given=np.array(["train", bad, "test"], dtype=object))


@pytest.mark.parametrize(
    ("count", "options", "empty"),
    [
        (2, {}, "validation|test"),
        (0, {}, "train and validation and test"),
        (20, {"strata": np.arange(20)}, "validation and test"),
        (4, {"given": np.array(["test", "test", "val", "val"])}, "train"),
    ],
)
def test_an_empty_part_is_an_error_with_counts(count, options, empty):
    with pytest.raises(
        DataError, match=rf"of {count} rows none are left for .*({empty}) \(train \d+, validation \d+, test \d+"
    ):
        split(count, **({"seed": 0, "validation": 0.1, "test": 0.1} | options))


@pytest.mark.parametrize(("validation", "test"), [(0.6, 0.6), (0.5, 0.5), (0.9, 0.1)])
def test_fractions_that_leave_nothing_to_train_on(validation, test):
    with pytest.raises(DataError, match=rf"validation {validation} and test {test} of 20 rows leave none for train"):
        split(20, seed=0, validation=validation, test=test)
