"""Attention between places against loops over them and against torch's own; differentiable twice."""

from __future__ import annotations

import torch
from torch.nn import functional

from penstock.nn.picture_attention import PictureAttention


def layer(channels: int = 8) -> PictureAttention:
    torch.manual_seed(0)
    made = PictureAttention(channels).double()
    made.gain.data.fill_(0.7)
    return made


def test_place_by_place() -> None:
    made, x = layer(), torch.randn(2, 8, 4, 6, dtype=torch.float64)
    pooled = functional.max_pool2d(torch.cat([made.key(x), made.value(x)], 1), 2)
    query = made.query(x)
    expected = x.clone()
    for b in range(2):
        for i in range(4):
            for j in range(6):
                logits = (query[b, :, i, j, None, None] * pooled[b, :1]).sum(0)
                weights = logits.exp() / logits.exp().sum()  # (2, 3)
                value = (pooled[b, 1:] * weights).sum((1, 2))
                expected[b, :, i, j] += 0.7 * made.out.weight[:, :, 0, 0] @ value
    torch.testing.assert_close(made(x), expected, rtol=1e-10, atol=1e-10)


def test_as_torch_s_attention() -> None:
    made, x = layer(16), torch.randn(2, 16, 5, 5, dtype=torch.float64)
    key, value = (functional.max_pool2d(f(x), 2).flatten(2).transpose(1, 2) for f in (made.key, made.value))
    query = made.query(x).flatten(2).transpose(1, 2)
    found = functional.scaled_dot_product_attention(query, key, value, scale=1.0)
    expected = x + 0.7 * made.out(found.transpose(1, 2).unflatten(2, (5, 5)))
    torch.testing.assert_close(made(x), expected, rtol=1e-10, atol=1e-10)


def test_at_first_it_is_the_identity() -> None:
    x = torch.randn(2, 4, 1, 1)
    assert torch.equal(PictureAttention(4)(x), x)


def test_gradients_of_gradients() -> None:
    made = layer(2)
    x = torch.randn(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(made, x, eps=1e-6, atol=1e-7, rtol=1e-5)
    assert torch.autograd.gradgradcheck(made, x, eps=1e-6, atol=1e-7, rtol=1e-5)
