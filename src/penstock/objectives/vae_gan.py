"""An adversarial pair whose generator also decodes what an encoder reads. B batch, Z numbers of a code, F features."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from penstock.core.batch import Batch
from penstock.core.draws import Draws
from penstock.core.objective import Update
from penstock.models.discriminator import Discriminator, GaussianEncoder
from penstock.models.generator import Generator
from penstock.nn.spectral import advance_all
from penstock.objectives.adversarial_losses import AdversarialLoss, NonSaturating
from penstock.objectives.generating import Inverting


class VAEGAN(Inverting):
    """Encoder, generator (the decoder) and discriminator; likeness is measured in the discriminator's features.

    Larsen et al. 2016, "Autoencoding beyond pixels using a learned similarity metric", algorithm 1, with the updates
    one after the other: the discriminator tells real examples from decoded codes and from decoded noise; the encoder
    makes codes normal and decodable; the generator decodes, at a weight of `likeness` (their gamma), and deceives.
    Likeness is the mean over the features of half the squared difference, and the divergence from the normal
    distribution, of weight `divergence`, the sum over the numbers of a code.
    """

    normal = True

    def __init__(
        self,
        encoder: GaussianEncoder,
        generator: Generator,
        discriminator: Discriminator,
        *,
        field: str = "image",
        loss: AdversarialLoss = NonSaturating(),  # noqa: B008 - it is frozen
        likeness: float = 1.0,
        divergence: float = 0.01,
        examiner: nn.Module | None = None,
    ) -> None:
        super().__init__(field=field, examiner=examiner)
        self.encoder, self.generator, self.discriminator = encoder, generator, discriminator
        self.criterion, self.likeness, self.divergence = loss, likeness, divergence
        self._noise, self._codes = Draws("noise of the encoder"), Draws("codes")

    def roles(self) -> dict[str, nn.Module]:
        """The three players."""
        return {"generator": self.generator, "encoder": self.encoder, "discriminator": self.discriminator}

    def step(self, batch: Batch) -> Iterator[Update]:
        """The discriminator's turn, the encoder's and the generator's."""
        real, keys = self.real(batch), batch["key"]
        prior = self._codes.normal(keys, self.generator.code).to(real.dtype)
        with torch.no_grad():
            made = torch.cat([self.generator(self._encoded(real, keys)[0]), self.generator(prior)])
        loss = self.criterion.discriminator(self.discriminator(real).score, self.discriminator(made).score)
        yield Update(loss, role="discriminator", weight=len(real))
        with torch.no_grad():
            seen = self.discriminator(real).features
        code, divergence = self._encoded(real, keys)
        loss = self.divergence * divergence.mean() + self._unlike(self.generator(code), seen)
        yield Update(loss, role="encoder", weight=len(real))
        with torch.no_grad():
            code, _ = self._encoded(real, keys)
        decoded = self.generator(code)
        scores = torch.cat([self.discriminator(x).score for x in (decoded, self.generator(prior))])
        loss = self.likeness * self._unlike(decoded, seen) + self.criterion.generator(scores)
        yield Update(loss, role="generator", weight=len(real))

    def stepped(self) -> None:
        """Go on with spectral norms."""
        advance_all(self)

    def draw(self, keys: Tensor) -> Tensor:
        """Codes of the unit normal: (B,) to (B, Z)."""
        return self._codes.normal(keys, self.generator.code).to(next(self.generator.parameters()).dtype)

    def make(self, code: Tensor, label: Tensor | None = None) -> Tensor:
        """What codes (B, Z) are decoded to."""
        made: Tensor = self.generator(code)
        return made

    def encode(self, x: Tensor) -> Tensor:
        """The mean codes of examples: (B, ...) to (B, Z)."""
        mean: Tensor = self.encoder(x)[0]
        return mean

    def _encoded(self, x: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (B, Z), with noise, and the divergence of their distributions from the unit normal (B,)."""
        mean, log_variance = self.encoder(x)
        noise = self._noise.normal(keys, self.generator.code).to(mean.dtype)
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum(1) / 2
        return mean + (log_variance / 2).exp() * noise, divergence

    def _unlike(self, decoded: Tensor, seen: Tensor) -> Tensor:
        """How the discriminator's features of decoded examples differ from those of real ones (B, F)."""
        found: Tensor = (self.discriminator(decoded).features - seen).square().mean() / 2
        return found
