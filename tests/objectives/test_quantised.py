"""The vector-quantised autoencoder: its loss by hand, its codebook through the engine, and resuming."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.errors import RecipeError
from penstock.data.examples import InMemory
from penstock.data.sources import InOrder, Shuffled
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.models.autoencoder import QuantisedAutoencoder
from penstock.models.picture_code import GridDecoder, GridEncoder
from penstock.models.spectrum_code import SpectrumDecoder, SpectrumEncoder
from penstock.nn.quantiser import Quantiser
from penstock.objectives.likelihood import Frames
from penstock.objectives.quantised import Quantised
from penstock.optim.adam import Adam

CODES = 6


def pictures(count: int = 20) -> Tensor:
    return torch.randn(count, 1, 9, 8, generator=torch.Generator().manual_seed(2))


def objective(**options: Any) -> Quantised:
    torch.manual_seed(0)
    encoder = GridEncoder(channels=1, outputs=3, width=8)
    decoder = GridDecoder(inputs=3, channels=1, height=9, width=8, hidden=8)
    return Quantised(QuantisedAutoencoder(encoder, decoder, Quantiser(codes=CODES, width=3)), ["x"], **options)


def test_the_loss_and_its_gradients_by_hand() -> None:
    made, given = objective(commitment=0.4).double(), Batch(x=pictures().double())
    x, model = given["x"], made.model
    found = made.loss(given).loss
    code = model.encoder(x)
    nearest = torch.cdist(code.detach().flatten(0, 2), model.quantiser.codebook).argmin(1)
    entries = model.quantiser.codebook[nearest].view_as(code).requires_grad_()
    error = (model.decoder(entries) - x).square().mean()
    strayed = (code - entries.detach()).square().mean()
    torch.testing.assert_close(found, error + 0.4 * strayed)
    (into,) = torch.autograd.grad(error, entries, retain_graph=True)
    encoder, decoder = list(model.encoder.parameters()), list(model.decoder.parameters())
    expected = torch.autograd.grad((code * into).sum() + 0.4 * strayed, encoder)  # the gradient is copied across
    torch.testing.assert_close(torch.autograd.grad(found, encoder, retain_graph=True), expected)
    torch.testing.assert_close(torch.autograd.grad(found, decoder), torch.autograd.grad(error, decoder))


def test_evaluation_counts_the_entries_in_use() -> None:
    made, given = objective().eval(), Batch(x=pictures())
    with torch.no_grad():
        found, apart = made.evaluate([given]), made.evaluate(Batch(x=part) for part in pictures().split(7))
        loss = float(made.loss(given).loss)
    numbers = made.encode(given)
    assert numbers.shape == (20, 3, 2)
    shares = torch.stack([(numbers == k).float().mean((1, 2)) for k in range(CODES)], 1)
    torch.testing.assert_close(found.records["code"], shares)
    assert found.metrics["codes_used"] == len(numbers.unique()) / CODES
    assert found.metrics["loss"] == pytest.approx(loss, rel=1e-6)
    assert found.metrics == pytest.approx(apart.metrics, rel=1e-6)
    torch.testing.assert_close(made.restored(numbers, given), made.reconstruct(given), rtol=0, atol=0)


def test_padding_of_sounds_is_no_code() -> None:
    torch.manual_seed(0)
    model = QuantisedAutoencoder(
        SpectrumEncoder(bands=5, outputs=3, hidden=8),
        SpectrumDecoder(inputs=3, bands=5, hidden=8),
        Quantiser(codes=CODES, width=3),
    )
    made = Quantised(model, ["s", "s_length"], likelihood=Frames(), told=["s_length"]).train()
    lengths = torch.tensor([12, 5])
    given = Batch(s=torch.randn(2, 12, 5), s_length=lengths)
    assert made.encode(given).eq(-1).sum(1).tolist() == [0, 1]
    made.loss(given)
    assert model.quantiser.new_uses.sum() == 3 + 2
    with torch.no_grad():
        alone = made.reconstruct(Batch(s=given["s"][1:, :5], s_length=lengths[1:]))
        torch.testing.assert_close(made.reconstruct(given)[1:, :5], alone[:, :5])


def engine(accumulate: int = 1, *, average: bool = True, compile: str = "off", steps: int = 9) -> Engine:
    stored = InMemory({"x": pictures()})
    plan = Plan(
        steps=steps,
        device="cpu",
        precision="float32",
        compile=compile,
        onednn="off",
        threads=1,
        accumulate=accumulate,
        ema=0.8 if average else None,
        keep="last",
    )
    source = Shuffled(stored, torch.arange(16), batch_size=6, seed=0)
    held_out = InOrder(stored, torch.arange(16, 20), batch_size=4)
    return Engine(objective(), source, plan, {"model": Adam(lr=0.01)}, validation=held_out)


def _keeping(made: Engine, at: int, states: list[Any]) -> Callable[[Batch, int, float], None]:
    """As the engine makes a step, but the state after the step `at` is put into the list."""
    original = made.stepper.step

    def step(batch: Batch, number: int, progress: float) -> None:
        if number == at + 1:
            tensors, values = made.state()
            states.append(({name: tensor.clone() for name, tensor in tensors.items()}, values))
        original(batch, number, progress)

    return step


def test_the_codebook_follows_in_training_and_resumes_bit_for_bit() -> None:
    whole = engine()
    torch.manual_seed(7)
    whole.run()
    expected, _ = whole.state()
    quantiser: Quantiser = whole.objective.model.quantiser
    assert bool(quantiser.begun)
    assert not torch.equal(quantiser.codebook, objective().model.quantiser.codebook)
    for stop in (1, 4, 6):
        first = engine()
        torch.manual_seed(7)
        states: list[Any] = []
        first.stepper.step = _keeping(first, stop, states)
        first.run()
        second = engine()
        second.load_state(*states[0])
        second.run()
        found, _ = second.state()
        assert found.keys() == expected.keys()
        assert [name for name, tensor in found.items() if not torch.equal(tensor, expected[name])] == []


def test_accumulated_is_the_whole_batch() -> None:
    found = []
    for accumulate in (1, 3):
        made = engine(accumulate, average=False, steps=6)
        quantiser = made.objective.model.quantiser
        quantiser.begun.fill_(True)  # no entry is to be drawn by chance
        quantiser.uses.fill_(1e6)
        quantiser.sums.copy_(quantiser.codebook * 1e6)
        made.run()
        found.append(made.objective.state_dict())
    for name, value in found[0].items():
        if not name.endswith("spare"):
            torch.testing.assert_close(found[1][name], value, rtol=1e-4, atol=1e-5)


def test_whole_steps_are_those_made_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from penstock.engine.tuning import whole_step

    monkeypatch.setattr(whole_step, "COMPILER", {"disable": True})
    found = []
    for compile in ("off", "on"):
        made = engine(compile=compile, steps=17)
        made.source.source = Shuffled(InMemory({"x": pictures()}), torch.arange(16), batch_size=4, seed=0)
        torch.manual_seed(7)
        made.run()
        assert made.plan.compile == compile
        found.append(made.objective.state_dict())
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-4)


def test_a_few_pictures_are_learnt() -> None:
    made, given = objective().train(), Batch(x=pictures(3))
    optimizer = torch.optim.Adam(made.parameters(), lr=0.01)
    torch.manual_seed(0)
    losses = []
    for _ in range(400):
        optimizer.zero_grad()
        loss = made.loss(given).loss
        loss.backward()
        optimizer.step()
        made.stepped()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.35 * losses[0]


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"^commitment: it is -1"):
        objective(commitment=-1)
