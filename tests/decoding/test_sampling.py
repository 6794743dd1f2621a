"""Drawing tokens: the probabilities by hand, the draws by chi-square, and text that ends."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from penstock.core.errors import RecipeError
from penstock.decoding.sampling import Sampling, generate

SCORES = torch.tensor([[2.0, 1.0, 0.5, 0.5, -1.0, -30.0]])


def softmax(values: list[float]) -> list[float]:
    parts = [math.exp(v) for v in values]
    return [p / sum(parts) for p in parts]


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(), softmax(SCORES[0].tolist())),
        (Sampling(temperature=0.5), softmax([2 * v for v in SCORES[0].tolist()])),
        (Sampling(temperature=0), [1, 0, 0, 0, 0, 0]),
        (Sampling(top_k=1), [1, 0, 0, 0, 0, 0]),
        (Sampling(top_k=3), [*softmax([2.0, 1.0, 0.5]), 0, 0, 0]),  # of equals, the first
        (Sampling(top_k=99), softmax(SCORES[0].tolist())),
        (Sampling(top_p=0.5), [1, 0, 0, 0, 0, 0]),
        (Sampling(top_p=0.6), [*softmax([2.0, 1.0]), 0, 0, 0, 0]),
        (Sampling(top_p=1e-9), [1, 0, 0, 0, 0, 0]),
        (Sampling(top_p=1.0), softmax(SCORES[0].tolist())),
        (Sampling(never=[0]), [0, *softmax(SCORES[0, 1:].tolist())]),
        (Sampling(never=[0], temperature=0), [0, 1, 0, 0, 0, 0]),
    ],
)
def test_what_is_drawn_from(sampling: Sampling, expected: list[float]) -> None:
    assert sampling.probabilities(SCORES)[0].tolist() == pytest.approx(expected, abs=1e-12)


def test_top_p_acts_on_what_top_k_has_left() -> None:
    probabilities = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log()
    found = Sampling(top_k=2, top_p=0.5).probabilities(probabilities)[0].tolist()
    assert found == pytest.approx([1.0, 0, 0, 0])  # 0.4 / 0.7 is more than half


def test_top_p_keeps_the_fewest_that_reach_it() -> None:
    generator = torch.Generator().manual_seed(0)
    for p in (0.1, 0.5, 0.9, 0.99):
        scores = torch.randn(20, 50, generator=generator) * 3
        plain, kept = scores.double().softmax(1), Sampling(top_p=p).probabilities(scores) > 0
        reached = (plain * kept).sum(1)
        smallest = plain.masked_fill(~kept, 2.0).min(1).values
        assert bool((reached >= p - 1e-12).all())
        assert bool((reached - smallest < p).all())


@pytest.mark.parametrize(
    "sampling", [Sampling(), Sampling(temperature=0.7), Sampling(top_k=3), Sampling(top_p=0.8), Sampling(never=[1])]
)
def test_the_draws_follow_the_probabilities(sampling: Sampling) -> None:
    generator = torch.Generator().manual_seed(5)
    drawn = sampling.draw(SCORES.expand(20_000, -1), generator)
    expected = sampling.probabilities(SCORES)[0] * 20_000
    counts = torch.bincount(drawn, minlength=6)
    assert not counts[expected == 0].any()
    enough = expected > 5
    found, wanted = counts[enough].double(), expected[enough]
    assert chisquare(found, wanted * found.sum() / wanted.sum()).pvalue > 1e-6


@pytest.mark.parametrize("wrong", [{"temperature": -1.0}, {"temperature": math.nan}, {"top_k": 0}, {"top_p": 0.0}])
def test_settings_that_make_no_sense(wrong: dict[str, float]) -> None:
    with pytest.raises(RecipeError):
        Sampling(**wrong)  # type: ignore[arg-type]


class Counting:
    """Foretells the token after the last one, of 10, and remembers how many it has read."""

    def __init__(self) -> None:
        self.read: list[tuple[int, int]] = []

    def begin(self, examples: int) -> tuple[Tensor, ...]:
        return (torch.zeros(examples, dtype=torch.int64),)

    def advance(self, x: Tensor, carry: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        self.read.append((int(carry[0][0]), x.shape[1]))
        scores = torch.nn.functional.one_hot((x + 1) % 10, 10) * 50.0
        return scores, (carry[0] + x.shape[1],)


def test_a_text_goes_on_and_ends() -> None:
    model = Counting()
    prompt = torch.tensor([[3, 4], [6, 7]])
    found = torch.stack(list(generate(model, prompt, Sampling(), seed=0, length=20, stop=9)), 1)
    assert found.tolist() == [[5, 6, 7, 8, 9], [8, 9, 9, 9, 9]]
    assert model.read == [(0, 2), (2, 1), (3, 1), (4, 1), (5, 1)]


def test_a_model_with_a_short_memory_reads_the_last_half_anew() -> None:
    model = Counting()
    found = torch.cat(list(generate(model, torch.tensor([[0]]), Sampling(), seed=0, length=8, context=4)))
    assert found.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert model.read == [(0, 1), (1, 1), (2, 1), (3, 1), (0, 2), (2, 1), (3, 1), (0, 2)]


def test_the_same_seed_gives_the_same_text() -> None:
    class Even(Counting):
        def advance(self, x: Tensor, carry: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
            return torch.zeros(*x.shape, 10), carry

    def text(seed: int) -> list[int]:
        return torch.cat(list(generate(Even(), torch.tensor([[0]]), Sampling(), seed=seed, length=20))).tolist()

    assert text(1) == text(1)
    assert text(1) != text(2)
