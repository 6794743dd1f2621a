"""What a trained model makes that was in no data, and how it is written down. N made, C channels, H W height width."""

from __future__ import annotations

import io
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, final

import numpy as np
import pandas as pd
from PIL import Image

from penstock.core.csv_text import csv_text
from penstock.core.errors import RecipeError
from penstock.core.files import disk_error, write_bytes, write_text
from penstock.kinds.drawing import picture_of, png

LEGIBLE = 48
"""Pixels a side below which the pictures of a sheet are enlarged, by a whole number."""
GAP = 2
"""Pixels between the pictures of a sheet."""
PAUSE = 0.25
"""Seconds of silence between sounds in one file."""


class Made(ABC):
    """What came out of a model, one or several of them."""

    ending: ClassVar[str]
    """Of the file that holds it."""

    @property
    @abstractmethod
    def array(self) -> np.ndarray:
        """The numbers, N first."""

    def write(self, path: str | Path) -> None:
        """Write it down. Raises RecipeError for another kind of file, ResourceError where the disk refuses."""
        self._write(Path(path))

    @abstractmethod
    def _write(self, path: Path) -> None: ...

    def _refuse(self, path: Path, instead: str) -> RecipeError:
        return RecipeError("--output", f"{str(path)!r} is no place for it", f"give {instead}")


class Maker(ABC):
    """A trained model that can make something new."""

    @abstractmethod
    def sample(self, count: int, *, seed: int = 0, label: str | None = None, truncation: float | None = None) -> Made:
        """So many new ones, the same for the same seed; of a class, where the model was told of classes.

        `truncation`: the numbers of codes stay within +- so much, see `truncated`. Raises RecipeError, with the reason,
        where the model cannot, or for a class that it does not know.
        """

    @abstractmethod
    def between(self, first: object, second: object, steps: int) -> Made:
        """What lies on the way from one to the other, in `steps` of which the ends are the first and the last.

        An autoencoder takes two inputs, a generator two seeds. Raises DataError for inputs that cannot be read.
        """


@final
class MadePictures(Made):
    """Pixels (N, C, H, W) uint8, on a sheet with so many `columns`; as square as can be if not given."""

    ending = ".png"

    def __init__(self, pixels: np.ndarray, columns: int | None = None) -> None:
        self._pixels, self.columns = pixels, columns

    @property
    def array(self) -> np.ndarray:
        """(N, C, H, W) uint8."""
        return self._pixels

    def sheet(self) -> Image.Image:
        """All on one picture, small ones enlarged; one alone is as large as it is."""
        count, channels, height, width = self._pixels.shape
        if count == 1:
            return picture_of(self._pixels[0])
        times = -(-LEGIBLE // min(height, width))
        across = min(self.columns or math.ceil(math.sqrt(count)), count)
        high, wide = height * times + GAP, width * times + GAP
        page = np.full((channels, high * -(-count // across) + GAP, wide * across + GAP), 255, dtype=np.uint8)
        for at, pixels in enumerate(self._pixels.repeat(times, 2).repeat(times, 3)):
            top, left = at // across * high + GAP, at % across * wide + GAP
            page[:, top : top + height * times, left : left + width * times] = pixels
        return picture_of(page)

    def _write(self, path: Path) -> None:
        """A sheet as a png file; into a folder, 1.png and so on."""
        if path.suffix.lower() == self.ending and not path.is_dir():
            write_bytes(path, png(self.sheet()))
        elif is_folder(path):
            write_all(path, self.ending, [png(picture_of(pixels)) for pixels in self._pixels])
        else:
            raise self._refuse(path, "a file named .png, or a folder")


@final
class MadeRows(Made):
    """Rows of a table, in its own units."""

    ending = ".csv"

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame

    @property
    def array(self) -> np.ndarray:
        """(N, columns)."""
        return self.frame.to_numpy()

    def _write(self, path: Path) -> None:
        """As a csv file."""
        if path.suffix.lower() != self.ending:
            raise self._refuse(path, "a file named .csv")
        write_text(path, csv_text(list(self.frame.columns), self.frame.itertuples(index=False)))


@final
class MadeSounds(Made):
    """Waveforms (S,) float32 from -1 to 1, taken `rate` times a second."""

    ending = ".wav"

    def __init__(self, waves: Sequence[np.ndarray], rate: int) -> None:
        self.waves, self.rate = list(waves), rate

    @property
    def array(self) -> np.ndarray:
        """(N, longest S), with zeros after the end of each."""
        longest = max(map(len, self.waves))
        return np.stack([np.pad(wave, (0, longest - len(wave))) for wave in self.waves])

    def _write(self, path: Path) -> None:
        """As a wav file of 16 bits, several one after the other with pauses; into a folder, 1.wav and so on."""
        if path.suffix.lower() == self.ending and not path.is_dir():
            pause = np.zeros(round(PAUSE * self.rate), dtype=np.float32)
            parts = [part for wave in self.waves for part in (pause, wave)][1:]
            write_bytes(path, wav(np.concatenate(parts), self.rate))
        elif is_folder(path):
            write_all(path, self.ending, [wav(wave, self.rate) for wave in self.waves])
        else:
            raise self._refuse(path, "a file named .wav, or a folder")


def is_folder(path: Path) -> bool:
    """Whether a path is a folder, or may become one."""
    return path.is_dir() or (not path.suffix and not path.exists())


def write_all(folder: Path, ending: str, contents: Sequence[bytes]) -> None:
    """Files 1, 2 and so on, with zeros in front, so that they stand in order."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise disk_error(folder, error, sum(map(len, contents))) from error
    digits = len(str(len(contents)))
    for number, content in enumerate(contents, 1):
        write_bytes(folder / f"{number:0{digits}}{ending}", content)


def wav(samples: np.ndarray, rate: int) -> bytes:
    """The file of a sound, 16 bits a sample; what is louder than 1 is cut off."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.clip(samples, -1, 1), rate, format="WAV", subtype="PCM_16")
    return file.getvalue()
