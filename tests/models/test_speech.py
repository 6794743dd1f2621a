"""The network for speech: shapes, and that padding makes no difference."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from penstock.models.speech import EachStep, SpeechNet
from penstock.models.trunk import Trunk
from penstock.nn.steps import within


class Sum(Trunk):
    """Each step sees the mean of all that are real, and itself."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.inputs, self.outputs = inputs, 5
        self.own, self.all = nn.Linear(inputs, 5), nn.Linear(inputs, 5)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        assert lengths is not None
        inside = within(lengths, x.shape[1]).unsqueeze(2)
        mean = (x * inside).sum(1, keepdim=True) / lengths.view(-1, 1, 1)
        return (self.own(x) + self.all(mean)).tanh() * inside


def network(**settings: object) -> SpeechNet:
    torch.manual_seed(0)
    return SpeechNet(**{"features": 10, "outputs": 4, "body": Sum, "width": 6, "channels": (3, 4)} | settings).eval()


@pytest.mark.parametrize(("stride", "steps"), [(1, 9), (2, 5), (4, 3)])
def test_a_sound_does_not_depend_on_padding(stride: int, steps: int) -> None:
    lengths = torch.tensor([9, 4, 1])
    x = torch.randn(3, 9, 10)
    for pooled in (True, False):
        net = network(stride=stride, pooled=pooled)
        found = net(x, lengths)
        assert found.shape == ((3, 4) if pooled else (3, steps, 4))
        for row, length in enumerate(lengths.tolist()):
            alone = net(x[row : row + 1, :length], lengths[row : row + 1])
            whole = found[row : row + 1] if pooled else found[row : row + 1, : -(-length // stride)]
            torch.testing.assert_close(alone, whole, rtol=1e-5, atol=1e-6)


def test_each_step_is_layer_normalisation() -> None:
    x = torch.randn(2, 3, 5, 4)
    found = EachStep(3)(x)
    wanted = nn.functional.layer_norm(x.transpose(1, 2).flatten(2), (12,)).unflatten(2, (3, 4)).transpose(1, 2)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def test_every_parameter_gets_a_gradient() -> None:
    net = network(pooled=False).train()
    net(torch.randn(2, 9, 10), torch.tensor([9, 7])).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())
