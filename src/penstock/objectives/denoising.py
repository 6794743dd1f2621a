"""A diffusion model as one that makes examples, measured as all such models are. B batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from penstock.core.batch import Batch
from penstock.core.draws import Draws
from penstock.core.objective import Evaluation, Update
from penstock.core.shared import rows
from penstock.objectives.diffusion import Diffusion
from penstock.objectives.generating import Generating, joined


class Denoising(Generating):
    """Trains `diffusion`, and makes examples of a `shape` from noise by its `steps`, guided towards the class by
    `guidance` (see `Diffusion.sample`). Without chance on the way, so that an example follows from its key."""

    def __init__(
        self,
        diffusion: Diffusion,
        shape: Sequence[int],
        *,
        steps: int | None = None,
        guidance: float = 0.0,
        examiner: nn.Module | None = None,
    ) -> None:
        super().__init__(field=diffusion.of, examiner=examiner)
        self.diffusion, self.shape, self.steps, self.guidance = diffusion, tuple(shape), steps, guidance
        self._noise = Draws("noise to begin with")

    def roles(self) -> dict[str, nn.Module]:
        """The network that finds the noise."""
        return {"model": self.diffusion.model}

    def loss(self, batch: Batch) -> Update:
        """That of the diffusion."""
        return self.diffusion.loss(batch)

    def draw(self, keys: Tensor) -> Tensor:
        """Noise of the unit normal: (B,) to (B, ...)."""
        return self._noise.normal(keys, *self.shape).to(next(self.diffusion.model.parameters()).dtype)

    def make(self, code: Tensor, label: Tensor | None = None) -> Tensor:
        """What is left of noise (B, ...) when all that the network takes for noise is gone."""
        return self.diffusion.sample(code, steps=self.steps, labels=label, guidance=self.guidance)

    def evaluate(self, source: Iterable[Batch]) -> Evaluation:
        """The diffusion's loss on held-out examples, and measures of nearness of as many made; records: the error of
        each example (N,)."""
        real, generated, error = joined(rows(source, self._examined))
        return Evaluation({"loss": float(error.double().mean()), **self.compared(real, generated)}, {"error": error})

    def _examined(self, batch: Batch) -> tuple[Tensor, ...]:
        label = self.diffusion.label
        made = self.sample(batch["key"], None if label is None else batch[label])
        return self.features(self.real(batch)), self.features(made), self.diffusion.errors(batch).float()
