"""A discriminator that generates by itself: its negatives are what it takes for most real. B batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from penstock.core.batch import Batch
from penstock.core.draws import Draws
from penstock.core.objective import Evaluation, Update
from penstock.core.shared import rows
from penstock.models.discriminator import Discriminator
from penstock.nn.spectral import advance_all
from penstock.objectives.generating import Generating, joined
from penstock.objectives.langevin import Langevin, Start, from_noise


class EnergyBased(Generating):
    """Scores (minus energies) that are high at real examples and low where chains on the scores themselves arrive.

    Du and Mordatch 2019, "Implicit generation and modeling with energy based models", section 3, with `size` times the
    mean squared score added to keep scores small. Real examples get noise of a deviation of `blur`, without which their
    density has no slope. Chains begin at `start`, and `langevin` says how they go on. There is one role,
    "discriminator".
    """

    def __init__(
        self,
        discriminator: Discriminator,
        shape: Sequence[int],
        *,
        field: str = "image",
        langevin: Langevin = Langevin(),  # noqa: B008 - it is frozen
        start: Start = from_noise,
        size: float = 0.1,
        blur: float = 0.03,
        examiner: nn.Module | None = None,
    ) -> None:
        super().__init__(field=field, examiner=examiner)
        self.discriminator, self.shape = discriminator, tuple(shape)
        self.langevin, self.start, self.size, self.blur = langevin, start, size, blur
        self._blur = Draws("blur of real examples")

    def roles(self) -> dict[str, nn.Module]:
        """The only player."""
        return {"discriminator": self.discriminator}

    def loss(self, batch: Batch) -> Update:
        """The difference of mean scores, and their size."""
        real, keys = self.real(batch), batch["key"]
        negative = self.langevin(self._judge, self.start(real, keys), keys)
        real = real + self.blur * self._blur.normal(keys, *real.shape[1:]).to(real.dtype)
        on_real, on_negative = self._judge(real), self._judge(negative)
        loss = on_negative.mean() - on_real.mean()
        loss = loss + self.size * (on_real.square().mean() + on_negative.square().mean())
        return Update(loss, role="discriminator", weight=len(real))

    def stepped(self) -> None:
        """Go on with spectral norms."""
        advance_all(self)

    def draw(self, keys: Tensor) -> Tensor:
        """Noise from which chains begin: (B,) to (B, ...)."""
        like = next(self.discriminator.parameters()).new_empty(1).expand(len(keys), *self.shape)
        return from_noise(like, keys)

    def make(self, code: Tensor, label: Tensor | None = None) -> Tensor:
        """Where chains from (B, ...) arrive, whose noise depends on the place in the batch alone."""
        return self.langevin(self._judge, code, torch.arange(len(code), device=code.device))

    def sample(self, keys: Tensor, label: Tensor | None = None) -> Tensor:
        """Where chains from noise arrive, one for each key (B,)."""
        return self.langevin(self._judge, self.draw(keys), keys)

    def evaluate(self, source: Iterable[Batch]) -> Evaluation:
        """The difference of mean scores of samples and held-out examples, as `loss`, and measures of nearness; records:
        the scores of both (N,)."""
        real, generated, real_score, score = joined(rows(source, self._examined))
        loss = float((score.double() - real_score.double()).mean())
        records = {"real_score": real_score, "generated_score": score}
        return Evaluation({"loss": loss, **self.compared(real, generated)}, records)

    def _examined(self, batch: Batch) -> tuple[Tensor, ...]:
        real, made = self.real(batch), self.sample(batch["key"])
        scores = self._judge(real).float(), self._judge(made).float()
        return self.features(real), self.features(made), *scores

    def _judge(self, x: Tensor) -> Tensor:
        score: Tensor = self.discriminator(x).score
        return score
