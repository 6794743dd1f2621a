"""Encoders and decoders of rows, pictures and spectrograms: shapes, exactness, what does not matter, overfitting."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from penstock.core.errors import RecipeError
from penstock.models.autoencoder import Autoencoder, Conditioned, DenseDecoder, QuantisedAutoencoder
from penstock.models.mlp import MLP
from penstock.models.picture_code import GridDecoder, GridEncoder, PictureDecoder, PictureEncoder, Residual
from penstock.models.spectrum_code import SpectrumDecoder, SpectrumEncoder
from penstock.nn.quantiser import Quantiser

SIZES = [(1, 8, 8), (1, 28, 28), (3, 33, 20), (2, 9, 64), (1, 128, 128), (3, 3, 5), (1, 1, 1)]


def pictures(size: tuple[int, int, int], code: int = 6) -> Autoencoder:
    channels, height, width = size
    sizes = {"channels": channels, "height": height, "width": width, "widths": (4, 6, 8)}
    return Autoencoder(PictureEncoder(outputs=code, **sizes), PictureDecoder(inputs=code, **sizes))


def grids(size: tuple[int, int, int], halvings: int = 2) -> QuantisedAutoencoder:
    channels, height, width = size
    encoder = GridEncoder(channels=channels, outputs=5, width=8, halvings=halvings)
    decoder = GridDecoder(inputs=5, channels=channels, height=height, width=width, hidden=8, halvings=halvings)
    return QuantisedAutoencoder(encoder, decoder, Quantiser(codes=7, width=5))


def spectra(*, anonymous: bool = False, halvings: int = 2, told: int = 0) -> Autoencoder:
    encoder = SpectrumEncoder(bands=9, outputs=4, hidden=12, halvings=halvings, anonymous=anonymous)
    decoder: nn.Module = SpectrumDecoder(inputs=4 + told, bands=9, hidden=12, halvings=halvings)
    return Autoencoder(encoder, Conditioned(decoder, classes=3, width=told) if told else decoder)


@pytest.mark.parametrize("size", SIZES)
def test_any_size_of_picture(size: tuple[int, int, int]) -> None:
    x = torch.randn(2, *size)
    model = pictures(size)
    assert model.encode(x).shape == (2, 6)
    assert model(x).shape == x.shape
    for halvings in (1, 3):
        grid = grids(size, halvings)
        assert grid.encode(x).shape == (2, *(-(-side // 2**halvings) for side in size[1:]), 5)
        assert grid(x).shape == x.shape


def test_small_pictures_are_halved_no_further() -> None:
    sides: list[int] = []
    model = pictures((1, 9, 9))
    for module in model.encoder.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _, given, out: sides.append(out.shape[-1]))
    model(torch.randn(2, 1, 9, 9))
    assert sides == [5, 3, 3]


def test_picture_code_is_its_convolutions_forward_and_backward() -> None:
    torch.manual_seed(0)
    model = pictures((2, 9, 12)).double()
    x, into = (torch.randn(3, 2, 9, 12, dtype=torch.float64) for _ in range(2))
    p = iter(model.parameters())

    def pair() -> tuple[Tensor, Tensor]:
        return next(p), next(p)

    y = functional.conv2d(x, *pair(), stride=2, padding=1).relu()  # 5 x 6
    y = functional.conv2d(y, *pair(), stride=2, padding=1).relu()  # 3 x 3
    y = functional.conv2d(y, *pair(), padding=1).relu()
    code = functional.linear(y.flatten(1), *pair())
    y = functional.linear(code, *pair()).relu().view(3, 8, 3, 3)
    y = functional.conv2d(y, *pair(), padding=1).relu()
    y = functional.conv_transpose2d(y, *pair(), stride=2, padding=1)[:, :, :5].relu()
    y = functional.conv_transpose2d(y, *pair(), stride=2, padding=1)[:, :, :9].relu()
    y = functional.conv2d(y, *pair(), padding=1)
    torch.testing.assert_close(model.encode(x), code, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(model(x), y, rtol=1e-10, atol=1e-10)
    parameters = list(model.parameters())
    torch.testing.assert_close(
        torch.autograd.grad(model(x), parameters, into), torch.autograd.grad(y, parameters, into)
    )


def test_signals_keep_their_size_from_the_start() -> None:
    torch.manual_seed(0)
    encoder = PictureEncoder(channels=3, height=64, width=64, outputs=256)
    decoder = PictureDecoder(inputs=256, channels=3, height=64, width=64)
    code = encoder(torch.randn(16, 3, 64, 64))
    assert 0.5 < float(code.detach().std()) < 2
    assert 0.3 < float(decoder(torch.randn(16, 256)).detach().std()) < 2


def test_a_residual_block_starts_as_a_way_round() -> None:
    block, x = Residual(4), torch.randn(2, 4, 5, 5)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("anonymous", [False, True])
@pytest.mark.parametrize("halvings", [0, 2, 3])
def test_spectra_of_any_length_and_padding_that_makes_no_difference(anonymous: bool, halvings: int) -> None:
    torch.manual_seed(0)
    model = spectra(anonymous=anonymous, halvings=halvings).double()
    lengths = torch.tensor([13, 21, 1])
    x = torch.randn(3, 21, 9, dtype=torch.float64)  # what is beyond the lengths is not 0
    code = model.encode(x, lengths)
    found = model.decode(code, lengths)
    assert code.shape == (3, -(-21 // 2**halvings), 4)
    for i, length in enumerate(lengths.tolist()):
        places = -(-length // 2**halvings)
        alone = model.encode(x[i : i + 1, :length], lengths[i : i + 1])
        torch.testing.assert_close(code[i : i + 1, :places], alone, rtol=1e-9, atol=1e-9)
        assert not code[i, places:].any()
        back = model.decode(alone, lengths[i : i + 1])
        assert back.shape[1] >= length
        torch.testing.assert_close(found[i : i + 1, :length], back[:, :length], rtol=1e-9, atol=1e-9)
        assert not found[i, length:].any()


def test_anonymous_codes_do_not_hear_what_stays_the_same() -> None:
    torch.manual_seed(0)
    x, lengths = torch.randn(2, 200, 9), torch.tensor([200, 200])
    other = x + 2 * torch.randn(1, 1, 9)  # every band by an amount of its own, as from another mouth
    away = []
    for anonymous in (True, False):
        model = SpectrumEncoder(bands=9, outputs=4, hidden=16, anonymous=anonymous)
        one, two = (model(sound, lengths)[:, 5:-5] for sound in (x, other))  # at the ends, the silence beyond is heard
        away.append(float((one - two).detach().norm() / one.detach().norm()))
    assert away[0] < 0.2 < 0.8 < away[1]


def test_a_conditioned_decoder_is_told_a_vector_at_each_place() -> None:
    decoder = Conditioned(nn.Identity(), classes=3, width=2)
    code, label = torch.randn(2, 5, 4), torch.tensor([2, 0])
    found = decoder(code, label)
    torch.testing.assert_close(found[..., :4], code, rtol=0, atol=0)
    for i in range(2):
        assert torch.equal(found[i, :, 4:], decoder.embedding.weight[label[i]].expand(5, 2))
    flat = Conditioned(DenseDecoder(inputs=6, shape=(2, 3), hidden=()), classes=3, width=2)
    assert flat(torch.randn(2, 4), label).shape == (2, 2, 3)
    model, lengths = spectra(told=2), torch.tensor([7, 3])
    assert model.decode(model.encode(torch.randn(2, 7, 9), lengths), label, lengths).shape == (2, 8, 9)


def dense(shape: tuple[int, ...], code: int) -> Autoencoder:
    size = math.prod(shape)
    decoder = DenseDecoder(inputs=code, shape=shape, hidden=(64,))
    return Autoencoder(MLP(inputs=size, outputs=code, hidden=(64,)), decoder)


def drawn(*shape: int) -> Tensor:
    """The same numbers, whatever was drawn before."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


