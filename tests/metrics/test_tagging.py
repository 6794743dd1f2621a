"""Spans by hand in every scheme, and their scores against counting one by one."""

from __future__ import annotations

import random

import pytest

from penstock.metrics.tagging import marks_spans, span_scores, spans


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ("O O", []),
        ("B-A I-A O B-A", [("A", 0, 2), ("A", 3, 4)]),
        ("B-A B-A I-A", [("A", 0, 1), ("A", 1, 3)]),  # two neighbours
        ("I-A I-A B-A", [("A", 0, 2), ("A", 2, 3)]),  # IOB1: B only where two of a kind meet
        ("O I-A I-B", [("A", 1, 2), ("B", 2, 3)]),
        ("B-A I-B", [("A", 0, 1), ("B", 1, 2)]),
        ("S-A B-A I-A E-A S-B", [("A", 0, 1), ("A", 1, 4), ("B", 4, 5)]),
        ("U-A B-A L-A I-A", [("A", 0, 1), ("A", 1, 3), ("A", 3, 4)]),
        ("E-A E-A", [("A", 0, 1), ("A", 1, 2)]),
        ("B-北-京 I-北-京", [("北-京", 0, 2)]),
    ],
)
def test_spans_of_every_scheme(tags: str, found: list[tuple[str, int, int]]) -> None:
    assert spans(tags.split()) == found


def test_which_tags_mark_spans() -> None:
    assert marks_spans(["O", "B-PER", "I-PER"])
    assert marks_spans(["S-a", "E-b"])
    assert not marks_spans(["O"])
    assert not marks_spans(["O", "B-PER", "NOUN"])
    assert not marks_spans(["variable", "O"])


def slow(tags: list[str]) -> set[tuple[str, int, int]]:
    """Of IOB2 tags that may be out of place: each start, then as far as it goes."""
    found = set()
    for start in range(len(tags)):
        if tags[start] == "O":
            continue
        kind = tags[start][2:]
        begins = tags[start][0] == "B" or start == 0 or tags[start - 1][2:] != kind
        if begins:
            end = start + 1
            while end < len(tags) and tags[end] == f"I-{kind}":
                end += 1
            found.add((kind, start, end))
    return found


def test_scores_against_counting() -> None:
    draw = random.Random(0)
    names = ["O", "B-x", "I-x", "B-y", "I-y"]
    sentences = [[draw.choice(names) for _ in range(draw.randrange(1, 9))] for _ in range(60)]
    guesses = [[tag if draw.random() < 0.7 else draw.choice(names) for tag in tags] for tags in sentences]
    total, each = span_scores(guesses, sentences)
    truth = {(i, *span) for i, tags in enumerate(sentences) for span in slow(tags)}
    ours = {(i, *span) for i, tags in enumerate(guesses) for span in slow(tags)}
    assert total.precision == pytest.approx(len(truth & ours) / len(ours))
    assert total.recall == pytest.approx(len(truth & ours) / len(truth))
    assert total.f1 == pytest.approx(2 * len(truth & ours) / (len(truth) + len(ours)))
    assert total.support == len(truth)
    of_x = [{span for span in found if span[1] == "x"} for found in (truth, ours)]
    assert each["x"].recall == pytest.approx(len(of_x[0] & of_x[1]) / len(of_x[0]))
    assert list(each) == ["x", "y"]


def test_nothing_found_and_nothing_there() -> None:
    total, each = span_scores([["O", "O"]], [["O", "O"]])
    assert (total.precision, total.recall, total.f1, total.support) == (0, 0, 0, 0)
    assert each == {}
