"""Greedy and beam search against the enumeration of all sequences."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from penstock.core.errors import RecipeError
from penstock.decoding.beam import Hypothesis, State, Step, beam_search, greedy

END, MOST = 3, 4


class Chance:
    """A random model of V tokens that remembers every token written: a table of logits for each beginning."""

    def __init__(self, seed: int, vocabulary: int = 4, sharpness: float = 2.0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.vocabulary = vocabulary
        self.tables = torch.randn(20_000, vocabulary, generator=generator) * sharpness

    def begin(self, examples: int) -> State:
        return (torch.arange(1, examples + 1).unsqueeze(1),)  # the example's number, then the tokens

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        (written,) = state
        written = torch.cat([written, tokens.unsqueeze(1)], dim=1)
        key = torch.zeros(len(tokens), dtype=torch.int64)
        for column in written.T:
            key = (key * 31 + column + 7) % 19_997
        return self.tables[key], (written,)

    def all_sequences(self, example: int, penalty: float) -> list[Hypothesis]:
        """Every sequence of up to MOST tokens and an end, best first."""
        found = []
        others = [token for token in range(self.vocabulary) if token != END]
        for length in range(MOST + 1):
            for tokens in itertools.product(others, repeat=length):
                state, total, last = (torch.tensor([[example + 1]]),), 0.0, 2
                for token in (*tokens, END):
                    logits, state = self.step(torch.tensor([last]), state)
                    total, last = total + float(logits.log_softmax(1)[0, token]), token
                found.append(Hypothesis(tokens, total, total / ((6 + length) / 6) ** penalty))
        return sorted(found, key=lambda one: -one.score)


FIRST = torch.full((3,), 2)


@pytest.mark.parametrize("penalty", [0.0, 0.6, 2.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_beam_as_wide_as_all_beginnings_finds_the_best_of_all_sequences(seed: int, penalty: float) -> None:
    model = Chance(seed)
    options = {"end": END, "most": MOST, "penalty": penalty}
    found = beam_search(model.step, model.begin(3), FIRST, width=3**MOST, keep=3**MOST, **options)
    for example in range(3):
        wanted = model.all_sequences(example, penalty)[: 3**MOST]
        for ours, theirs in zip(found[example], wanted, strict=False):
            assert ours.tokens == theirs.tokens
            assert ours.logprob == pytest.approx(theirs.logprob, abs=1e-4)
            assert ours.score == pytest.approx(theirs.score, abs=1e-4)
        assert len(found[example]) >= 10


def test_the_search_ends_early_without_missing_better_ends() -> None:
    ended_early = 0
    for seed in range(60):
        model, steps = Chance(seed, sharpness=2.0 + seed % 3), []

        def step(tokens: Tensor, state: State, model: Chance = model, steps: list[int] = steps) -> tuple[Tensor, State]:
            steps.append(len(tokens))
            return model.step(tokens, state)

        (found, *_) = beam_search(step, model.begin(1), FIRST[:1], end=END, most=MOST, width=3, keep=2, penalty=1.5)
        ended_early += len(steps) < MOST + 1
        by_hand = slow_beam(model, width=3, penalty=1.5)
        assert [one.tokens for one in found] == [one.tokens for one in by_hand][:2]
    assert ended_early > 5


def slow_beam(model: Chance, *, width: int, penalty: float) -> list[Hypothesis]:
    """The same search for the first example, one beginning at a time and without ending early."""
    beginnings: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    done: list[Hypothesis] = []
    for length in range(MOST + 1):
        longer = []
        for tokens, total in beginnings:
            state = model.begin(1)
            for token in (2, *tokens):
                logits, state = model.step(torch.tensor([token]), state)
            logprobs = logits.log_softmax(1)[0].tolist()
            ended = total + logprobs[END]
            done.append(Hypothesis(tokens, ended, ended / ((6 + length) / 6) ** penalty))
            longer += [((*tokens, t), total + logprobs[t]) for t in range(model.vocabulary) if t != END]
        beginnings = sorted(longer, key=lambda one: -one[1])[:width]
    return sorted(done, key=lambda one: -one.score)[:width]


def test_a_beam_of_one_without_penalty_is_at_least_as_good_as_greedy() -> None:
    for seed in range(20):
        model = Chance(seed)
        beams = beam_search(model.step, model.begin(3), FIRST, end=END, most=MOST, width=1, penalty=0.0)
        plain = greedy(model.step, model.begin(3), FIRST, end=END, most=MOST)
        assert all(best.logprob >= line.logprob - 1e-5 for (best,), line in zip(beams, plain, strict=True))


def test_greedy_takes_the_likeliest_each_time() -> None:
    model = Chance(5)
    for example, found in enumerate(greedy(model.step, model.begin(3), FIRST, end=END, most=MOST)):
        state, last, written, total = (torch.tensor([[example + 1]]),), 2, [], 0.0
        while True:
            logits, state = model.step(torch.tensor([last]), state)
            last = END if len(written) == MOST else int(logits.argmax())
            total += float(logits.log_softmax(1)[0, last])
            if last == END:
                break
            written.append(last)
        assert found.tokens == tuple(written)
        assert found.logprob == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize("search", [greedy, lambda *a, **k: beam_search(*a, **k)[0]])
def test_tokens_that_may_not_be_written_are_not(search: object) -> None:
    model = Chance(1, vocabulary=6)
    for line in search(model.step, model.begin(3), FIRST, end=END, most=MOST, never=(0, 1, 2)):  # type: ignore[operator]
        assert set(line.tokens) <= {4, 5}


def test_examples_do_not_disturb_each_other() -> None:
    model = Chance(9)
    options = {"end": END, "most": MOST, "width": 3}
    together = beam_search(model.step, model.begin(3), FIRST, **options)
    (state,) = model.begin(3)
    alone = [beam_search(model.step, (state[i : i + 1],), FIRST[:1], **options)[0] for i in range(3)]
    assert [[line.tokens for line in lines] for lines in together] == [[x.tokens for x in lines] for lines in alone]
    assert math.isfinite(together[0][0].score)


def test_sizes_that_make_no_sense_are_refused() -> None:
    step: Step = Chance(0).step
    with pytest.raises(RecipeError, match="width is 0"):
        beam_search(step, (), FIRST, end=END, most=3, width=0)
