"""GRUs differentiated sequence by sequence, against torch's own: values, gradients, gradients of gradients."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence

from penstock.data.examples import InMemory
from penstock.data.sources import Shuffled
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.engine.tuning import gru
from penstock.engine.tuning.gru import gru_at_once
from penstock.models.both_ways import BothWays
from penstock.models.recurrent import GRU
from penstock.objectives.supervised import Regression
from penstock.optim.sgd import SGD

B, T, C, H = 3, gru.FEWEST, 4, 5


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[torch.dtype]:
    """In which kind each sequence was computed at once."""
    seen: list[torch.dtype] = []
    original = gru._steps

    def steps(x: Tensor, *others: Tensor) -> Any:
        seen.append(x.dtype)
        return original(x, *others)

    monkeypatch.setattr(gru, "_steps", steps)
    return seen


def layer(dtype: torch.dtype = torch.float64, **settings: Any) -> nn.GRU:
    torch.manual_seed(0)
    made = nn.GRU(C, H, dtype=torch.float64, **({"batch_first": True} | settings))
    for value in made.parameters():
        nn.init.normal_(value, std=0.5)
    return made.to(dtype)


def given(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    made = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))
    return made.to(dtype).requires_grad_()


def derivatives(model: nn.GRU, x: Tensor, state: Tensor | None, *, enabled: bool, onednn: bool = False) -> list[Tensor]:
    """Both outputs, and the gradients of a curved function of them."""
    inputs = [x, *([] if state is None else [state]), *model.parameters()]
    with gru_at_once(model, enabled=enabled, onednn=onednn):
        torch.manual_seed(7)
        found, last = model(x, state)
    curved = (found.float() if found.dtype == torch.bfloat16 else found).sin()
    loss = (curved * torch.linspace(-1, 1, H, dtype=curved.dtype)).sum() + last.exp().sum()
    return [found.detach(), last.detach(), *torch.autograd.grad(loss, inputs)]


@pytest.mark.parametrize("carried", [False, True])
@pytest.mark.parametrize("settings", [{}, {"batch_first": False}, {"num_layers": 3}, {"num_layers": 2, "dropout": 0.4}])
def test_values_and_gradients_are_torchs(settings: dict[str, Any], carried: bool, calls: list[torch.dtype]) -> None:
    layers = settings.get("num_layers", 1)
    x = given(*((B, T, C) if settings.get("batch_first", True) else (T, B, C)))
    state = given(layers, B, H) if carried else None
    found = derivatives(layer(**settings), x, state, enabled=True)
    assert calls == [torch.float64] * layers
    expected = derivatives(layer(**settings), x, state, enabled=False)
    assert len(calls) == layers
    for value, other in zip(found, expected, strict=True):
        torch.testing.assert_close(value, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("onednn", [False, True])
def test_in_single_precision(onednn: bool, calls: list[torch.dtype], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gru, "LARGE", 1)
    x, state = given(B, 40, C, dtype=torch.float32), given(2, B, H, dtype=torch.float32)
    found = derivatives(layer(torch.float32, num_layers=2), x, state, enabled=True, onednn=onednn)
    assert calls == [torch.float32] * 2
    expected = derivatives(layer(num_layers=2), x.detach().double().requires_grad_(), None, enabled=False)
    assert not torch.allclose(found[0].double(), expected[0], atol=1e-5)  # the state that is carried counts
    double = state.detach().double().requires_grad_()
    expected = derivatives(layer(num_layers=2), x.detach().double().requires_grad_(), double, enabled=False)
    for value, other in zip(found, expected, strict=True):
        assert value.dtype == torch.float32
        torch.testing.assert_close(value.double(), other, rtol=1.3e-6, atol=1e-5)


@pytest.mark.parametrize("narrow", [False, True])
def test_in_bfloat16_it_is_no_less_exact_than_torch(narrow: bool, calls: list[torch.dtype]) -> None:
    """`narrow`: what comes in is bfloat16 already, and so is the state then."""
    kind = torch.bfloat16 if narrow else torch.float32
    x = given(32, 64, C, dtype=torch.bfloat16)
    exact = derivatives(layer(), x.detach().double().requires_grad_(), None, enabled=False)
    errors = []
    for enabled in (True, False):
        with torch.autocast("cpu", torch.bfloat16):
            found = derivatives(layer(torch.float32), x.detach().to(kind).requires_grad_(), None, enabled=enabled)
        assert [value.dtype for value in found] == [kind] * 3 + [torch.float32] * 4
        pairs = zip(found, exact, strict=True)
        errors.append([float((value.double() - other).norm() / other.norm()) for value, other in pairs])
    assert calls == [torch.bfloat16]
    assert max(errors[0]) < 0.02
    assert sum(errors[0]) < 1.2 * sum(errors[1])


def test_gradcheck_twice(calls: list[torch.dtype]) -> None:
    model = layer(num_layers=2)
    names = [name for name, _ in model.named_parameters()]

    def found(x: Tensor, state: Tensor, *weights: Tensor) -> tuple[Tensor, Tensor]:
        parts = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(model, parts, (x, state))

    inputs = (given(1, T, C), given(2, 1, H), *(value.detach().requires_grad_() for value in model.parameters()))
    with gru_at_once(model, enabled=True, onednn=False):
        assert torch.autograd.gradcheck(found, inputs, eps=1e-6, atol=1e-7, rtol=1e-5, fast_mode=True)
        assert torch.autograd.gradgradcheck(found, inputs, eps=1e-6, atol=1e-7, rtol=1e-5, fast_mode=True)
    assert calls


@pytest.mark.parametrize("bf16", [False, True])
def test_gradients_of_gradients(bf16: bool, calls: list[torch.dtype]) -> None:
    def penalty(enabled: bool) -> list[Tensor]:
        model, x = layer(torch.float32), given(B, T, C, dtype=torch.float32)
        with gru_at_once(model, enabled=enabled, onednn=False), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            out = model(x)[0]
        (slope,) = torch.autograd.grad(out.sin().sum(), x, create_graph=True)
        return list(torch.autograd.grad(slope.square().sum(), list(model.parameters())))

    found, expected = penalty(True), penalty(False)
    assert len(calls) == 1
    for value, other in zip(found, expected, strict=True):
        scale = float(other.abs().max())
        torch.testing.assert_close(value, other, rtol=0, atol=(0.05 if bf16 else 1e-5) * scale)


def test_what_needs_no_gradient_gets_none_and_one_output_is_enough(calls: list[torch.dtype]) -> None:
    for frozen in ("weight_ih_l0", "bias_hh_l0", "weight_hh_l0"):
        grads = []
        for enabled in (True, False):
            model = layer()
            model.get_parameter(frozen).requires_grad_(False)
            with gru_at_once(model, enabled=enabled, onednn=False):
                model(given(B, T, C).detach())[1].sum().backward()
            assert model.get_parameter(frozen).grad is None
            grads.append([value.grad for value in model.parameters() if value.grad is not None])
        assert len(grads[0]) == 3
        for one, other in zip(*grads, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)
    assert len(calls) == 3


@pytest.mark.parametrize("bf16", [False, True])
def test_what_is_returned_may_be_changed_in_place(bf16: bool) -> None:
    found = []
    for dtype, enabled in ((torch.float32, True), (torch.float64, False)):
        model, x = layer(dtype), given(B, T, C, dtype=torch.bfloat16).detach().to(dtype)
        autocast = torch.autocast("cpu", torch.bfloat16, enabled=bf16 and enabled)
        with gru_at_once(model, enabled=enabled, onednn=False), autocast:
            out, last = model(x)
        out.mul_(3)
        last.mul_(2)
        (out.sum() + last.sum()).backward()
        found.append(torch.cat([value.grad.flatten() for value in model.parameters()]).double())
    assert float((found[0] - found[1]).norm() / found[1].norm()) < (0.02 if bf16 else 1e-6)


def through(model: nn.Module, *inputs: Any) -> None:
    with gru_at_once(model, enabled=True, onednn=False):
        model(*inputs)


def test_torchs_own_way_is_kept_where_it_must_be_or_is_faster(
    calls: list[torch.dtype], monkeypatch: pytest.MonkeyPatch
) -> None:
    x = given(B, T, C)
    with torch.no_grad():
        through(layer(), x)
    through(layer().requires_grad_(False), x.detach())
    through(layer(), given(B, T - 1, C))
    through(layer(bias=False), x)
    through(layer(bidirectional=True), x)
    through(layer(), given(T, C))
    through(layer(), pack_sequence([given(T, C), given(T, C)]))
    through(layer(torch.float16), given(B, T, C, dtype=torch.float16))
    with gru_at_once(model := layer(), enabled=True, onednn=False):
        torch.func.grad(lambda value: model(value)[0].sum())(x.detach())
    with monkeypatch.context() as patch:
        patch.setattr(torch.compiler, "is_compiling", lambda: True)
        through(layer(), x)
    with monkeypatch.context() as patch:
        patch.setattr(torch.jit, "is_tracing", lambda: True)
        through(layer(), x)
    assert calls == []
    through(layer().requires_grad_(False), x)
    through(layer(), x.detach())
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("x", "state"),
    [((B, T, C + 1), None), ((B, T, C), (1, B + 1, H)), ((B, T, C), (2, B, H)), ((0, T, C), None), ((B, 0, C), None)],
)
def test_mistakes_are_told_as_torch_tells_them(x: tuple[int, ...], state: tuple[int, ...] | None) -> None:
    said = []
    for enabled in (True, False):
        model = layer()
        with gru_at_once(model, enabled=enabled, onednn=False):
            try:
                said.append(str(model(torch.zeros(x).double(), state and torch.zeros(state).double())[0].shape))
            except RuntimeError as error:
                said.append(str(error))
    assert said[0] == said[1]


def test_the_classes_are_put_back_and_copies_stand_alone(calls: list[torch.dtype]) -> None:
    class Special(nn.GRU):
        """More than a GRU."""

    model = nn.ModuleList([layer(), Special(C, H), nn.LSTM(C, H)])
    names = list(model.state_dict())
    copied: list[Callable[[Any], Any]] = [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))]
    with gru_at_once(model, enabled=True, onednn=False):
        assert [type(part) for part in model] == [gru._GRU, Special, nn.LSTM]
        assert list(model.state_dict()) == names
        for make in copied:
            other = make(model[0])
            with torch.no_grad():
                other.weight_hh_l0.zero_()
            assert not torch.allclose(other(given(B, T, C))[0], model[0](given(B, T, C))[0])
    assert [type(part) for part in model] == [nn.GRU, Special, nn.LSTM]
    with pytest.raises(KeyError), gru_at_once(model, enabled=True, onednn=True):
        raise KeyError
    assert type(model[0]) is nn.GRU
    with gru_at_once(model, enabled=False, onednn=True):
        assert type(model[0]) is nn.GRU


class Sums(nn.Module):
    """A number for each sequence, read both ways."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = BothWays(lambda n: GRU(inputs=n, width=H), inputs=C, layers=2)
        self.head = nn.Linear(self.trunk.outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.trunk(x).mean(1)).squeeze(1)


def test_a_training_is_nearly_the_same(recorders: Any, calls: list[torch.dtype]) -> None:
    rows, weights = [], []
    for fused in (True, False):
        torch.manual_seed(0)
        x = torch.randn(24, T, C)
        stored, model = InMemory({"x": x, "target": x.sum((1, 2)) / 8}), Sums()
        recorder = recorders()
        Engine(
            Regression(model, ["x"]),
            Shuffled(stored, torch.arange(24), batch_size=8, seed=1),
            Plan(steps=9, precision="float32", compile="off", threads=1, device="cpu", fused=fused),
            {"model": SGD(lr=0.1)},
            watchers=[recorder],
        ).run()
        assert len(calls) == 9 * 4
        rows.append(recorder.numbers())
        weights.append(list(model.parameters()))
    for one, other in zip(*weights, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    for found, row in zip(*rows, strict=True):
        assert found == pytest.approx(row, rel=1e-4)
