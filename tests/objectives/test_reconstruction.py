"""Plain, denoising, sparse and contractive autoencoders against definitions and closed forms."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from penstock.core.batch import Batch
from penstock.core.errors import DataError, RecipeError
from penstock.models.autoencoder import Autoencoder, DenseDecoder
from penstock.models.mlp import MLP
from penstock.models.spectrum_code import SpectrumDecoder, SpectrumEncoder
from penstock.models.tabular import Tabular
from penstock.objectives.code_penalties import Absolute, Contractive, MeanActivation
from penstock.objectives.corruption import Masking, Noise
from penstock.objectives.likelihood import Bernoulli, Frames, Rows
from penstock.objectives.reconstruction import Reconstruction

COUNT = 23


def batch(count: int = COUNT) -> Batch:
    generator = torch.Generator().manual_seed(1)
    return Batch(x=torch.randn(count, 2, 3, generator=generator, dtype=torch.float64))


def model(activation: nn.Module | None = None, hidden: tuple[int, ...] = (5,)) -> Autoencoder:
    torch.manual_seed(0)
    encoder = MLP(inputs=6, outputs=4, hidden=hidden, activation=nn.Tanh)
    return Autoencoder(encoder, DenseDecoder(inputs=4, shape=(2, 3), hidden=(5,)), activation=activation).double()


def objective(activation: nn.Module | None = None, **options: Any) -> Reconstruction:
    return Reconstruction(model(activation), ["x"], **options)


def test_the_loss_is_the_mean_squared_error() -> None:
    made, given = objective(), batch()
    update = made.loss(given)
    torch.testing.assert_close(update.loss, nn.functional.mse_loss(made.model(given["x"]), given["x"]))
    assert update.weight == COUNT
    assert made.separable


@pytest.mark.parametrize("penalty", [None, Absolute(weight=0.1), Contractive(weight=0.2)])
def test_parts_add_up_to_the_whole(penalty: Any) -> None:
    made, given = objective(penalty=penalty), batch()
    parts = [made.loss(part) for part in given.split(4)]
    joined = sum(float(part.loss.detach()) * part.weight for part in parts) / COUNT
    assert joined == pytest.approx(float(made.loss(given).loss.detach()), rel=1e-12)
    assert made.separable


@pytest.mark.parametrize("size", [1, 5, 23, 40])
def test_evaluated_alike_whatever_the_batch_size(size: int) -> None:
    made, given = (
        objective(penalty=Absolute(weight=1.0), likelihood=Bernoulli()),
        Batch(x=torch.rand(COUNT, 2, 3).double()),
    )
    parts = [Batch(x=given["x"][i : i + size]) for i in range(0, COUNT, size)]
    with torch.no_grad():
        found, logits = made.evaluate(parts), made.model(given["x"])
    error = nn.functional.binary_cross_entropy_with_logits(logits, given["x"], reduction="none").mean((1, 2))
    rmse = (logits.sigmoid() - given["x"]).square().mean().sqrt()
    assert found.metrics == pytest.approx({"loss": float(error.mean()), "rmse": float(rmse)}, rel=1e-9)
    torch.testing.assert_close(found.records["error"], error)
    torch.testing.assert_close(found.records["code"], made.encode(given).float().detach())
    torch.testing.assert_close(made.predict(given).detach(), error)
    torch.testing.assert_close(made.reconstruct(given).detach(), logits.sigmoid())


def test_nothing_to_evaluate_on_is_said() -> None:
    with pytest.raises(DataError, match=r"^evaluation: there are no examples; "):
        objective().evaluate([])


def test_contractive_is_the_closed_form_of_a_sigmoid_layer() -> None:
    """Rifai et al. 2011, section 5.3: (h (1 - h))^2 times the squared length of its weights, for each unit."""
    made = Reconstruction(model(nn.Sigmoid(), hidden=()), ["x"], penalty=Contractive(weight=0.7))
    given = batch()
    weight: Tensor = made.model.encoder.head.weight
    code = made.encode(given)
    slope = (code * (1 - code)).square() @ weight.square().sum(1)
    plain = nn.functional.mse_loss(made.model(given["x"]), given["x"])
    expected = plain + 0.7 * slope.mean()
    found = made.loss(given).loss
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=0)
    parameters = list(made.model.parameters())
    torch.testing.assert_close(torch.autograd.grad(found, parameters), torch.autograd.grad(expected, parameters))
    assert not given["x"].requires_grad


def test_contractive_of_any_encoder_is_the_jacobian() -> None:
    made, given = objective(penalty=Contractive(weight=1.0)), batch(4)
    plain = float(objective().loss(given).loss.detach())
    jacobians = [torch.func.jacrev(lambda x: made.model.encode(x[None])[0])(x) for x in given["x"]]
    expected = sum(float(jacobian.detach().square().sum()) for jacobian in jacobians) / 4
    assert float(made.loss(given).loss.detach()) - plain == pytest.approx(expected, rel=1e-9)


def test_contractive_of_convolutions() -> None:
    encoder = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(18, 3)).double()
    x = torch.randn(3, 1, 5, 5, dtype=torch.float64, requires_grad=True)
    found = Contractive(weight=1.0)(encoder(x), [x])
    jacobian = torch.autograd.functional.jacobian(lambda y: encoder(y).sum(0), x)  # examples do not meet: (3, B, ...)
    assert float(found.detach()) == pytest.approx(float(jacobian.square().sum() / 3), rel=1e-9)


def test_mean_activation_is_a_divergence_of_coins() -> None:
    penalty = MeanActivation(weight=0.3, target=0.1)
    code = torch.rand(9, 4, dtype=torch.float64)
    target = torch.distributions.Bernoulli(torch.tensor(0.1, dtype=torch.float64))
    law = torch.distributions.Bernoulli(code.mean(0))
    expected = 0.3 * torch.distributions.kl_divergence(target, law).sum()
    torch.testing.assert_close(penalty(code, []), expected)
    assert float(penalty(torch.full((5, 3), 0.1), [])) == pytest.approx(0, abs=1e-7)
    assert not objective(penalty=penalty).separable


def test_sparse_codes_become_sparse() -> None:
    share = {}
    for name, penalty in (("plain", None), ("sparse", MeanActivation(weight=1.0)), ("absolute", Absolute(weight=1.0))):
        made, given = objective(nn.Sigmoid(), penalty=penalty), batch()
        optimizer = torch.optim.Adam(made.parameters(), lr=0.02)
        for _ in range(300):
            optimizer.zero_grad()
            made.loss(given).loss.backward()
            optimizer.step()
        share[name] = float(made.encode(given).detach().mean())
    assert share["sparse"] == pytest.approx(0.05, abs=0.02)
    assert share["absolute"] < 0.05
    assert share["plain"] > 0.2


def test_the_absolute_penalty() -> None:
    code = torch.tensor([[1.0, -2.0], [0.5, 0.0]])
    assert float(Absolute(weight=0.5)(code, [])) == pytest.approx(0.5 * (3 + 0.5) / 2)


class Seen(nn.Module):
    """Keeps what it is given."""

    def forward(self, x: Tensor) -> Tensor:
        self.x = x
        return x.flatten(1)


def test_what_is_spoilt_is_seen_and_what_is_whole_is_wanted() -> None:
    seen = Seen()
    made = Reconstruction(Autoencoder(seen, nn.Unflatten(1, (2, 3))), ["x"], corruption=Noise(deviation=0.5))
    given = batch(500)
    loss = float(made.loss(given).loss)
    away = seen.x - given["x"]
    assert loss == pytest.approx(float(away.square().mean()), rel=1e-9)
    assert float(away.std()) == pytest.approx(0.5, rel=5 / math.sqrt(6000))
    assert torch.equal(made.reconstruct(given), given["x"])  # a user's example is taken as it is
    first, second = (made.evaluate([given]).metrics["loss"] for _ in range(2))
    assert first == second == pytest.approx(0.25, rel=0.2)


def test_masking() -> None:
    x, codes, lengths = torch.ones(400, 5), torch.full((400, 2), 3), torch.arange(400)
    spoilt = Masking(share=0.3, fields=2)([x, codes, lengths])
    for one, kept in zip(spoilt[:2], (x, codes), strict=True):
        assert set(one.unique().tolist()) == {0, kept.unique().item()}
        assert float((one == 0).double().mean()) == pytest.approx(0.3, abs=5 * math.sqrt(0.21 / one.numel()))
    assert spoilt[2] is lengths
    assert torch.equal(x, torch.ones(400, 5))
    assert Masking()([x, codes])[1] is codes


def test_rows_of_a_table_with_categories() -> None:
    torch.manual_seed(0)
    likelihood = Rows(numbers=3, cardinalities=(4, 5))
    encoder = Tabular(numbers=3, cardinalities=(4, 5), body=lambda width: MLP(inputs=width, outputs=6, hidden=(32,)))
    made = Reconstruction(
        Autoencoder(encoder, MLP(inputs=6, outputs=likelihood.width, hidden=(32,))),
        ["numbers", "categories"],
        likelihood=likelihood,
    )
    given = Batch(numbers=torch.randn(8, 3), categories=torch.stack([torch.arange(8) % 4, torch.arange(8) % 5], 1))
    optimizer = torch.optim.Adam(made.parameters(), lr=0.01)
    for _ in range(300):
        optimizer.zero_grad()
        made.loss(given).loss.backward()
        optimizer.step()
    looks = made.reconstruct(given).detach()
    assert float((looks[:, :3] - given["numbers"]).abs().max()) < 0.2
    assert torch.equal(looks[:, 3:7].argmax(1), given["categories"][:, 0])
    assert torch.equal(looks[:, 7:].argmax(1), given["categories"][:, 1])
    with torch.no_grad():
        assert made.evaluate([given]).metrics["loss"] < 0.05
        odd = Batch(numbers=given["numbers"].flip(0), categories=given["categories"])  # rows that never were
        assert float(made.predict(odd).min()) > float(made.predict(given).max())


def test_spectrograms_of_unequal_length_with_a_speaker() -> None:
    from penstock.models.autoencoder import Conditioned

    torch.manual_seed(0)
    decoder = Conditioned(SpectrumDecoder(inputs=6, bands=5, hidden=8), classes=3, width=2)
    made = Reconstruction(
        Autoencoder(SpectrumEncoder(bands=5, outputs=4, hidden=8), decoder),
        ["sound", "sound_length"],
        likelihood=Frames(),
        told=["speaker", "sound_length"],
    ).double()
    lengths = torch.tensor([9, 4, 7])
    given = Batch(
        sound=torch.randn(3, 9, 5, dtype=torch.float64), sound_length=lengths, speaker=torch.tensor([0, 2, 1])
    )
    alone = [
        Batch(
            {
                name: value[i : i + 1, : lengths[i]] if name == "sound" else value[i : i + 1]
                for name, value in given.items()
            }
        )
        for i in range(3)
    ]
    with torch.no_grad():
        whole, apart = made.evaluate([given]), made.evaluate(alone)
    assert whole.metrics == pytest.approx(apart.metrics, rel=1e-9)
    torch.testing.assert_close(whole.records, apart.records)
    assert whole.records["code"].shape == (3, 4)
    other = made.reconstruct(Batch(given, speaker=torch.tensor([1, 1, 1])))  # the same words from another mouth
    assert not torch.allclose(other[0], made.reconstruct(given)[0])
    torch.testing.assert_close(other[2], made.reconstruct(given)[2])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Noise(deviation=0.0), "noise: its deviation is 0.0"),
        (lambda: Masking(share=1.0), "masking: the share is 1.0"),
        (lambda: MeanActivation(target=0.0), "sparse: the target is 0.0"),
        (lambda: MeanActivation(weight=0.0), "sparse: the weight is 0.0"),
        (lambda: Absolute(weight=-1.0), "sparse: the weight is -1.0"),
        (lambda: Contractive(weight=float("inf")), "contractive: the weight is inf"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make: Any, message: str) -> None:
    with pytest.raises(RecipeError) as error:
        make()
    assert str(error.value).startswith(message)
