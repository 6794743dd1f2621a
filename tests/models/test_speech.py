"""The network for sounds: shapes, and that padding makes no difference."""

from __future__ import annotations

import pytest
import torch

from penstock.core.errors import RecipeError
from penstock.models.sequence import SequenceNet
from penstock.models.speech import speech
from penstock.nn.listen import Listen


def network(**settings: object) -> SequenceNet:
    torch.manual_seed(0)
    return speech(**{"features": 10, "outputs": 4, "width": 6} | settings).eval()


@pytest.mark.parametrize(("stride", "steps"), [(1, 9), (2, 5), (4, 3)])
@pytest.mark.parametrize("pooled", [True, False])
def test_a_sound_does_not_depend_on_padding(stride: int, steps: int, pooled: bool) -> None:
    lengths = torch.tensor([9, 4, 1])
    x = torch.randn(3, 9, 10)
    net = network(stride=stride, pooled=pooled)
    found = net(x, lengths)
    assert found.shape == ((3, 4) if pooled else (3, steps, 4))
    for row, length in enumerate(lengths.tolist()):
        alone = net(x[row : row + 1, :length], lengths[row : row + 1])
        own = int(net.steps(lengths[row : row + 1]))
        assert own == -(-length // stride)
        whole = found[row : row + 1] if pooled else found[row : row + 1, :own]
        torch.testing.assert_close(alone, whole, rtol=1e-5, atol=1e-6)


def test_every_parameter_gets_a_gradient() -> None:
    net = network(pooled=False).train()
    net(torch.randn(2, 9, 10), torch.tensor([9, 7])).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_a_stride_that_its_convolutions_cannot_make() -> None:
    with pytest.raises(RecipeError, match="stride is 8"):
        Listen(bands=8, width=4, stride=8)
