"""Linear layers through oneDNN against plain ones and double precision: values, gradients, gradients of gradients."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from penstock.data.examples import InMemory
from penstock.data.sources import Shuffled
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.engine.tuning import onednn
from penstock.engine.tuning.onednn import LARGEST_ERROR, exact_here, linear_through_onednn
from penstock.objectives.supervised import Classification
from penstock.optim.sgd import SGD

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN")

SIZES = (40, 24)
MATMUL = torch.backends.mkldnn.matmul


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Every product counts as large; those that go through oneDNN are written down by the shape of what comes out."""
    monkeypatch.setattr(onednn, "LARGE", 1)
    permitted: list[tuple[int, ...]] = []
    original = onednn.F.linear

    def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if MATMUL.fp32_precision == "bf16":
            permitted.append((*x.shape[:-1], len(weight)))
        return original(x, weight, bias)

    monkeypatch.setattr(onednn.F, "linear", linear)
    return permitted


def layer(bias: bool = True, dtype: torch.dtype = torch.float32) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(*SIZES, bias=bias, dtype=torch.float64).to(dtype)


def derivatives(model: nn.Linear, x: Tensor, *, enabled: bool) -> list[Tensor]:
    """The output; the gradients of a curved function of it; and the gradients of a function of those gradients."""
    x = x.to(model.weight.dtype).requires_grad_()
    inputs = [x, *model.parameters()]
    with linear_through_onednn(model, enabled=enabled):
        found = model(x)
        first = torch.autograd.grad(found.sin().sum(), inputs, create_graph=True)
        second = torch.autograd.grad(sum(gradient.square().sum() for gradient in first), inputs)
    return [value.detach() for value in (found, *first, *second)]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(16,), (3, 5), (2, 3, 4), ()])
def test_values_and_derivatives_are_those_of_a_plain_layer(
    shape: tuple[int, ...], bias: bool, always: list[tuple[int, ...]]
) -> None:
    x = torch.randn(*shape, SIZES[0], dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = derivatives(layer(bias), x, enabled=True)
    assert always == [(*shape, SIZES[1])]
    plain = derivatives(layer(bias), x, enabled=False)
    exact = derivatives(layer(bias, torch.float64), x, enabled=False)
    assert len(always) == 1
    assert len(found) == 1 + 2 * (3 if bias else 2)
    for value, one, other in zip(found, plain, exact, strict=True):
        assert value.dtype == torch.float32
        assert value.shape == other.shape
        size = float(other.abs().max())
        torch.testing.assert_close(value, one, rtol=0, atol=1e-5 * size)
        torch.testing.assert_close(value.double(), other, rtol=0, atol=1e-5 * size)


@pytest.mark.parametrize("frozen", [("weight",), ("bias",), ("weight", "bias"), ()])
@pytest.mark.parametrize("to_input", [False, True])
def test_what_needs_no_gradient_gets_none(frozen: tuple[str, ...], to_input: bool, always: Any) -> None:
    found, plain = layer(), layer()
    given = torch.randn(7, SIZES[0], generator=torch.Generator().manual_seed(1))
    inputs = [given.clone().requires_grad_(to_input) for _ in range(2)]
    for model, x, enabled in ((found, inputs[0], True), (plain, inputs[1], False)):
        for name in frozen:
            model.get_parameter(name).requires_grad_(False)
        with linear_through_onednn(model, enabled=enabled):
            out = model(x).square().sum()
            assert out.requires_grad == (to_input or len(frozen) < 2)
            if out.requires_grad:
                out.backward()
    assert len(always) == 1
    for mine, theirs in zip([inputs[0], *found.parameters()], [inputs[1], *plain.parameters()], strict=True):
        assert (mine.grad is None) == (theirs.grad is None)
        if theirs.grad is not None:
            torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-5, atol=1e-4)


def test_only_large_single_precision_products_of_linear_layers(always: list[Any], monkeypatch: Any) -> None:
    monkeypatch.setattr(onednn, "LARGE", 16 * SIZES[0] * SIZES[1])

    def through(model: nn.Module, x: Tensor, around: Any = torch.enable_grad) -> int:
        always.clear()
        with linear_through_onednn(model, enabled=True), around():
            model(x)
        return len(always)

    assert through(layer(), torch.randn(16, SIZES[0])) == 1
    assert through(layer(), torch.randn(16, SIZES[0]), torch.no_grad) == 1
    assert through(layer(), torch.randn(15, SIZES[0])) == 0
    assert through(layer(dtype=torch.float64), torch.randn(99, SIZES[0]).double()) == 0
    assert through(layer(), torch.randn(99, SIZES[0]), lambda: torch.autocast("cpu", torch.bfloat16)) == 0
    assert MATMUL.fp32_precision != "bf16"


