"""Attention against torch.nn, and each of its ways against the others."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.core.errors import RecipeError
from penstock.nn import attention
from penstock.nn.attention import CrossAttention, SelfAttention, attend, padding_bias
from penstock.nn.scores import Additive, Multiplicative


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("steps", "keys"), [(6, 6), (1, 6), (3, 6)])
def test_both_ways_agree_with_the_formula(
    steps: int, keys: int, causal: bool, masked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    query, key, value = drawn(2, 3, steps, 4), drawn(2, 3, keys, 4), drawn(2, 3, keys, 4)
    lengths = torch.tensor([6, 4])
    bias = padding_bias(lengths, keys) if masked else None
    scores = query @ key.transpose(2, 3) / math.sqrt(4)
    for b in range(2):
        for t in range(steps):
            for s in range(keys):
                if (causal and s > t + keys - steps) or (masked and s >= lengths[b]):
                    scores = scores.index_put(
                        (torch.tensor(b), torch.arange(3), torch.tensor(t), torch.tensor(s)),
                        torch.tensor(-math.inf, dtype=torch.float64),
                    )
    wanted = scores.softmax(3) @ value
    gradients = torch.autograd.grad(wanted.square().sum(), (query, key, value))
    for limit in (0, 10_000):  # the fused kernel, and two products
        monkeypatch.setattr(attention, "SHORT", limit)
        found = attend(query, key, value, bias=bias, causal=causal)
        torch.testing.assert_close(found, wanted, rtol=1e-7, atol=1e-7)
        for ours, theirs in zip(torch.autograd.grad(found.square().sum(), (query, key, value)), gradients, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-7)


def test_short_sequences_do_not_call_the_fused_kernel_and_long_ones_do(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    original = F.scaled_dot_product_attention

    def noted(query: Tensor, *args: Tensor, **options: object) -> Tensor:
        calls.append(query.shape[2])
        return original(query, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(F, "scaled_dot_product_attention", noted)
    for steps, kind in ((128, torch.float32), (129, torch.float32), (200, torch.bfloat16)):
        x = torch.randn(1, 1, steps, 4, dtype=kind)
        attend(x, x, x, causal=True)
    assert calls == [129]


def test_bfloat16_agrees_with_float32() -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 2, 2, 20, 16)
    wanted = attend(query, key, value, causal=True)
    found = attend(query.bfloat16(), key.bfloat16(), value.bfloat16(), causal=True)
    torch.testing.assert_close(found.float(), wanted, rtol=1.6e-2, atol=3e-2)


def test_dropout_keeps_the_mean_on_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    query, key = torch.zeros(1, 1, 4000, 2), torch.zeros(1, 1, 10, 2)
    value = torch.ones(1, 1, 10, 1)
    for limit in (0, 10**6):
        monkeypatch.setattr(attention, "SHORT", limit)
        found = attend(query, key, value, dropout=0.5)  # ten weights of 0.1, half of them doubled
        assert abs(found.mean() - 1) < 5 * math.sqrt(0.1 / 4000)
        assert found.std() == pytest.approx(math.sqrt(0.1), rel=0.1)


def test_an_example_without_steps_is_no_nan() -> None:
    x = torch.randn(2, 2, 3, 4)
    assert attend(x, x, x, bias=padding_bias(torch.tensor([3, 0]), 3)).isfinite().all()


def test_self_attention_is_that_of_torch() -> None:
    torch.manual_seed(0)
    ours, theirs = SelfAttention(width=12, heads=3).double(), nn.MultiheadAttention(12, 3, batch_first=True).double()
    with torch.no_grad():
        theirs.in_proj_weight.copy_(ours.project.weight)
        theirs.in_proj_bias.copy_(nn.init.normal_(ours.project.bias))
        theirs.out_proj.weight.copy_(ours.out.weight)
        theirs.out_proj.bias.copy_(nn.init.normal_(ours.out.bias))
    x, lengths = torch.randn(4, 7, 12, dtype=torch.float64), torch.tensor([7, 3, 1, 6])
    padding = torch.arange(7) >= lengths.unsqueeze(1)
    wanted, _ = theirs(x, x, x, key_padding_mask=padding)
    found, _ = ours(x, bias=padding_bias(lengths, 7))
    torch.testing.assert_close(found, wanted, rtol=1e-7, atol=1e-7)
    ahead = torch.ones(7, 7, dtype=torch.bool).triu(1)
    wanted, _ = theirs(x, x, x, attn_mask=ahead)
    found, _ = ours(x, causal=True)
    torch.testing.assert_close(found, wanted, rtol=1e-7, atol=1e-7)


def test_cross_attention_is_that_of_torch_and_shows_its_weights() -> None:
    torch.manual_seed(0)
    ours, theirs = CrossAttention(width=12, heads=3).double(), nn.MultiheadAttention(12, 3, batch_first=True).double()
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.project.weight]))
        theirs.in_proj_bias.copy_(torch.cat([nn.init.normal_(ours.query.bias), nn.init.normal_(ours.project.bias)]))
        theirs.out_proj.weight.copy_(ours.out.weight)
        theirs.out_proj.bias.copy_(ours.out.bias)
    x, source = torch.randn(4, 5, 12, dtype=torch.float64), torch.randn(4, 7, 12, dtype=torch.float64)
    lengths = torch.tensor([7, 3, 1, 6])
    wanted, weights = theirs(x, source, source, key_padding_mask=torch.arange(7) >= lengths.unsqueeze(1))
    memory, bias = ours.memory(source), padding_bias(lengths, 7)
    torch.testing.assert_close(ours(x, memory, bias=bias), wanted, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(ours.weights(x, memory, bias=bias), weights, rtol=1e-7, atol=1e-7)


def test_scores_of_a_single_head_by_their_formulas() -> None:
    torch.manual_seed(0)
    query, memory = torch.randn(2, 3, 5), torch.randn(2, 4, 6)
    additive, product = Additive(queries=5, memory=6, width=7), Multiplicative(queries=5, memory=6)
    nn.init.normal_(additive.query.bias)
    added, multiplied = additive(query, additive.prepare(memory)), product(query, product.prepare(memory))
    assert added.shape == multiplied.shape == (2, 3, 4)
    for b in range(2):
        for t in range(3):
            for s in range(4):
                q, m = query[b, t], memory[b, s]
                inner = (additive.query.weight @ q + additive.query.bias + additive.memory.weight @ m).tanh()
                torch.testing.assert_close(added[b, t, s], (additive.score.weight @ inner).squeeze())
                torch.testing.assert_close(multiplied[b, t, s], q @ product.memory.weight @ m / math.sqrt(5))


def test_a_width_that_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(RecipeError, match="a width of 10 is not divided by 4 heads"):
        SelfAttention(width=10, heads=4)
