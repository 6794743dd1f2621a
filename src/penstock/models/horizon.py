"""How far back in a sequence a gradient reaches. B batch, T time, C channels, H hidden width."""

from __future__ import annotations

import torch
from torch import Tensor

from penstock.models.trunk import Trunk
from penstock.nn.steps import within


def gradients_through_time(trunk: Trunk, x: Tensor, lengths: Tensor | None = None, *, probes: int = 4) -> Tensor:
    """The size of d(last output) / d(input) by the number of steps between them: (T,), at 0 the last input itself.

    It is the Frobenius norm of the Jacobian, from `probes` random directions (Hutchinson's estimate), averaged over
    the sequences (B, T, C) that are long enough; NaN where none is. The trunk should be in evaluation mode.
    """
    count, steps = x.shape[:2]
    if lengths is None:
        lengths = torch.full((count,), steps, device=x.device)
    x = x.detach().float().requires_grad_()
    generator = torch.Generator().manual_seed(0)
    squares = torch.zeros(count, steps, dtype=torch.float64)
    # The primitives of graphics cards refuse to go backwards in evaluation mode.
    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        y = trunk(x, lengths)  # (B, T, H)
        end = (lengths - 1).clamp(min=0).view(-1, 1, 1).expand(-1, 1, y.shape[2])
        last = y.gather(1, end).squeeze(1)
        for _ in range(probes):
            direction = torch.randint(2, last.shape, generator=generator) * 2 - 1
            (found,) = torch.autograd.grad((last * direction.to(last)).sum(), x, retain_graph=True)
            squares += found.double().square().sum(2).cpu() / probes
    back = (lengths.cpu().unsqueeze(1) - 1 - torch.arange(steps)).clamp(min=0)  # from distance to step
    norms = squares.sqrt().gather(1, back)
    real = within(lengths.cpu(), steps)
    return (norms * real).sum(0) / torch.where(real.any(0), real.sum(0), torch.nan)


def horizon(norms: Tensor, share: float = 0.01) -> int:
    """The largest distance at which a norm of (T,) is at least this share of the largest; 0 where there is none."""
    found = torch.nan_to_num(norms, nan=0.0)
    far = (found > 0) & (found >= share * found.max()) if len(found) else found > 0
    return int(far.nonzero().max()) if far.any() else 0