FIVE = torch.tensor([11, 16, 3, 16, 8])
OVERFIT: dict[str, tuple[Callable[[], Autoencoder], tuple[Tensor, ...], tuple[Tensor, ...]]] = {
    "dense": (lambda: dense((2, 9), 8), (drawn(5, 2, 9),), ()),
    "pictures": (lambda: pictures((1, 12, 11), 8), (drawn(5, 1, 12, 11),), ()),
    "spectra": (spectra, (drawn(5, 16, 9), FIVE), (FIVE,)),
}


@pytest.mark.parametrize("name", OVERFIT)
def test_a_few_examples_are_learnt_and_every_parameter_moves(name: str) -> None:
    torch.manual_seed(0)
    make, inputs, told = OVERFIT[name]
    model, x = make(), inputs[0]
    before = {key: value.detach().clone() for key, value in model.named_parameters()}
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    errors = []
    for _ in range(300):
        away = model.decode(model.encode(*inputs), *told)[:, : x.shape[1]] - x
        if told:
            away = away * (torch.arange(16) < FIVE[:, None])[:, :, None]
        loss = away.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append(float(loss.detach()))
    assert errors[-1] < 0.1 * errors[0]
    assert [key for key, value in model.named_parameters() if torch.equal(value, before[key])] == []


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pictures((0, 8, 8)), "channels is 0"),
        (lambda: PictureEncoder(channels=1, height=8, width=8, outputs=2, widths=()), "stages is 0"),
        (lambda: PictureDecoder(channels=1, height=8, width=8, inputs=2, widths=(4, 0)), "widths[1] is 0"),
        (lambda: GridEncoder(channels=1, outputs=2, halvings=0), "halvings is 0"),
        (lambda: SpectrumEncoder(bands=2, outputs=2, halvings=-1), "halvings is -1"),
        (lambda: SpectrumDecoder(bands=0, inputs=2), "bands is 0"),
        (lambda: DenseDecoder(inputs=2, shape=(3, 0)), "shape[1] is 0"),
        (lambda: Conditioned(nn.Identity(), classes=0), "classes is 0"),
        (lambda: pictures((1, 8, 8))(torch.zeros(2, 1, 8, 9)), "8 columns of pixels and was given 9"),
        (lambda: pictures((1, 8, 8)).decode(torch.zeros(2, 7)), "6 numbers a code and was given 7"),
        (lambda: grids((1, 8, 8))(torch.zeros(2, 2, 8, 8)), "1 channels and was given 2"),
        (lambda: spectra().encode(torch.zeros(2, 5, 8), torch.tensor([5, 5])), "9 bands and was given 8"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(make: Callable[[], object], message: str) -> None:
    with pytest.raises(RecipeError) as error:
        make()
    assert message in str(error.value)
