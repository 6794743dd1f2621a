"""From what a decoder gives to pictures, rows and sounds. B batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.errors import RecipeError
from penstock.data.decoding_rows import rows_of
from penstock.data.ragged import LENGTH
from penstock.data.sounds import AUDIO
from penstock.kinds.audio import AudioKind, picture
from penstock.kinds.drawing import picture_of, png_uri
from penstock.kinds.image import ImageKind
from penstock.kinds.kind import Kind
from penstock.kinds.table import TableKind
from penstock.nn.log_spectrum import LogSpectrum
from penstock.recipes.making import Made, MadePictures, MadeRows, MadeSounds

LOUDNESS = 0.1
"""The root mean square of a sound that no other says how loud it should be."""


def rendered(
    kind: Kind,
    mean: Tensor,
    places: Sequence[str],
    *,
    samples: Sequence[int] = (),
    loudness: Sequence[float] = (),
    columns: int | None = None,
) -> Made:
    """What `Likelihood.mean` gives for B examples, as these are for people; sounds of so many `samples` and so loud."""
    if isinstance(kind, ImageKind):
        return MadePictures(kind.scaling.back(mean).cpu().numpy(), columns)
    if isinstance(kind, TableKind):
        return MadeRows(rows_of(kind.encoder, mean, list(places)))
    if isinstance(kind, AudioKind) and isinstance(kind.spectrogram, LogSpectrum):
        seen, rate = kind.spectrogram, kind.spectrogram.rate
        loud = loudness or [LOUDNESS] * len(mean)
        waves = [
            seen.audio(kind.scaling.back(bands)[: 1 + count // seen.hop], samples=count, loudness=level).numpy()
            for bands, count, level in zip(mean, samples, loud, strict=True)
        ]
        return MadeSounds([np.asarray(wave, dtype=np.float32) for wave in waves], rate)
    raise RecipeError("reconstruct", f"nothing can be made of {kind.word}", "use pictures, rows or sounds")


def drawn(kind: Kind, values: Tensor, batch: Batch) -> list[str | None]:
    """Examples of a batch, or their reconstructions, as data URIs of pictures; None where they are rows."""
    if isinstance(kind, ImageKind):
        return [png_uri(picture_of(pixels)) for pixels in kind.scaling.back(values).cpu().numpy()]
    if isinstance(kind, AudioKind):
        lengths = batch[AUDIO + LENGTH].tolist()
        return [picture(kind.scaling.back(bands)[:length].cpu().numpy()) for bands, length in zip(values, lengths)]
    return [None] * len(values)
