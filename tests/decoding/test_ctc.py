"""Decoding against all paths, one by one."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict

import pytest
import torch
from torch import Tensor

from penstock.decoding.ctc import PrefixBeam, collapse, greedy
from penstock.decoding.ngram import END, NGram

STEPS, TOKENS = 5, 3


def enumerated(logprob: Tensor) -> dict[tuple[int, ...], float]:
    """p of every sequence, as the sum over all paths that stand for it."""
    found: dict[tuple[int, ...], float] = defaultdict(float)
    rows = logprob.double().exp().tolist()
    for path in itertools.product(range(logprob.shape[1]), repeat=len(logprob)):
        found[tuple(collapse(path))] += math.prod(row[token] for row, token in zip(rows, path, strict=True))
    return found


def random_steps(seed: int, steps: int = STEPS) -> Tensor:
    return (2 * torch.randn(steps, TOKENS, generator=torch.Generator().manual_seed(seed))).log_softmax(1)


def test_repeats_and_blanks() -> None:
    assert collapse([0, 1, 1, 0, 1, 2, 2, 0]) == [1, 1, 2]
    assert collapse([]) == collapse([0, 0]) == []


def test_greedy_takes_the_likeliest_path_and_stops_at_the_length() -> None:
    logprob = torch.stack([random_steps(seed) for seed in range(4)])
    lengths = torch.tensor([5, 3, 1, 0])
    paths = logprob.argmax(2)
    assert greedy(logprob, lengths) == [collapse(p[:n].tolist()) for p, n in zip(paths, [5, 3, 1, 0], strict=True)]


@pytest.mark.parametrize("seed", range(8))
def test_a_wide_beam_gives_every_sequence_its_probability(seed: int) -> None:
    logprob = random_steps(seed)
    found = PrefixBeam(width=10_000, least=1e-30).search(logprob)
    wanted = enumerated(logprob)
    assert len(found) == len(wanted)
    for one in found:
        assert math.exp(one.score) == pytest.approx(wanted[tuple(one.tokens)])
    assert math.exp(found[0].score) == pytest.approx(max(wanted.values()))


@pytest.mark.parametrize("seed", range(8))
def test_with_a_language_it_finds_the_best_of_both(seed: int) -> None:
    logprob = random_steps(seed)
    language = NGram.fit([[1, 2, 1], [1, 2], [2, 1, 2]], order=3, size=TOKENS)
    weight, bonus = 0.7, 0.3
    best, score = None, -math.inf
    for sequence, p in enumerated(logprob).items():
        told = sum(language.logprob(sequence[:i], token) for i, token in enumerate((*sequence, END)))
        total = math.log(p) + weight * told + bonus * len(sequence)
        best, score = (sequence, total) if total > score else (best, score)
    beam = PrefixBeam(width=10_000, language=language, weight=weight, bonus=bonus, least=1e-30)
    found = beam.search(logprob)[0]
    assert (tuple(found.tokens), found.score) == (best, pytest.approx(score))


def test_a_narrow_beam_beats_the_likeliest_path_where_many_paths_agree() -> None:
    # the path of blanks has 0.36, more than any other; yet "1" has 0.64 over its three paths
    step = torch.tensor([0.6, 0.4, 1e-9]).log()
    logprob = torch.stack([step, step])
    assert greedy(logprob[None], torch.tensor([2])) == [[]]
    assert PrefixBeam(width=2)(logprob[None], torch.tensor([2])) == [[1]]


def test_steps_beyond_the_length_are_not_heard() -> None:
    logprob = random_steps(3, 9)
    beam = PrefixBeam(width=50)
    assert beam(logprob[None], torch.tensor([4])) == [beam.search(logprob[:4])[0].tokens]
    assert beam(logprob[None], torch.tensor([0])) == [[]]
