"""Sounds: read at one rate, varied, and made into log-mel spectrograms."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from penstock.core.errors import DataError, RecipeError
from penstock.data.audio import SOUNDS, Samples, Sound, peek_sound, read_sound
from penstock.data.class_folders import find_files
from penstock.data.examples import Examples, InMemory
from penstock.data.opened import SoundData
from penstock.data.paths import unreadable
from penstock.data.ragged import LENGTH, Ragged, Stored
from penstock.data.sounds import AUDIO, BandScaling, SoundTransform, Spectrogram, Vary
from penstock.data.sources import Transform
from penstock.kinds.audit import asked, audit_contents
from penstock.kinds.drawing import png_uri
from penstock.kinds.kind import Kind, Material, Shown
from penstock.nn.log_spectrum import LogSpectrum
from penstock.nn.spectrogram import LogMel

FASTEST = 16_000
"""Samples a second above which nothing is gained for speech."""
SPEECH = 6_000
"""Samples a second below which no speech is heard, but signals: coarser spectrograms do for them, and what is hidden of
them cannot be guessed from the rest."""


@dataclass(frozen=True)
class ReadSounds:
    """How sounds are read; see recipes.settings.AudioSettings."""

    rate: int | None = None
    bands: int | None = None
    hop: float | None = None
    masks: int | None = None
    memory: float = 4.0
    skip_bad: int = 0
    again: bool = False
    """So that sounds can be made of what is seen of them."""


class AudioKind(Kind):
    """Spectrograms (B, T, M), each band with mean 0 and deviation 1, and how many frames of them are real (B,)."""

    word = "audio"
    default_model = "speech"
    inputs = (AUDIO, AUDIO + LENGTH)

    def __init__(self, spectrogram: Spectrogram, scaling: BandScaling, vary: Vary | None = None) -> None:
        self.spectrogram, self.scaling, self.vary = spectrogram, scaling, vary

    def sizes(self) -> dict[str, Any]:
        """Numbers a step."""
        return {"features": self.spectrogram.bands}

    def transform(self, *, training: bool) -> Transform | None:
        """To spectrograms, in training of varied sounds."""
        return SoundTransform(self.spectrogram, self.scaling, self.vary if training else None)

    def read(self, given: Sequence[object]) -> tuple[list[str], Examples]:
        """Sound files, folders of them, or arrays of samples (S,) at the rate of the model."""
        names: list[str] = []
        rows: list[Samples] = []
        for number, item in enumerate(given):
            if isinstance(item, str | Path):
                files = find_files(Path(item), SOUNDS) if Path(item).is_dir() else [Path(item)]
                names += map(str, files)
                rows += [read_sound(file, self.spectrogram.rate) for file in files]
            else:
                names.append(f"input {number + 1}")
                rows.append(self._from_array(item, names[-1]))
        return names, InMemory({AUDIO: Ragged.of(map(torch.from_numpy, rows))})

    def _from_array(self, item: object, where: str) -> Samples:
        array = np.asarray(item)
        if array.ndim != 1 or not array.size or not np.issubdtype(array.dtype, np.floating):
            problem = f"an array of shape {array.shape} and type {array.dtype}"
            remedy = f"give samples (S,) from -1 to 1, {self.spectrogram.rate:,} a second, or a file"
            raise DataError(where, problem, remedy)
        return array.astype(np.float32)

    def to_json(self) -> dict[str, Any]:
        """Spectrogram and scaling; the variation stays behind."""
        return {"kind": self.word, "spectrogram": asdict(self.spectrogram), "scaling": self.scaling.to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> AudioKind:
        """The reverse of `to_json`."""
        seen = value["spectrogram"]
        spectrogram = LogSpectrum(**seen) if "points" in seen else LogMel(**seen)
        return cls(spectrogram, BandScaling(**value["scaling"]))


class AudioMaterial(Material):
    """Sounds with a label each, held in memory as samples at one rate, which is known once `fit` has been called, or
    `examples` with the kind of a model that there is already.

    Raises DataError where more files are bad than are to be left out.
    """

    word: ClassVar[str] = "audio"

    def __init__(self, data: SoundData, reading: ReadSounds, vary: Vary) -> None:
        self.name, self.origin, self.empty, self.left_out = data.name, data.origin, data.empty, data.left_out
        self.labels, self.given, self.sounds, self.about = data.labels, data.splits, data.sounds, data.about
        unlisted = () if data.listed else ("table", "columns", "split.column", *(() if data.choices else ("target",)))
        self.foreign = ("image", "text", "series", *unlisted)
        self._reading, self._vary = reading, vary
        self._headers: list[Sound] = []
        self._rate = 0
        self._spectrogram: Spectrogram = LogMel(rate=FASTEST)
        self._held: Ragged | None = None
        if self.sounds.samples is None:
            self._read_headers()

    def fit(self, rows: np.ndarray) -> AudioKind:
        """The rate that is commonest, and the scaling, from these sounds."""
        reading = self._reading
        rate = self.sounds.rate
        if rate is None:
            usual = Counter(self._headers[row].rate for row in rows).most_common(1)[0][0]
            rate = min(usual, FASTEST) if reading.rate is None else reading.rate
        elif reading.rate not in (None, rate):
            raise RecipeError("audio.rate", f"these sounds are made at {rate:,} samples a second", "leave it out")
        if reading.again:
            self._vary = Vary(noise=None, speed=0, masks=0)
            self.decided = {"audio": {"rate": rate}}
            return self._fitted(LogSpectrum.usual(rate), rows)
        low = rate < SPEECH
        bands, hop = reading.bands or (24 if low else 64), reading.hop or (0.02 if low else 0.01)
        masks = reading.masks if reading.masks is not None else 0 if low else 2
        self._vary = replace(self._vary, masks=masks)
        self.decided = {"audio": {"rate": rate, "bands": bands, "hop": hop, "masks": masks}}
        return self._fitted(LogMel(rate=rate, bands=bands, hop=hop), rows)

    def _fitted(self, spectrogram: Spectrogram, rows: np.ndarray) -> AudioKind:
        self._spectrogram = spectrogram
        self._settle(spectrogram.rate)
        assert self._held is not None
        examples = InMemory({AUDIO: self._held})
        return AudioKind(spectrogram, BandScaling.fit(examples, torch.from_numpy(rows), spectrogram), self._vary)

    def examples(self, kind: Kind, columns: Mapping[str, Stored]) -> Examples:
        """All sounds as samples; spectrograms are made of batches."""
        assert isinstance(kind, AudioKind)
        self._spectrogram = kind.spectrogram
        self._settle(kind.spectrogram.rate)
        assert self._held is not None
        return InMemory({AUDIO: self._held, **columns})

    @property
    def lengths(self) -> Tensor:
        """How many samples each sound has, (N,), once they are held."""
        assert self._held is not None
        return self._held.lengths

    def frames(self, kind: Kind) -> Tensor:
        """How many frames each sound has, (N,)."""
        assert isinstance(kind, AudioKind)
        assert self._held is not None
        return kind.spectrogram.frames(self._held.lengths)

    def facts(self) -> dict[str, Any]:
        """How long the sounds are, and their rate."""
        assert self._held is not None
        seconds = self._held.lengths.double() / self._rate
        rates = sorted({header.rate for header in self._headers})
        brought = f"; rates of {', '.join(f'{rate:,}' for rate in rates)}, all brought to it" if len(rates) > 1 else ""
        detail = (
            f"{seconds.min():.2f} to {seconds.max():.2f} seconds, {seconds.sum() / 60:,.1f} minutes in all{brought}"
        )
        return {"notes": {"sounds": f"{self._rate:,} samples a second; {detail}"}}

    def audit(self, task: str, splits: Mapping[str, np.ndarray]) -> list[str]:
        """Sounds in two splits or under two labels, imbalance, empty classes, silence."""
        findings = [f"class folder {name!r} has no sound and is left out" for name in self.empty]
        if self.left_out:
            columns = ", ".join(map(repr, self.left_out))
            findings.append(f"only the sounds are learnt from: other columns of the table are left out ({columns})")
        assert self._held is not None
        rows = [self._held[row].numpy() for row in range(len(self._held))]
        silent = [row for row, samples in enumerate(rows) if not samples.any()]
        if silent:
            findings.append(f"{len(silent)} sounds are silent throughout, {self.labels.index[silent[0]]} first")
        digests = [hashlib.blake2b(samples.tobytes(), digest_size=16).digest() for samples in rows]
        return findings + audit_contents(digests, self.labels, asked(task), splits, "sounds")

    def show(self, row: int) -> Shown:
        """The spectrogram as a PNG, low bands at the bottom."""
        assert self._held is not None
        samples = self._held[row][None]
        bands = self._spectrogram(samples, torch.tensor([samples.shape[1]]))[0]
        return {"place": str(self.labels.index[row]), "picture": picture(bands.numpy()), "row": None}

    def fingerprint(self) -> str:
        """Over all samples, the labels, and the split that came along."""
        words = [*map(str, self.labels), *(() if self.given is None else map(str, self.given))]
        digest = hashlib.sha256("\x1f".join(words).encode())
        if self.sounds.samples is not None:
            for samples in self.sounds.samples:
                digest.update(samples.tobytes())
            return digest.hexdigest()[:16]
        for file in self.sounds.files:
            try:
                digest.update(file.read_bytes())
            except OSError as error:
                raise unreadable(file, error) from None
        return digest.hexdigest()[:16]

    def _settle(self, rate: int) -> None:
        """Hold all samples at a rate. Raises DataError where they do not fit into the memory that they may have."""
        if self._held is not None and self._rate == rate:
            return
        self._rate = rate
        if self.sounds.samples is not None:
            self._held = Ragged.of(map(torch.from_numpy, self.sounds.samples))
            return
        size = 4 * rate * sum(header.seconds for header in self._headers) / 2**30
        if size > self._reading.memory:
            problem = f"{size:.1f} GiB of samples at {rate:,} a second, above the {self._reading.memory:g} to be held"
            raise DataError(self.origin, problem, "raise --audio.memory, or lower --audio.rate")
        good, bad, rows = [], [], []
        for file in self.sounds.files:
            try:
                rows.append(torch.from_numpy(read_sound(file, rate)))
                good.append(file)
            except DataError as error:
                bad.append((file, error))
        if bad:  # the headers were sound: it came up while the samples were read
            raise bad[0][1]
        self._held = Ragged.of(rows)

    def _read_headers(self) -> None:
        """Read every header; where bad files are to be left out, every sample too: the rest is what is split."""
        limit, bad, keep = self._reading.skip_bad, [], []
        first: DataError | None = None
        for at, file in enumerate(self.sounds.files):
            try:
                header = peek_sound(file)
                if limit:
                    read_sound(file, header.rate)
            except DataError as error:
                first = first or error
                bad.append((str(file), error.problem))
            else:
                self._headers.append(header)
                keep.append(at)
        if first is not None and (len(bad) > limit or not keep):
            count = f"{first.problem}; {len(bad)} of {len(self.sounds.files)} sounds are bad"
            raise DataError(first.where, count, f"replace them, or pass --audio.skip-bad {len(bad)}")
        if bad:
            self.skipped = bad
            self.labels = self.labels.iloc[keep]
            self.given = None if self.given is None else self.given[keep]
            self.sounds = self.sounds.only(keep)


def picture(bands: np.ndarray) -> str:
    """A spectrogram (T, M) as a data URI: loud is dark, low is below; a pixel a number, in 16 greys."""
    low, high = np.quantile(bands, (0.05, 0.995))
    dark = np.clip((bands - low) / max(high - low, 1e-6), 0, 1)
    return png_uri(Image.fromarray((255 * (1 - dark.T[::-1])).round().astype(np.uint8)).quantize(16))
