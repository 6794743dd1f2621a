"""A GRU's training pass on the processor: few operations a step, and what the steps share after the last of them.

torch composes `nn.GRU` there of a dozen operations a step and differentiates each: every step has products of its own
for the gradients of the weights, and adds them up. Here a step has one product on the way forward and one on the way
back; the gradients of the weights are one product each, over all steps. Only a step that is differentiated comes here.
B batch, T time, C inputs, H hidden.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.engine.tuning.onednn import permitted
from penstock.engine.tuning.work import LARGE

KINDS = (torch.float64, torch.float32, torch.bfloat16)
FEWEST = 16
"""Steps from which it pays, however small they are: to prepare for them takes as long as ten of torch's."""


@contextlib.contextmanager
def gru_at_once(module: nn.Module, *, enabled: bool, onednn: bool) -> Iterator[None]:
    """Inside, the module's GRUs are differentiated sequence by sequence instead of step by step, where enabled.

    `onednn`: their large single-precision products go through oneDNN. Off: `Plan(fused=False)`.
    """
    layers = [layer for layer in module.modules() if type(layer) is nn.GRU] if enabled else []
    for layer in layers:
        layer.__class__ = _ThroughOneDNN if onednn else _GRU  # as linear layers are, see there
    try:
        yield
    finally:
        for layer in layers:
            layer.__class__ = nn.GRU


class _GRU(nn.GRU):
    onednn: ClassVar[bool] = False

    def forward(self, input: Any, hx: Tensor | None = None) -> Any:
        self._update_flat_weights()  # as torch does: somebody may have put others in their places
        kind = _kind(input)
        if kind is None or not self._can(input, hx, kind):
            return super().forward(input, hx)
        x = input.transpose(0, 1) if self.batch_first else input  # (T, B, C)
        if hx is None:
            hx = x.new_zeros(self.num_layers, x.shape[1], self.hidden_size)
        self.check_forward_args(input, hx, None)
        onednn = self.onednn and kind == torch.float32 and hx[0].numel() * 3 * self.hidden_size >= LARGE
        last = []
        flat = [weight for weight in self._flat_weights if weight is not None]
        for layer in range(self.num_layers):
            if layer:
                x = F.dropout(x, self.dropout, self.training)
            weights = [weight.to(kind) for weight in flat[4 * layer : 4 * layer + 4]]
            x, state = _Sequence.apply(onednn, x.to(kind).contiguous(), hx[layer], *weights)  # type: ignore[no-untyped-call]
            last.append(state)
        return x.transpose(0, 1) if self.batch_first else x, torch.stack(last)

    def _can(self, x: Tensor, hx: Tensor | None, kind: torch.dtype) -> bool:
        weights: list[Tensor] = [weight for weight in self._flat_weights if weight is not None]
        return (
            x.shape[1 if self.batch_first else 0] >= FEWEST
            and torch.is_grad_enabled()
            and (x.requires_grad or any(weight.requires_grad for weight in weights))
            and self.bias
            and not self.bidirectional
            and x.shape[2] == self.input_size
            and (hx is None or (hx.is_cpu and hx.dtype in (x.dtype, self.weight_hh_l0.dtype)))
            and (kind == x.dtype == self.weight_hh_l0.dtype or torch.is_autocast_enabled("cpu"))
            and not torch.compiler.is_compiling()
            and not torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
            and not torch._C._are_functorch_transforms_active()  # torch.func takes no autograd function of this form
        )


class _ThroughOneDNN(_GRU):
    onednn = True


def _kind(x: Any) -> torch.dtype | None:
    """In what the products are computed; None where this is no business of ours, such as packed sequences."""
    if type(x) is not Tensor or not x.is_cpu or x.dim() != 3 or not x.numel():
        return None
    kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    return kind if kind in KINDS else None


class _Sequence(torch.autograd.Function):
    """All steps of one layer: x (T, B, C) and a state (B, H) to the states (T, B, H), and the last of them.

    Products are computed in the kind of x and the weights; the state keeps its own, which may be a wider one.
    """

    @staticmethod
    def forward(
        ctx: Any, onednn: bool, x: Tensor, h: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor
    ) -> tuple[Tensor, Tensor]:
        with _as_given(onednn):
            gates, new, low, states = _steps(x, h, w_ih, w_hh, b_ih, b_hh)
        ctx.onednn = onednn
        ctx.save_for_backward(x, h, w_ih, w_hh, b_ih, b_hh, gates, new, low)
        return states, states[-1].clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, gates, new, low = ctx.saved_tensors
        if torch.is_grad_enabled():  # these gradients are to be differentiated in turn
            return None, *_differentiable(inputs, grads, ctx.needs_input_grad[1:])
        with _as_given(ctx.onednn):
            return None, *_gradients(inputs, gates, new, low, grads)


