"""Parameters laid out in one tensor: same names, values and layouts; weights that decay come first."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from penstock.core.errors import RecipeError
from penstock.engine.flat import ALIGNMENT, Flat
from penstock.engine.role import Role
from penstock.engine.tuning.layout import lay_out
from penstock.engine.tuning.threads import set_threads
from penstock.optim.adam import AdamW
from penstock.optim.sgd import SGD


class Mixed(nn.Module):
    """Parameters of every number of dimensions, some of odd layouts."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.scale = nn.Parameter(torch.tensor(2.5))
        self.conv = nn.Conv2d(3, 5, 3)
        self.norm = nn.LayerNorm(7)
        self.turned = nn.Parameter(torch.randn(4, 6).T)
        self.line = nn.Linear(7, 3)
        self.frozen = nn.Parameter(torch.randn(3, 3), requires_grad=False)


@pytest.mark.parametrize("channels_last", [False, True])
def test_names_values_and_layouts_stay(channels_last: bool) -> None:
    module = Mixed()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    if channels_last:
        lay_out(module, torch.device("cuda"))
    flat = Flat("model", dict(module.named_parameters()))
    assert list(module.state_dict()) == list(before)
    for name, value in module.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert module.conv.weight.is_contiguous(memory_format=torch.channels_last) == channels_last
    assert module.conv.weight.is_contiguous() != channels_last
    assert module.frozen.grad is None
    views = flat.views(flat.parameter)
    assert set(views) == {name for name, p in module.named_parameters() if p.requires_grad}
    for name, p in module.named_parameters():
        if p.requires_grad:
            assert views[name].data_ptr() == p.data_ptr()
            assert p.data_ptr() % (ALIGNMENT * 4) == flat.parameter.data_ptr() % (ALIGNMENT * 4)
            assert p.grad is not None
            assert p.grad.stride() == p.stride()


def test_gradients_arrive_in_the_flat_tensor() -> None:
    module = Mixed()
    lay_out(module, torch.device("cuda"))
    flat = Flat("model", dict(module.named_parameters()))
    out = module.line(module.norm(module.conv(torch.randn(2, 3, 9, 9)))).sum() * module.scale + module.turned.sum()
    expected = torch.autograd.grad(out, flat.parameters, retain_graph=True)
    out.backward()
    for gradient, reference in zip(flat.views(flat.gradient).values(), expected, strict=True):
        torch.testing.assert_close(gradient, reference, rtol=0, atol=0)
    assert float(flat.gradient.norm()) == pytest.approx(float(sum(g.norm() ** 2 for g in expected)) ** 0.5)


def test_weights_decay_and_biases_and_scales_do_not() -> None:
    module = Mixed()
    role = Role("model", module, SGD(lr=1.0, momentum=0.0, weight_decay=0.25), fused=False)
    before = {name: value.clone() for name, value in module.named_parameters()}
    role.rate = role.rate_at(0.5)
    role.update()
    for name, value in module.named_parameters():
        decays = name in ("conv.weight", "turned", "line.weight")
        torch.testing.assert_close(value.detach(), before[name].detach() * (0.75 if decays else 1.0), msg=name)


@pytest.mark.parametrize("members", [nn.Linear(3, 2, bias=False), nn.LayerNorm(4)], ids=["all decay", "none decays"])
def test_one_kind_of_parameter_only(members: nn.Module) -> None:
    role = Role("model", members, AdamW(lr=0.1, weight_decay=0.5), fused=True)
    before = next(members.parameters()).detach().clone()
    role.rate = role.rate_at(0.0)
    role.update()
    decays = isinstance(members, nn.Linear)
    torch.testing.assert_close(next(members.parameters()).detach(), before * (0.95 if decays else 1.0))


def test_a_shared_parameter_counts_once() -> None:
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = first.weight
    together = nn.Sequential(first, second)
    assert len(Role("model", together, SGD(), fused=False).flat.parameters) == 3
    listed = Role("model", [*first.parameters(), *second.parameters()], SGD(lr=1.0, momentum=0.0), fused=False)
    assert len(listed.flat.parameters) == 3
    assert second.weight is first.weight
    second(first(torch.ones(1, 4))).sum().backward()
    assert float(listed.flat.gradient.norm()) > 0
    views = [view for view in listed.flat.views(listed.flat.gradient).values() if view.ndim == 2]
    assert len(views) == 1
    assert torch.equal(views[0], first.weight.grad)


def test_parameters_of_two_types_are_refused() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double())
    with pytest.raises(
        RecipeError, match=r"^role 'model': its parameters are torch.float32 on cpu, torch.float64 on c"
    ):
        Role("model", module, SGD(), fused=False)


@pytest.mark.parametrize(
    "members", [nn.ReLU(), nn.Linear(2, 2).requires_grad_(False), []], ids=["none", "frozen", "[]"]
)
def test_a_role_without_trainable_parameters_is_refused(members: nn.Module | list[nn.Parameter]) -> None:
    with pytest.raises(RecipeError, match=r"^role 'teacher': it has no trainable parameter; "):
        Role("teacher", members, SGD(), fused=False)


def test_the_number_of_threads() -> None:
    before = torch.get_num_threads()
    try:
        assert set_threads(2) == torch.get_num_threads() == 2
        assert set_threads(None) >= 1
        assert set_threads(None, 10**6) == 1  # as many processes share the cores
        assert set_threads(2, 10**6) == 2
    finally:
        torch.set_num_threads(before)
