"""The archives of CIFAR-10 and CIFAR-100 (Krizhevsky 2009), binary version, read as they are: no file is unpacked."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from penstock.core.errors import DataError
from penstock.data.paths import existing_file

_PIXELS = 3 * 32 * 32
_NAMES_MOST = 1 << 16  # bytes of a list of class names
_AGAIN = "delete the file to have it downloaded again"


@dataclass(frozen=True)
class CifarLayout:
    """What an archive holds: files of records with `labels` bytes, of which the last counts, and 3,072 of pixels."""

    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    names: str
    classes: int
    labels: int
    records: int
    """In the largest file."""


CIFAR10 = CifarLayout(
    folder="cifar-10-batches-bin",
    train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    test=("test_batch.bin",),
    names="batches.meta.txt",
    classes=10,
    labels=1,
    records=10_000,
)
CIFAR100 = CifarLayout(
    folder="cifar-100-binary",
    train=("train.bin",),
    test=("test.bin",),
    names="fine_label_names.txt",
    classes=100,
    labels=2,  # of the coarse class, then of the fine one
    records=50_000,
)


def read_cifar(path: Path, layout: CifarLayout) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images (N, 3, 32, 32) uint8, the class name of each (N,), and "train" or "test" for each (N,).

    Raises DataError, with the member and the byte, for an archive that is damaged, lacks a file, holds more than such
    an archive does, or has a label out of range.
    """
    found = _members(existing_file(path), layout)
    names = _class_names(path, layout, found)
    images, labels, splits = [], [], []
    for split, files in (("train", layout.train), ("test", layout.test)):
        for file in files:
            records = _records(path, layout, file, found)
            images.append(records[:, layout.labels :])
            labels.append(names[records[:, layout.labels - 1]])
            splits.append(np.full(len(records), split))
    return np.concatenate(images).reshape(-1, 3, 32, 32), np.concatenate(labels), np.concatenate(splits)


class _Bounded:
    """An unpacked stream of which no more than so many bytes may be read."""

    def __init__(self, path: Path, file: gzip.GzipFile, most: int) -> None:
        self._path, self._file, self._left = path, file, most

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self._left -= len(content)
        if self._left < 0:
            raise DataError(self._path, "unpacks to more than such an archive holds", _AGAIN)
        return content


def _members(path: Path, layout: CifarLayout) -> dict[str, bytes]:
    """The content of the files that count, by name. Whatever else is in the archive is passed over."""
    record = layout.labels + _PIXELS
    most = {f"{layout.folder}/{file}": layout.records * record for file in (*layout.train, *layout.test)}
    most[f"{layout.folder}/{layout.names}"] = _NAMES_MOST
    found: dict[str, bytes] = {}
    try:
        with gzip.open(path) as unpacked:
            bounded = _Bounded(path, unpacked, sum(most.values()) + (1 << 20))
            with tarfile.open(fileobj=bounded, mode="r|") as archive:  # type: ignore[call-overload]
                for member in archive:
                    if member.name not in most:
                        continue
                    if not member.isreg() or member.issparse() or member.size > most[member.name]:
                        problem = f"{member.name}: not a plain file of up to {most[member.name]:,} bytes"
                        raise DataError(path, problem, _AGAIN)
                    file = archive.extractfile(member)
                    content = file.read() if file is not None else b""
                    if len(content) != member.size:
                        problem = f"{member.name}: ends at byte {len(content):,} of {member.size:,}"
                        raise DataError(path, problem, _AGAIN)
                    found[member.name.rpartition("/")[2]] = content
    except (tarfile.TarError, OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(path, f"the archive is damaged ({error})", _AGAIN) from None
    lacking = [name for name in most if name.rpartition("/")[2] not in found]
    if lacking:
        raise DataError(path, f"{lacking[0]} is not in the archive", _AGAIN)
    return found


def _class_names(path: Path, layout: CifarLayout, found: dict[str, bytes]) -> np.ndarray:
    try:
        text = found[layout.names].decode("ascii")
    except UnicodeDecodeError as error:
        raise DataError(path, f"{layout.names}: byte {error.start} is not ASCII", _AGAIN) from None
    names = [line.strip() for line in text.splitlines() if line.strip()]
    if len(set(names)) != layout.classes or len(names) != layout.classes:
        raise DataError(path, f"{layout.names}: {len(set(names))} class names instead of {layout.classes}", _AGAIN)
    return np.asarray(names)


def _records(path: Path, layout: CifarLayout, file: str, found: dict[str, bytes]) -> np.ndarray:
    """(N, labels + 3072) uint8."""
    size, content = layout.labels + _PIXELS, found[file]
    if not content or len(content) % size:
        whole = len(content) - len(content) % size
        problem = f"{file}: the record at byte {whole:,} has {len(content) - whole:,} of {size:,} bytes"
        raise DataError(path, problem, _AGAIN)
    records = np.frombuffer(content, np.uint8).reshape(-1, size)
    bad = np.flatnonzero(records[:, layout.labels - 1] >= layout.classes)
    if len(bad):
        at = int(bad[0]) * size + layout.labels - 1
        label = int(records[bad[0], layout.labels - 1])
        raise DataError(path, f"{file}: byte {at:,} is label {label}, of {layout.classes} classes", _AGAIN)
    return records