def _steps(
    x: Tensor, h: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gates (T, B, 3H), candidates (T, B, H), all states for the products (T + 1, B, H), and those to be returned.

    Of the gates, the third is what the candidate gets from the state before the reset gate acts on it. The states that
    are returned (T, B, H) have memory of their own, for whoever gets them may change them in place.
    """
    (steps, examples, _), width = x.shape, h.shape[1]
    gates = F.linear(x, w_ih, b_ih)  # from the input; each step puts its own in the place
    new = x.new_empty(steps, examples, width)
    low = x.new_empty(steps + 1, examples, width)
    low[0] = h
    wider = h.dtype != x.dtype
    states = h.new_empty(new.shape) if wider else low[1:]
    product = x.new_empty(examples, 3 * width)
    gating, recalled = product[:, : 2 * width], product[:, 2 * width :]
    wide, update, minus_one = h.new_empty(h.shape), h.new_empty(h.shape), h.new_tensor(-1.0)
    transposed = w_hh.t()
    both, (r, z, third) = gates[..., : 2 * width], gates.view(steps, examples, 3, width).unbind(2)
    each = zip(*(a.unbind() for a in (both, r, z, third, new, low[:-1], low[1:], states)), strict=True)
    before = h
    for both_t, r_t, z_t, third_t, n, seen, told, after in each:
        torch.addmm(b_hh, seen, transposed, out=product)
        both_t.add_(gating).sigmoid_()
        torch.addcmul(third_t, r_t, recalled, out=n)
        third_t.copy_(recalled)
        if not wider:
            torch.lerp(n.tanh_(), seen, z_t, out=told)
            continue
        wide.copy_(n).mul_(2).sigmoid_()  # tanh(n) = 2 sigmoid(2 n) - 1, in half the time
        torch.add(minus_one, wide, alpha=2, out=wide)
        n.copy_(wide)
        update.copy_(z_t)
        torch.lerp(wide, before, update, out=after)
        told.copy_(after)
        before = after
    return gates, new, low, states if wider else states.clone()


def _gradients(
    inputs: list[Tensor], gates: Tensor, new: Tensor, low: Tensor, grads: tuple[Tensor, ...]
) -> Iterator[Tensor]:
    """Of x, the state, and the weights."""
    x, h, w_ih, w_hh, _, _ = inputs
    (steps, examples, width), columns = new.shape, x.shape[2]
    r, z, recalled = gates.view(steps, examples, 3, width).unbind(2)
    # What the gradient of a state is to be multiplied by, to be that of what goes into: the candidate, the reset gate,
    # the update gate, the candidate's part from the state. The first three are from the input, the last three from the
    # state.
    d = x.new_empty(steps, examples, 4, width)
    to_new, to_r, to_z, to_recalled = d.unbind(2)
    aten = torch.ops.aten
    torch.sub(low[:-1], new, out=to_z)
    aten.sigmoid_backward.grad_input(to_z, z, grad_input=to_z)
    torch.sub(z.new_ones(()), z, out=to_recalled)
    aten.tanh_backward.grad_input(to_recalled, new, grad_input=to_new)
    torch.mul(to_new, recalled, out=to_r)
    aten.sigmoid_backward.grad_input(to_r, r, grad_input=to_r)
    torch.mul(to_new, r, out=to_recalled)
    dh = h.new_empty(steps + 1, examples, width)
    dh[0] = 0
    dh[1:] = grads[0]
    dh[-1] += grads[1]
    wider = h.dtype != x.dtype
    update, back = h.new_empty(h.shape), x.new_empty(h.shape)
    narrow = x.new_empty(examples, 1, width)
    rows = d.view(steps * examples, 4 * width)
    from_x, from_h = rows[:, : 3 * width], rows[:, width:]
    each = zip(
        *(a.unbind() for a in (dh[1:], dh[:-1], d, d.view(steps, examples, 4 * width)[..., width:], z)), strict=True
    )
    for now, before, d_t, from_h_t, z_t in reversed(list(each)):
        if not wider:
            d_t.mul_(now.unsqueeze(1))
            before.addcmul_(now, z_t).addmm_(from_h_t, w_hh)
            continue
        narrow.copy_(now.unsqueeze(1))
        d_t.mul_(narrow)
        update.copy_(z_t)
        torch.mm(from_h_t, w_hh, out=back)
        before.addcmul_(now, update).add_(back)
    yield (from_x @ w_ih.roll(width, 0)).view(x.shape)  # the candidate's rows come first here
    yield dh[0]
    yield (from_x.t() @ x.view(-1, columns)).roll(-width, 0)
    yield from_h.t() @ low[:-1].reshape(-1, width)
    sums = rows.sum(0)
    yield sums[: 3 * width].roll(-width)
    yield sums[width:]


def _differentiable(
    inputs: list[Tensor], grads: tuple[Tensor, ...], needed: tuple[bool, ...]
) -> Iterator[Tensor | None]:
    """The gradients of those inputs that need one, as torch computes them, with a graph of their own."""
    x, h, *weights = inputs
    with torch.autocast("cpu", x.dtype, enabled=h.dtype != x.dtype):
        found, last = torch._VF.gru(x, h.unsqueeze(0), weights, True, 1, 0.0, True, False, False)
    wanted = [value for value, need in zip(inputs, needed, strict=True) if need]
    made = iter(torch.autograd.grad((found, last[0]), wanted, grads, create_graph=True))
    return (next(made) if need else None for need in needed)


@contextlib.contextmanager
def _as_given(onednn: bool) -> Iterator[None]:
    """Inside, nothing is converted, and large products may go through oneDNN."""
    with torch.autocast("cpu", enabled=False), permitted() if onednn else contextlib.nullcontext():
        yield
