"""A generator and a discriminator, each learning from what the other does. B batch, Z numbers of a code, K classes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from penstock.core.batch import Batch
from penstock.core.draws import Draws
from penstock.core.objective import Evaluation, Update
from penstock.core.shared import rows
from penstock.models.discriminator import Discriminator, Look
from penstock.models.generator import Generator
from penstock.nn.differentiable_augment import DifferentiableAugment
from penstock.nn.sizes import require_sizes
from penstock.nn.spectral import advance_all
from penstock.objectives.adversarial_losses import AdversarialLoss, NonSaturating
from penstock.objectives.generating import Generating, joined
from penstock.objectives.penalties import ClipWeights, Penalty

PLAIN = DifferentiableAugment(())
"""Pictures as they are."""


class Adversarial(Generating):
    """In turns, a discriminator of real and generated examples, and a generator that is to deceive it.

    Goodfellow et al. 2014, "Generative adversarial nets", algorithm 1. The batch has the field `field` (B, ...), "key"
    (B,) and, with `label`, that field (B,) int64: generated examples then are of the classes of the real ones. The
    generator's turn comes with every `turns`-th batch. Examples pass through `augment` on their way to the
    discriminator. A discriminator that names classes learns to name them, and the generator to have them named, by a
    cross-entropy of `class_weight` (Odena et al. 2017).
    """

    normal = True

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        *,
        field: str = "image",
        label: str | None = None,
        loss: AdversarialLoss = NonSaturating(),  # noqa: B008 - it is frozen
        penalties: Sequence[Penalty] = (),
        constraint: ClipWeights | None = None,
        augment: DifferentiableAugment = PLAIN,
        turns: int = 1,
        class_weight: float = 1.0,
        examiner: nn.Module | None = None,
    ) -> None:
        super().__init__(field=field, examiner=examiner)
        require_sizes("Adversarial", turns=turns)
        self.generator, self.discriminator, self.label = generator, discriminator, label
        self.criterion, self.penalties, self.constraint = loss, tuple(penalties), constraint
        self.augment, self.turns, self.class_weight = augment, turns, class_weight
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))
        self._codes = [Draws("codes"), Draws("codes of the generator's turn")]
        self._changes = [Draws(f"changes of {what}") for what in ("real", "generated", "the generator's turn")]

    def roles(self) -> dict[str, nn.Module]:
        """The two players."""
        return {"generator": self.generator, "discriminator": self.discriminator}

    def step(self, batch: Batch) -> Iterator[Update]:
        """The discriminator's turn, and, with every `turns`-th batch, the generator's."""
        real, keys, label = self.real(batch), batch["key"], self._label(batch)
        with torch.no_grad():
            generated = self._made(keys, label, self._codes[0])
        yield Update(self._discerned(real, generated, keys, label), role="discriminator", weight=len(real))
        if self.turns == 1 or (int(self.get_buffer("batches")) + 1) % self.turns == 0:
            look = self._look(self._made(keys, label, self._codes[1]), keys, label, self._changes[2])
            loss = self.criterion.generator(look.score) + self._named(look, label)
            yield Update(loss, role="generator", weight=len(real))

    def stepped(self) -> None:
        """Count the batch, bound the discriminator's weights, and go on with its spectral norms."""
        if self.turns > 1:
            self.get_buffer("batches").add_(1)
        if self.constraint is not None:
            self.constraint(self.discriminator)
        advance_all(self)

    def draw(self, keys: Tensor) -> Tensor:
        """Codes of the unit normal: (B,) to (B, Z)."""
        return self._drawn(keys, self._codes[0])

    def make(self, code: Tensor, label: Tensor | None = None) -> Tensor:
        """What the generator makes of codes (B, Z)."""
        made: Tensor = self.generator(code, label)
        return made

    def evaluate(self, source: Iterable[Batch]) -> Evaluation:
        """Of held-out real examples and as many generated ones: the discriminator's loss without penalties as `loss`,
        and measures of nearness; records: the scores of both (N,)."""
        real, generated, real_score, score = joined(rows(source, self._examined))
        loss = float(self.criterion.discriminator(real_score.double(), score.double()))
        records = {"real_score": real_score, "generated_score": score}
        return Evaluation({"loss": loss, **self.compared(real, generated)}, records)

    def _examined(self, batch: Batch) -> tuple[Tensor, ...]:
        real, label = self.real(batch), self._label(batch)
        generated = self.sample(batch["key"], label)
        looks = self.discriminator(real, label), self.discriminator(generated, label)
        return self.features(real), self.features(generated), *(look.score.float() for look in looks)

    def _label(self, batch: Batch) -> Tensor | None:
        return None if self.label is None else batch[self.label]

    def _made(self, keys: Tensor, label: Tensor | None, draws: Draws) -> Tensor:
        """Examples from the codes that keys draw."""
        return self.make(self._drawn(keys, draws), label)

    def _drawn(self, keys: Tensor, draws: Draws) -> Tensor:
        return draws.normal(keys, self.generator.code).to(next(self.generator.parameters()).dtype)

    def _look(self, x: Tensor, keys: Tensor, label: Tensor | None, changes: Draws) -> Look:
        look: Look = self.discriminator(self.augment(x, keys, changes), label)
        return look

    def _discerned(self, real: Tensor, generated: Tensor, keys: Tensor, label: Tensor | None) -> Tensor:
        """The discriminator's loss."""
        on_real = self._look(real, keys, label, self._changes[0])
        on_generated = self._look(generated, keys, label, self._changes[1])
        loss = self.criterion.discriminator(on_real.score, on_generated.score)
        loss = loss + self._named(on_real, label) + self._named(on_generated, label)
        for penalty in self.penalties:
            loss = loss + penalty(lambda x: self._look(x, keys, label, self._changes[0]).score, real, generated, keys)
        return loss

    def _named(self, look: Look, label: Tensor | None) -> Tensor | float:
        """The cross-entropy of the classes named, where the discriminator names any."""
        if look.classes is None or label is None:
            return 0.0
        return self.class_weight * functional.cross_entropy(look.classes, label)
