"""A generator that learns alone, with a learned code for every example. B batch, N examples, Z numbers of a code."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from penstock.core.batch import Batch
from penstock.core.draws import Draws
from penstock.core.objective import Update
from penstock.models.generator import Generator
from penstock.nn.sizes import require_sizes
from penstock.objectives.generating import Inverting

SEARCH_RATE = 0.05
"""Of the search for the code of an example that was not trained on."""


class LatentOptimisation(Inverting):
    """Codes of the training examples and a generator, both moved so that each code makes its example.

    Bojanowski et al. 2018, "Optimizing the latent space of generative networks", section 2. The batch has the field
    `field` and, beside "key", "index" (B,): which of the N codes an example has. The codes' turn comes first; they are
    kept within the unit ball. As losses are means over a batch, plain descent on codes wants a rate that grows with its
    size, such as B itself. New codes are drawn from the normal distribution fitted to those learned.
    """

    def __init__(
        self,
        generator: Generator,
        examples: int,
        *,
        field: str = "image",
        compare: Callable[[Tensor, Tensor], Tensor] | None = None,
        search_steps: int = 50,
        examiner: nn.Module | None = None,
    ) -> None:
        super().__init__(field=field, examiner=examiner)
        require_sizes("LatentOptimisation", examples=examples, search_steps=search_steps)
        self.generator, self.search_steps = generator, search_steps
        self._compare = compare
        self.codes = nn.Parameter(within_ball(torch.randn(examples, generator.code) / generator.code**0.5))
        self._codes = Draws("codes")

    def roles(self) -> dict[str, nn.Module | list[nn.Parameter]]:
        """The generator and the codes: for these, plain descent moves nothing but the codes of the batch."""
        return {"generator": self.generator, "codes": [self.codes]}

    def step(self, batch: Batch) -> Iterator[Update]:
        """The codes' turn and the generator's."""
        real, index = self.real(batch), batch["index"]
        loss = self.unlike(self.generator(self.codes[index]), real).mean()
        yield Update(loss, role="codes", weight=len(real))
        code = within_ball(self.codes.detach()[index])  # as they will be after the step
        loss = self.unlike(self.generator(code), real).mean()
        yield Update(loss, role="generator", weight=len(real))

    @torch.no_grad()
    def stepped(self) -> None:
        """Codes return to the ball."""
        self.codes.copy_(within_ball(self.codes))

    def draw(self, keys: Tensor) -> Tensor:
        """Codes like those learned: (B,) to (B, Z)."""
        codes = self.codes.detach()
        root = torch.linalg.cholesky_ex(codes.T.cov() + 1e-6 * torch.eye(codes.shape[1]).to(codes)).L
        drawn: Tensor = codes.mean(0) + self._codes.normal(keys, codes.shape[1]).to(codes.dtype) @ root.T
        return within_ball(drawn)

    def make(self, code: Tensor, label: Tensor | None = None) -> Tensor:
        """What the generator makes of codes (B, Z)."""
        made: Tensor = self.generator(code)
        return made

    def unlike(self, made: Tensor, real: Tensor) -> Tensor:
        """By `compare`, where that was given: (B, ...) twice to (B,)."""
        return super().unlike(made, real) if self._compare is None else self._compare(made, real)

    def encode(self, x: Tensor) -> Tensor:
        """Codes (B, Z) that make examples (B, ...), searched by gradient steps from the mean of those learned."""
        with torch.enable_grad():
            code = self.codes.detach().mean(0).expand(len(x), -1).clone().requires_grad_()
            moment = torch.zeros_like(code)
            for _ in range(self.search_steps):
                (slope,) = torch.autograd.grad(self.unlike(self.generator(code), x).sum(), code)
                # The same length of step whatever the size of the slope, which differs widely between losses.
                direction = slope / torch.linalg.vector_norm(slope, dim=1, keepdim=True).clamp(min=1e-12)
                moment = 0.9 * moment + 0.1 * direction
                code = within_ball(code.detach() - SEARCH_RATE * moment).requires_grad_()
        return code.detach()


def within_ball(code: Tensor) -> Tensor:
    """Codes (B, Z) that are longer than 1, at length 1."""
    length: Tensor = torch.linalg.vector_norm(code, dim=1, keepdim=True)
    return code / length.clamp(min=1)


def pyramid(made: Tensor, real: Tensor) -> Tensor:
    """Absolute differences of the levels of two Laplacian pyramids, and squares: (B, C, H, W) twice to (B,).

    Bojanowski et al. 2018, section 2, "Choice of loss function", where the level of 2^j times fewer pixels a side has a
    weight of 4^j over all its pixels: here, the means of all levels weigh alike. Levels are made by means over 2 x 2.
    """
    difference = made - real  # the pyramid is linear
    total = difference.square().flatten(1).mean(1)
    while min(difference.shape[2:]) >= 2:
        smaller = functional.avg_pool2d(difference, 2, ceil_mode=True)
        detail = difference - functional.interpolate(smaller, size=difference.shape[2:])
        total = total + detail.abs().flatten(1).mean(1)
        difference = smaller
    return total + difference.abs().flatten(1).mean(1)
