"""Generators and discriminators of every form: shapes, gradients, conditions, and layers against torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from penstock.core.errors import RecipeError
from penstock.models.dcgan import DCGANGenerator, DCGANTrunk
from penstock.models.discriminator import (
    AuxiliaryHead,
    DenseTrunk,
    Discriminator,
    FeatureTrunk,
    GaussianEncoder,
    PlainHead,
    ProjectionHead,
)
from penstock.models.generator import DenseGenerator, Generator, growing
from penstock.models.residual_gan import DownBlock, ResidualGenerator, ResidualTrunk, UpBlock
from penstock.nn.picture_attention import PictureAttention

BODIES: dict[str, Callable[..., nn.Module]] = {
    "dense": partial(DenseGenerator, hidden=(8,)),
    "dcgan": partial(DCGANGenerator, width=4),
    "residual": partial(ResidualGenerator, width=4),
}
TRUNKS: dict[str, Callable[..., FeatureTrunk]] = {
    "dense": lambda channels, size: DenseTrunk(inputs=channels * size**2, hidden=(8, 6)),
    "dcgan": partial(DCGANTrunk, width=4, norm=nn.BatchNorm2d),
    "residual": partial(ResidualTrunk, width=4),
}


def generator(name: str, channels: int = 3, size: int = 28, classes: int = 0, **options: object) -> Generator:
    body = partial(BODIES[name], channels=channels, size=size, **options)
    return Generator(code=5, body=lambda inputs: body(inputs=inputs), classes=classes)


def discriminator(name: str, channels: int = 3, size: int = 28) -> Discriminator:
    trunk = TRUNKS[name](channels=channels, size=size)
    return Discriminator(trunk, PlainHead(trunk.outputs))


@pytest.mark.parametrize("size", [8, 9, 12, 15, 16, 20, 28, 32, 33, 48, 64])
@pytest.mark.parametrize("name", BODIES)
def test_pictures_of_any_size(name: str, size: int) -> None:
    for channels in (1, 3):
        made = generator(name, channels, size)(torch.randn(2, 5))
        assert made.shape == (2, channels, size, size)
        assert made.abs().max() <= 1
        look = discriminator(name, channels, size)(made)
        assert look.score.shape == (2,)
        assert look.features.ndim == 2


def test_sides_double_to_the_size_or_a_little_more() -> None:
    assert growing(28) == [4, 7, 14, 28]
    assert growing(32) == [4, 8, 16, 32]
    assert growing(33) == [3, 5, 9, 17, 33]
    assert growing(8) == [4, 8]
    for size in range(8, 65):
        sides = growing(size)
        assert 3 <= sides[0] <= 4
        assert sides[-1] == size
        assert all(2 * before - after in (0, 1) for before, after in pairwise(sides))


@pytest.mark.parametrize("attention", [0, 14])
@pytest.mark.parametrize("name", BODIES)
def test_gradients_reach_every_parameter_through_the_discriminator(name: str, attention: int) -> None:
    if attention and name == "dense":
        return
    torch.manual_seed(0)
    options = {"attention": attention} if attention else {}
    maker = generator(name, classes=4, **options)
    trunk = TRUNKS[name](channels=3, size=28, **options)
    judge = Discriminator(trunk, ProjectionHead(trunk.outputs, 4))
    for module in [*maker.modules(), *judge.modules()]:
        if isinstance(module, PictureAttention):
            nn.init.ones_(module.gain)
    label = torch.arange(4)
    judge(maker(torch.randn(4, 5), label), label).score.square().mean().backward()
    silent = [n for part in (maker, judge) for n, p in part.named_parameters() if p.grad is None or not p.grad.any()]
    # The bias before a normalisation has no effect.
    assert [n for n in silent if "bias" not in n] == []


def test_dcgan_doubles_channels_where_it_halves_sides() -> None:
    made = DCGANGenerator(inputs=5, channels=1, size=28, width=16)
    shapes = [tuple(m.weight.shape) for m in made.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert shapes == [(64, 32, 4, 4), (32, 16, 4, 4), (16, 1, 4, 4)]
    assert made.first.weight.shape == (64 * 16, 5)
    trunk = DCGANTrunk(channels=3, size=64, width=16)
    assert [m.weight.shape[0] for m in trunk.modules() if isinstance(m, nn.Conv2d)] == [16, 32, 64, 128, 128]
    assert trunk.outputs == 128 * 16


def test_dcgan_from_its_weights() -> None:
    torch.manual_seed(0)
    made = DCGANGenerator(inputs=5, channels=1, size=8, width=4, norm=nn.Identity).double()
    w0, b0, w1, b1 = made.parameters()
    code = torch.randn(3, 5, dtype=torch.float64)
    x = functional.linear(code, w0, b0).reshape(3, 4, 4, 4)
    expected = functional.conv_transpose2d(x.relu(), w1, b1, stride=2, padding=1).tanh()
    torch.testing.assert_close(made(code), expected, rtol=1e-12, atol=1e-12)
    trunk = DCGANTrunk(channels=1, size=8, width=4).double()
    w, b, again, shift = trunk.parameters()
    half = functional.leaky_relu(functional.conv2d(x[:, :1].repeat(1, 1, 2, 2), w, b, 2, 1), 0.2)
    expected = functional.leaky_relu(functional.conv2d(half, again, shift, 1, 1), 0.2).flatten(1)
    torch.testing.assert_close(trunk(x[:, :1].repeat(1, 1, 2, 2)), expected, rtol=1e-12, atol=1e-12)


def test_residual_blocks_are_the_way_round_where_their_convolutions_are_zero() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 6, 6)
    for block in (UpBlock(3, 5, nn.Identity), DownBlock(3, 5, halved=True), DownBlock(3, 5, halved=False)):
        nn.init.zeros_(block.conv2.weight)
        way = functional.conv2d(x, block.round.weight, block.round.bias)
        if isinstance(block, UpBlock):
            way = way.repeat_interleave(2, 2).repeat_interleave(2, 3)
        elif block.halved:
            way = way.unflatten(2, (3, 2)).unflatten(4, (3, 2)).mean((3, 5))
        torch.testing.assert_close(block(x), way)


def test_residual_up_block_from_its_weights() -> None:
    torch.manual_seed(0)
    block, x = UpBlock(2, 3, nn.Identity), torch.randn(2, 2, 4, 4)
    y = x.relu().repeat_interleave(2, 2).repeat_interleave(2, 3)
    y = functional.conv2d(y, block.conv1.weight, padding=1).relu()
    y = functional.conv2d(y, block.conv2.weight, padding=1)
    way = functional.conv2d(x.repeat_interleave(2, 2).repeat_interleave(2, 3), block.round.weight)
    torch.testing.assert_close(block(x), y + way)


def test_labels_change_what_is_made_and_how_it_is_judged() -> None:
    torch.manual_seed(0)
    maker = generator("dcgan", classes=3).eval()
    code = torch.randn(1, 5)
    made = [maker(code, torch.tensor([k])) for k in range(3)]
    assert not torch.allclose(made[0], made[1])
    features = torch.randn(6, 4)
    head = ProjectionHead(4, 3)
    label = torch.tensor([0, 1, 2, 0, 1, 2])
    expected = [head.real(f) + head.of_class.weight[k] @ f for f, k in zip(features, label, strict=True)]
    torch.testing.assert_close(head.score(features, label), torch.cat(expected))
    other = AuxiliaryHead(4, 3)
    assert other.classify(features).shape == (6, 3)
    torch.testing.assert_close(other.score(features, label), other.score(features, None))
    assert PlainHead(4).classify(features) is None


def test_an_encoder_gives_mean_and_log_variance() -> None:
    encoder = GaussianEncoder(DCGANTrunk(channels=1, size=8, width=4), code=7)
    mean, log_variance = encoder(torch.randn(3, 1, 8, 8))
    assert mean.shape == log_variance.shape == (3, 7)


def test_dcgan_weights_start_small() -> None:
    torch.manual_seed(0)
    made = DCGANTrunk(channels=3, size=32, width=32)
    for layer in made.modules():
        if isinstance(layer, nn.Conv2d):
            assert abs(layer.weight.std() / 0.02 - 1) < 5 / math.sqrt(2 * layer.weight.numel())
            assert not layer.bias.any()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: DCGANGenerator(inputs=5, channels=1, size=7), "size is 7"),
        (lambda: DCGANTrunk(channels=1, size=4), "size is 4"),
        (lambda: DCGANTrunk(channels=0, size=28), "channels is 0"),
        (
            lambda: DCGANTrunk(channels=1, size=28, attention=8),
            "no side of 8 pixels for attention; choose one of: 14, 7",
        ),
        (lambda: DCGANGenerator(inputs=5, channels=1, size=28, attention=28), "choose one of: 4, 7, 14"),
        (lambda: ResidualGenerator(inputs=5, channels=1, size=32, attention=4), "choose one of: 8, 16, 32"),
        (lambda: ResidualTrunk(channels=1, size=32, attention=32), "choose one of: 16, 8"),
        (lambda: generator("dcgan")(torch.zeros(1, 6)), "5 numbers of a code and was given 6"),
        (lambda: generator("dcgan", classes=3)(torch.zeros(1, 5)), "no label, of 3 classes"),
        (lambda: discriminator("dcgan")(torch.zeros(1, 1, 28, 28)), "3 channels and was given 1"),
        (lambda: discriminator("dcgan")(torch.zeros(1, 3, 32, 32)), "28 rows of pixels and was given 32"),
        (lambda: ProjectionHead(4, 3).score(torch.zeros(2, 4), None), "no label was given"),
    ],
)
def test_what_does_not_fit_is_refused(make: Callable[[], Tensor | nn.Module], words: str) -> None:
    with pytest.raises(RecipeError) as error:
        make()
    assert words in str(error.value)


def test_pictures_of_28_begin_and_end_with_7_where_that_is_asked_for() -> None:
    assert growing(28, 7) == [7, 14, 28]
    made = DCGANGenerator(inputs=5, channels=1, size=28, width=16, least=7)
    assert made.first.weight.shape == (32 * 49, 5)
    assert made(torch.randn(2, 5)).shape == (2, 1, 28, 28)
    assert DCGANTrunk(channels=1, size=28, width=16, least=7).outputs == 32 * 49