class Special(nn.Linear):
    """A layer that computes something else."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) + 1


def network() -> nn.Module:
    torch.manual_seed(0)
    shared = layer()
    attention = nn.MultiheadAttention(8, 2)
    return nn.ModuleDict({"a": shared, "b": nn.Sequential(shared, Special(2, 2)), "c": attention, "d": nn.Linear(3, 3)})


def classes(model: nn.Module) -> list[type]:
    return [type(module) for module in model.modules()]


def test_the_classes_of_the_layers_are_put_back_also_after_errors() -> None:
    model = network()
    before, names = classes(model), list(model.state_dict())
    with linear_through_onednn(model, enabled=True):
        inside = classes(model)
        assert list(model.state_dict()) == names
        with linear_through_onednn(model, enabled=True):
            pass
        assert classes(model) == inside
    assert classes(model) == before
    changed = [one for one, other in zip(before, inside, strict=True) if one is not other]
    assert changed == [nn.Linear, nn.Linear]  # not those that are more than a linear layer
    with pytest.raises(KeyError), linear_through_onednn(model, enabled=True):
        raise KeyError
    assert classes(model) == before


def test_switched_off_nothing_changes(always: list[Any]) -> None:
    model = network()
    before = classes(model)
    with linear_through_onednn(model, enabled=False):
        assert classes(model) == before
        model["a"](torch.randn(16, SIZES[0]))
    assert always == []


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_made_inside_stands_on_its_own(copied: Callable[[nn.Linear], nn.Linear], always: list[Any]) -> None:
    model, x = layer(), torch.randn(16, SIZES[0])
    with linear_through_onednn(model, enabled=True):
        other = copied(model)
        with torch.no_grad():
            other.weight.zero_()
        torch.testing.assert_close(other(x), other.bias.expand(16, -1))
        assert float(model(x).detach().abs().max()) > 0.1
    torch.testing.assert_close(other(x), other.bias.expand(16, -1))
    assert isinstance(other, nn.Linear)


def test_the_permission_ends_with_the_product_also_after_errors(always: list[Any]) -> None:
    before = MATMUL.fp32_precision
    model = layer()
    with linear_through_onednn(model, enabled=True):
        out = model(torch.randn(4, SIZES[0])).sum()
        assert MATMUL.fp32_precision == before
        out.backward()
        assert MATMUL.fp32_precision == before
        with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
            model(torch.randn(4, 7))
        assert MATMUL.fp32_precision == before


@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")  # torch's own use, for forward derivatives
@pytest.mark.parametrize("transform", ["grad", "vmap", "jvp", "hessian"])
def test_torch_func_may_transform_it(transform: str, always: list[Any]) -> None:
    def found(enabled: bool) -> Tensor:
        model, x = layer(), torch.randn(3, SIZES[0], generator=torch.Generator().manual_seed(1))
        with linear_through_onednn(model, enabled=enabled):
            if transform == "vmap":
                return torch.func.vmap(model)(x)
            if transform == "jvp":
                return torch.func.jvp(model, (x,), (torch.ones_like(x),))[1]
            return getattr(torch.func, transform)(lambda given: model(given).sin().sum())(x)

    torch.testing.assert_close(found(True), found(False), rtol=1e-5, atol=1e-6)


SHAPES = frozenset({(64, 48, 32), (16, 100, 10)})


def test_exact_here_looks_at_every_shape_and_its_backward_products(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[tuple[int, ...], ...]] = []
    original = Tensor.__matmul__

    def matmul(left: Tensor, right: Tensor) -> Tensor:
        if MATMUL.fp32_precision == "bf16":
            seen.append((tuple(left.shape), tuple(right.shape)))
        return original(left, right)

    monkeypatch.setattr(Tensor, "__matmul__", matmul)
    state = torch.get_rng_state()
    exact_here(SHAPES)
    assert set(seen) == {
        *(((m, k), (k, n)) for m, k, n in SHAPES),
        *(((m, n), (n, k)) for m, k, n in SHAPES),
        *(((n, m), (m, k)) for m, k, n in SHAPES),
    }
    assert torch.equal(torch.get_rng_state(), state)
    assert MATMUL.fp32_precision != "bf16"


@pytest.mark.parametrize("bad", [(64, 48), (64, 32), (32, 64)])
def test_a_product_in_bfloat16_is_refused(bad: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only one of the products of one shape is computed in bfloat16."""
    original, computed = Tensor.__matmul__, torch.float32

    def matmul(left: Tensor, right: Tensor) -> Tensor:
        if MATMUL.fp32_precision == "bf16" and tuple(left.shape) == bad:
            return original(left.to(computed), right.to(computed)).float()
        return original(left.double(), right.double()).to(left.dtype)

    monkeypatch.setattr(Tensor, "__matmul__", matmul)
    assert exact_here(SHAPES)
    computed = torch.bfloat16
    assert not exact_here(SHAPES)
    assert exact_here(SHAPES - {(64, 48, 32)})


def test_the_threshold_lies_between_the_two_precisions(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    left, right = torch.randn(64, 48), torch.randn(48, 32)
    exact = left.double() @ right.double()
    single, brief = (left.to(t) @ right.to(t) for t in (torch.float32, torch.bfloat16))
    errors = [float((found.double() - exact).abs().max() / exact.abs().max()) for found in (single, brief)]
    assert errors[0] * 5 < LARGEST_ERROR < errors[1] / 50


def test_refused_without_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    assert exact_here([])
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not exact_here([])


def trained(recorder: Any, **plan: Any) -> tuple[nn.Module, Engine]:
    torch.manual_seed(0)
    x = torch.randn(64, SIZES[0])
    stored = InMemory({"x": x, "target": (x[:, 0] > 0).long()})
    source = Shuffled(stored, torch.arange(64), batch_size=16, seed=1)
    model = nn.Sequential(layer(), nn.Tanh(), nn.Linear(SIZES[1], 2))
    made = Engine(
        Classification(model, ["x"]),
        source,
        Plan(steps=12, precision="float32", compile="off", threads=1, device="cpu", **plan),
        {"model": SGD(lr=0.1)},
        watchers=[recorder],
    )
    made.run()
    return model, made


def test_a_training_through_onednn_is_nearly_the_same(always: list[Any], recorders: Any) -> None:
    through, plain = recorders(), recorders()
    model, _ = trained(through, onednn="on")
    assert len(always) == 2 * 12
    expected, _ = trained(plain, onednn="off")
    assert len(always) == 2 * 12
    assert classes(model) == classes(expected)
    for one, other in zip(model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    for found, row in zip(through.numbers(), plain.numbers(), strict=True):
        assert found == pytest.approx(row, rel=1e-4)
