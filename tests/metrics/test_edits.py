"""Edit distance against the textbook recursion, and the rates made of it."""

from __future__ import annotations

from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.metrics.edits import cer, edit_distance, error_rate, wer

WORDS = st.text("abc", max_size=7)


def recursive(one: str, other: str) -> int:
    @cache
    def distance(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        replaced = distance(i - 1, j - 1) + (one[i - 1] != other[j - 1])
        return min(distance(i - 1, j) + 1, distance(i, j - 1) + 1, replaced)

    return distance(len(one), len(other))


@settings(max_examples=200, deadline=None)
@given(WORDS, WORDS)
def test_the_distance_is_that_of_the_definition(one: str, other: str) -> None:
    assert edit_distance(one, other) == recursive(one, other)


def test_known_distances() -> None:
    assert edit_distance("kitten", "sitting") == 3
    assert edit_distance("", "abc") == edit_distance("abc", "") == 3
    assert edit_distance([], []) == 0
    assert edit_distance(["new", "york"], ["york"]) == 1


def test_rates_count_all_pairs_together() -> None:
    assert cer(["kitten", "ab"], ["sitting", "abc"]) == 4 / 10
    assert wer(["the cat", "x"], ["the  cat sat", "x"]) == 1 / 4
    assert cer(["明天"], ["今天"]) == 0.5
    assert error_rate(["abcd"], ["a"]) == 3
    assert cer([""], [""]) == 0
