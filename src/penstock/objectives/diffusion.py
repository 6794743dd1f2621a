"""Learning to take noise away, and making examples of noise. B batch, T steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from penstock.core.batch import Batch
from penstock.core.errors import DataError, RecipeError
from penstock.core.objective import Evaluation, Objective, Update
from penstock.core.shared import rows
from penstock.nn.noise_schedule import NoiseSchedule
from penstock.objectives.coding import EVALUATION_SEED
from penstock.objectives.likelihood import full


class Diffusion(Objective):
    """The mean squared error of the noise that `model` finds in the field `of`, after a step drawn for each example.

    Ho et al. 2020, "Denoising diffusion probabilistic models", equation (14). `model` takes (B, ...), steps (B,) and,
    where `label` names a field, labels (B,) int64; a share `unlabelled` of them is replaced by `classes`, the label of
    none, so that it can be guided (Ho and Salimans 2022, "Classifier-free diffusion guidance", section 3.2). Examples
    are to lie between -1 and 1.
    """

    def __init__(
        self,
        model: nn.Module,
        schedule: NoiseSchedule,
        of: str = "image",
        *,
        label: str | None = None,
        classes: int = 0,
        unlabelled: float = 0.1,
    ) -> None:
        super().__init__()
        if not 0 <= unlabelled <= 1:
            raise RecipeError("unlabelled", f"it is {unlabelled}", "give a number from 0 to 1")
        self.model, self.schedule, self.of = model, schedule, of
        self.label, self.classes, self.unlabelled = label, classes, unlabelled

    def loss(self, batch: Batch) -> Update:
        """The mean over the examples."""
        x = batch[self.of]
        t = torch.randint(self.schedule.steps, (len(x),), device=x.device)
        told = self._told(batch)
        if told:
            dropped = torch.rand(len(x), device=x.device) < self.unlabelled
            told = [told[0].masked_fill(dropped, self.classes)]
        return Update(self._errors(x, torch.randn_like(x), t, told).mean(), weight=len(x))

    def evaluate(self, source: Iterable[Batch]) -> Evaluation:
        """Loss, for steps spread evenly over the examples; records: error (N,)."""

        found = rows(source, lambda batch: (self.errors(batch),))
        if not found:
            raise DataError("evaluation", "there are no examples", "give at least one example to evaluate on")
        error = torch.cat([part for (part,) in found]).cpu()
        return Evaluation({"loss": float(error.double().mean())}, {"error": error})

    def errors(self, batch: Batch) -> Tensor:
        """The error of each example (B,) at steps spread evenly over them, the same whenever it is asked for."""
        x = batch[self.of]
        generator = torch.Generator(x.device).manual_seed(EVALUATION_SEED)
        start = torch.rand((), generator=generator, device=x.device)
        places = (torch.arange(len(x), device=x.device) / len(x) + start) % 1
        t = (places * self.schedule.steps).long().clamp(max=self.schedule.steps - 1)
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
        return self._errors(x, noise, t, self._told(batch))

    @torch.no_grad()
    def sample(
        self,
        noise: Tensor,
        *,
        steps: int | None = None,
        eta: float = 0.0,
        labels: Tensor | None = None,
        guidance: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Examples (B, ...), between -1 and 1, of normal `noise` of their shape, in so many steps: 50 if not
        given, or all that there are.

        With `eta` 0 they follow from the noise alone (Song et al. 2021, "Denoising diffusion implicit models", equation
        (12)); with 1 and all steps, each step adds as much noise as in Ho et al. 2020, algorithm 2. `guidance` w moves
        what is found for the labels w times away from what is found for none. Raises RecipeError for a number of steps
        that the schedule does not have.
        """
        most = self.schedule.steps
        steps = min(50, most) if steps is None else steps
        if not 1 <= steps <= most:
            raise RecipeError("steps", f"{steps} sampling steps", f"give 1 to {most}, as many as in training")
        if not 0 <= eta <= 1:
            raise RecipeError("eta", f"it is {eta}", "give a number from 0, no chance, to 1")
        x = noise
        times = torch.linspace(most - 1, 0, steps).round().long().tolist() if steps > 1 else [most - 1]
        for now, then in zip(times, [*times[1:], -1]):
            found = self._noise_in(x, now, labels, guidance)
            signal = self.schedule.signal[now].to(x.dtype)
            after = self.schedule.signal[then].to(x.dtype) if then >= 0 else torch.ones_like(signal)
            clean = ((x - (1 - signal).sqrt() * found) / signal.sqrt()).clamp(-1, 1)
            found = (x - signal.sqrt() * clean) / (1 - signal).sqrt()  # the noise that goes with what was clamped
            chance = eta * ((1 - after) / (1 - signal) * (1 - signal / after)).clamp(min=0).sqrt()
            x = after.sqrt() * clean + (1 - after - chance.square()).clamp(min=0).sqrt() * found
            if eta > 0 and then >= 0:
                fresh = torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
                x = x + chance * fresh
        return x

    def _noise_in(self, x: Tensor, step: int, labels: Tensor | None, guidance: float) -> Tensor:
        t = torch.full((len(x),), step, device=x.device)
        told = [] if self.label is None else [torch.full_like(t, self.classes) if labels is None else labels]
        found = full(self.model(x, t, *told))
        if guidance and labels is not None and told:
            nothing = full(self.model(x, t, torch.full_like(t, self.classes)))
            found = found + guidance * (found - nothing)
        return found

    def _errors(self, x: Tensor, noise: Tensor, t: Tensor, told: Sequence[Tensor]) -> Tensor:
        """By value, (B,)."""
        found = full(self.model(self.schedule.noised(x, noise, t), t, *told))
        return (found - noise).square().flatten(1).mean(1)

    def _told(self, batch: Batch) -> list[Tensor]:
        return [] if self.label is None else [batch[self.label]]
