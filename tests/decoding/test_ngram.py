"""The n-gram model: probabilities by hand, that they add up to 1, and that it comes back from JSON."""

from __future__ import annotations

import json
import math

import pytest

from penstock.decoding.ngram import END, NGram

TEXTS = [[0, 1, 0], [0, 1], [2]]


def test_probabilities_by_hand() -> None:
    model = NGram.fit(TEXTS, order=2, size=3)
    # 9 tokens with the ends, of 4 kinds: 0 three times, 1 twice, 2 once, the end three times
    once = (2 + 4 / 4) / (9 + 4)
    assert math.exp(model.logprob([2], 1)) == pytest.approx((0 + 1 * once) / (1 + 1))
    # 0 was followed twice by 1 and once by the end
    assert math.exp(model.logprob([2, 0], 1)) == pytest.approx((2 + 2 * once) / (3 + 2))


@pytest.mark.parametrize("before", [[], [0], [1, 0], [2, 2, 2], [0, 1, 0, 1]])
def test_what_may_follow_adds_up_to_one(before: list[int]) -> None:
    model = NGram.fit(TEXTS, order=3, size=3)
    assert sum(math.exp(model.logprob(before, token)) for token in (0, 1, 2, END)) == pytest.approx(1)


def test_it_comes_back_from_json() -> None:
    model = NGram.fit(TEXTS, order=3, size=3)
    again = NGram.from_json(json.loads(json.dumps(model.to_json())))
    for before in ([], [0, 1], [1, 2]):
        assert [again.logprob(before, t) for t in (0, END)] == [model.logprob(before, t) for t in (0, END)]
