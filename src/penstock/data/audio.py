"""Sound files read as they are: what their headers declare, and their samples at one rate."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import DataError
from penstock.data.class_folders import Sort
from penstock.data.paths import existing_file, unreadable

if TYPE_CHECKING:
    import soundfile

SOUNDS = Sort("sound", (".wav", ".flac"), "wav")
LONGEST = 600.0
"""A file that declares more seconds is refused before any sample is read."""
SLOWEST, FASTEST = 1_000, 384_000
"""Samples a second that a sound may have."""

_BLOCK = 1 << 16  # samples read at once: memory stays bounded, whatever the header says
_OPEN_END = (0, 0xFFFFFFFF)  # the length of a data chunk whose writer could not go back and fill it in
_REMEDY = "replace or remove the file, or pass --audio.skip-bad N"

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sound:
    """What a sound's header declares: samples of each channel, samples a second, channels."""

    samples: int
    rate: int
    channels: int

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.samples / self.rate


def peek_sound(path: Path) -> Sound:
    """Read only the header. Raises DataError where the file is damaged, empty, no sound, or too long."""
    with _opened(path) as file:
        return Sound(file.frames, file.samplerate, file.channels)


def read_sound(path: Path, rate: int) -> Samples:
    """The samples (S,) at `rate` a second, from -1 to 1; the mean of all channels. Raises DataError as `peek_sound`.

    Another rate is brought to this one by a polyphase filter, so that nothing above half of the lower rate is folded
    back.
    """
    with _opened(path) as file:
        declared, own = file.frames, file.samplerate
        blocks = []
        while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):
            blocks.append(block.mean(axis=1))
        samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
        if len(samples) != declared:
            raise DataError(path, f"declares {declared:,} samples and holds {len(samples):,}", _REMEDY)
    odd = np.flatnonzero(~np.isfinite(samples))
    if len(odd):
        raise DataError(path, f"sample {odd[0]:,} is {samples[odd[0]]}", _REMEDY)
    return resampled(samples, own, rate)


def resampled(samples: Samples, own: int, rate: int) -> Samples:
    """Samples (S,) taken `own` times a second, as if they had been taken `rate` times."""
    if own == rate:
        return samples
    from scipy.signal import resample_poly

    common = gcd(own, rate)
    found: Samples = resample_poly(samples, rate // common, own // common).astype(np.float32)
    return found


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[soundfile.SoundFile]:
    """The file with its header read and checked; what the library raises inside becomes a DataError."""
    import soundfile

    try:
        with existing_file(path).open("rb") as raw:
            _check_riff(path, raw)
        with soundfile.SoundFile(path) as file:
            _check(path, Sound(file.frames, file.samplerate, file.channels))
            yield file
    except soundfile.SoundFileError as error:
        reason = str(error).rpartition(":")[2].strip() or "damaged"
        raise DataError(path, f"cannot be read as sound ({reason})", _REMEDY) from None
    except OSError as error:
        raise unreadable(path, error) from None


def _check(path: Path, sound: Sound) -> None:
    if sound.samples == 0:
        raise DataError(path, "holds no sample", _REMEDY)
    if not SLOWEST <= sound.rate <= FASTEST:
        problem = f"declares {sound.rate:,} samples a second, where {SLOWEST:,} to {FASTEST:,} are possible"
        raise DataError(path, problem, _REMEDY)
    if sound.samples > LONGEST * sound.rate:
        problem = f"declares {sound.samples:,} samples, {sound.seconds:,.0f} seconds, above the limit of {LONGEST:g}"
        raise DataError(path, problem, "cut it into pieces")


def _check_riff(path: Path, file: BinaryIO) -> None:
    """Raises DataError where a wav declares more bytes of sound than it has; the library would say nothing."""
    size = path.stat().st_size
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return
    while len(chunk := file.read(8)) == 8:
        name, length = struct.unpack("<4sI", chunk)
        start = file.tell()
        if name == b"data":
            if length not in _OPEN_END and start + length > size:
                problem = f"byte {start - 4}: declares {length:,} bytes of sound, and {size - start:,} follow"
                raise DataError(path, problem, f"it was cut off: {_REMEDY}")
            return
        file.seek(start + length + length % 2)
