"""A trained autoencoder: examples in, their codes, their likenesses and what is unusual about them out.

B batch, P places, Z numbers of a code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import final

import torch
from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.errors import DataError, RecipeError
from penstock.data.ragged import LENGTH
from penstock.data.sounds import AUDIO
from penstock.data.sources import InOrder
from penstock.kinds.audio import AudioKind
from penstock.kinds.image import ImageKind
from penstock.kinds.likeness import LikenessAnswer
from penstock.kinds.table import TableKind
from penstock.kinds.told import TOLD
from penstock.models.autoencoder import QuantisedAutoencoder
from penstock.nn.truncate import truncated
from penstock.objectives.coding import Coding
from penstock.objectives.quantised import Quantised
from penstock.objectives.variational import Variational
from penstock.recipes.answering import Answering
from penstock.recipes.code_settings import CoderSettings
from penstock.recipes.making import Made, Maker
from penstock.recipes.rendering import rendered


@final
class Reconstructing(Answering, Maker):
    """Codes examples and makes them again; says what it has not seen the like of."""

    objective: Coding
    answer: LikenessAnswer
    net: CoderSettings

    def settle(self, source: Iterable[Batch], usual: float) -> None:
        """Put the threshold where this share of the errors in a held-out source lies below it."""
        errors = self.evaluate(source).records["error"].double()
        self.answer = self.answer.settled(float(torch.quantile(errors, usual)))

    def moved(self, source: Iterable[Batch]) -> Iterator[Batch]:
        """As always; and where the decoder is told a class that nobody gave, with the one that fits best."""
        for batch in super().moved(source):
            yield batch if self.answer.told is None or TOLD in batch else self._fitting(batch)

    def encode(self, given: Sequence[object], *, batch_size: int = 256) -> tuple[list[str], Tensor]:
        """A name and a code for each of the raw inputs, (N, Z); of a code with places, the mean or the shares.

        Raises DataError where an input cannot be read.
        """
        names, source = self._read(given, batch_size)
        return names, self.codes(source)

    def codes(self, source: Iterable[Batch]) -> Tensor:
        """(N, Z), on the processor."""
        self.objective.eval()
        with torch.no_grad():
            return torch.cat([self.objective.summary(batch).float().cpu() for batch in self.moved(source)])

    def reconstruct(self, given: Sequence[object], *, told: str | None = None, batch_size: int = 256) -> Made:
        """What raw inputs look, or sound, like after they were coded; as those of another class `told`, COLUMN=VALUE.

        Raises DataError where one cannot be read, RecipeError for a class that the decoder was not told.
        """
        label = None if told is None else self._number(told)
        names, source = self._read(given, batch_size)
        self.objective.eval()
        with torch.no_grad():
            batches = self.moved(source) if label is None else super().moved(source)
            means = [self.objective.reconstruct(self._telling(batch, label)).cpu() for batch in batches]
        samples, loudness = _heard(source)
        return rendered(self.kind, _joined(means), names, samples=samples, loudness=loudness)

    def sample(self, count: int, *, seed: int = 0, label: str | None = None, truncation: float | None = None) -> Made:
        """See `Maker.sample`: a variational autoencoder can, for it knows which codes there are."""
        objective = self.objective
        chosen = None if label is None else self._number(label)
        if not isinstance(objective, Variational):
            reason = (
                "a quantised autoencoder knows the entries of a code, not which follow one another"
                if isinstance(objective, Quantised)
                else "this autoencoder has learned no distribution of codes to draw from"
            )
            raise RecipeError("sample", reason, "train with --method variational, or use: penstock interpolate")
        generator = torch.Generator().manual_seed(seed)
        like, usual = self._blank()
        with torch.no_grad():
            shape = objective.encode(like).shape[1:]
            codes = torch.stack([torch.randn(shape, generator=generator) for _ in range(count)]).to(self.device)
            told = Batch({name: like[name].expand(count) for name in objective.told}) if objective.told else Batch()
            if self.answer.told is not None:
                in_turn = torch.arange(count, device=self.device) % len(self.answer.told.classes.names)
                told[TOLD] = in_turn if chosen is None else torch.full_like(in_turn, chosen)
            mean = objective.sample(codes if truncation is None else truncated(codes, truncation), told)
        places = [f"sample {number + 1}" for number in range(count)]
        return rendered(self.kind, mean, places, samples=[usual] * count)

    def between(self, first: object, second: object, steps: int) -> Made:
        """See `Maker.between`: codes on the straight line between those of two inputs."""
        batches: list[Batch] = []
        samples: list[int] = []
        loudness: list[float] = []
        for item in (first, second):
            names, source = self._read([item], 2)
            if len(names) != 1:
                raise DataError(item, f"it holds {len(names)} examples", "give one example for each end")
            batches += self.moved(source)
            lengths, levels = _heard(source)
            samples, loudness = [*samples, *lengths], [*loudness, *levels]
        shares = torch.linspace(0, 1, steps).tolist()
        with torch.no_grad():
            vectors = [self._vectors(batch) for batch in batches]
            means, counts, levels = [], [], []
            for share in shares:
                nearer = batches[0] if share < 0.5 else batches[1]
                told = Batch({name: nearer[name] for name in self.objective.told})
                if isinstance(self.kind, AudioKind):
                    counts.append(round(samples[0] + share * (samples[1] - samples[0])))
                    levels.append(loudness[0] + share * (loudness[1] - loudness[0]))
                    told = Batch(told, **self._told(counts[-1]))
                means.append(self._mixed(vectors, share, told).cpu())
        places = [f"{share:.0%}" for share in shares]
        return rendered(self.kind, _joined(means), places, samples=counts, loudness=levels, columns=steps)

    def _mixed(self, vectors: Sequence[Tensor], share: float, told: Batch) -> Tensor:
        """What lies at a share of the way between two codes (1, Z), (1, P, Z) or (1, H, W, Z)."""
        if isinstance(self.kind, AudioKind):
            places = -(-int(told[AUDIO + LENGTH]) // 2**self.net.halvings)
            vectors = [_stretched(vector, places) for vector in vectors]
        code = torch.lerp(vectors[0], vectors[1], share)
        if isinstance(self.network, QuantisedAutoencoder):
            code = self.network.quantiser.entries(self.network.quantiser.nearest(code))
        return self.objective.likelihood.mean(self.objective.decode(code, told))

    def _vectors(self, batch: Batch) -> Tensor:
        """The codes of a batch before they are rounded."""
        if isinstance(self.network, QuantisedAutoencoder):
            return self.network.encode(*self.objective.truth(batch))
        return self.objective.encode(batch)

    def _blank(self) -> tuple[Batch, int]:
        """A batch of one example with nothing in it, by which shapes are found, and how long a usual sound is."""
        kind, usual = self.kind, self.answer.samples or 0
        if isinstance(kind, ImageKind):
            return self._telling(Batch(image=torch.zeros(1, *kind.shape, device=self.device)), 0), usual
        if isinstance(kind, TableKind):
            sizes = kind.sizes()
            found = {"numbers": torch.zeros(1, sizes["numbers"])}
            if sizes["cardinalities"]:
                found["categories"] = torch.zeros(1, len(sizes["cardinalities"]), dtype=torch.int64)
            return self._telling(Batch(found).to(self.device), 0), usual
        assert isinstance(kind, AudioKind)
        told = self._told(usual)
        frames = torch.zeros(1, int(told[AUDIO + LENGTH]), kind.spectrogram.bands, device=self.device)
        return self._telling(Batch({AUDIO: frames, **told}), 0), usual

    def _told(self, samples: int) -> Batch:
        """What a decoder of sounds of so many samples is told."""
        assert isinstance(self.kind, AudioKind)
        frames = self.kind.spectrogram.frames(torch.tensor([samples], device=self.device))
        return Batch({AUDIO + LENGTH: frames})

    def _number(self, words: str) -> int:
        """The class that the decoder is to be told. Raises RecipeError for what it does not know."""
        if self.answer.told is None:
            remedy = "leave it out, or train with --told COLUMN"
            raise RecipeError("told", "the decoder of this model was told nothing but the code", remedy)
        return self.answer.told.number(words)

    def _telling(self, batch: Batch, label: int | None) -> Batch:
        """The batch with one class for all, where the decoder is told of classes and there is one."""
        if self.answer.told is None or label is None:
            return batch
        return Batch(batch, told=torch.full((batch.size,), label, device=self.device))

    def _fitting(self, batch: Batch) -> Batch:
        """The batch with the class, for each example, with which it is made again best."""
        assert self.answer.told is not None
        with torch.no_grad():
            numbers = range(len(self.answer.told.classes.names))
            errors = [self.objective.predict(self._telling(batch, number)) for number in numbers]
        return Batch(batch, told=torch.stack(errors).argmin(0))

    def _read(self, given: Sequence[object], batch_size: int) -> tuple[list[str], InOrder]:
        if not given:
            raise DataError(self.architecture, "no input was given", "give files, rows or arrays")
        names, examples = self.kind.read(given)
        transform = self.kind.transform(training=False)
        return names, InOrder(examples, torch.arange(len(names)), batch_size=batch_size, transform=transform)


def _heard(source: InOrder) -> tuple[list[int], list[float]]:
    """How many samples each sound has, and how loud it is; nothing of other examples."""
    if source.examples.lengths is None:
        return [], []
    found: list[tuple[int, float]] = []
    for _, batch in source.examples.stream(torch.split(source.indices, source.batch_size)):
        lengths = batch[AUDIO + LENGTH]
        power = batch[AUDIO].double().square().sum(1) / lengths.clamp(min=1)
        found += zip(lengths.tolist(), power.sqrt().tolist(), strict=True)
    return [count for count, _ in found], [level for _, level in found]


def _stretched(code: Tensor, places: int) -> Tensor:
    """(1, P, Z) to another number of places, between its own by straight lines."""
    return torch.nn.functional.interpolate(code.transpose(1, 2), places, mode="linear").transpose(1, 2)


def _joined(means: Sequence[Tensor]) -> Tensor:
    """(B, ...) one after the other; spectrograms are padded to the longest."""
    if means[0].ndim != 3 or len({mean.shape[1] for mean in means}) == 1:
        return torch.cat(list(means))
    longest = max(mean.shape[1] for mean in means)
    return torch.cat([torch.nn.functional.pad(mean, (0, 0, 0, longest - mean.shape[1])) for mean in means])
