"""Arrays from idx, npy and npz files, none of which may run code or claim more than it holds."""

from __future__ import annotations

import gzip
import io
import math
import struct
import warnings
import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import IO, Protocol

import numpy as np

from penstock.core.errors import DataError
from penstock.data.paths import existing_file

_IDX = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_RATIO = 1032  # deflate cannot pack tighter
_CHUNK = 1 << 20
# What NumPy and zipfile raise on damaged files; a header is read as a Python literal, hence the last two
_DAMAGE = (OSError, EOFError, ValueError, KeyError, RuntimeError, struct.error, zlib.error, SyntaxError, TokenError)
_AGAIN = "download or export the file again"


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


def read_idx(path: Path) -> np.ndarray:
    """The array of an idx file (the format of MNIST; LeCun, Cortes and Burges 1998), plain or packed with gzip.

    Raises DataError where the header or the length is wrong.
    """
    size = existing_file(path).stat().st_size
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == b"\x1f\x8b"
            plain.seek(0)
            if not packed:
                return _idx(path, plain, size)
            with gzip.open(plain) as unpacked:
                return _idx(path, unpacked, size * _RATIO)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(path, f"cannot be read ({error})", _AGAIN) from None


def _idx(path: Path, file: _Readable, most: int) -> np.ndarray:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _IDX or not magic[3]:
        raise DataError(path, f"is not an idx file (it starts with {magic.hex(' ')})", _AGAIN)
    kind, dimensions = np.dtype(_IDX[magic[2]]), magic[3]
    header = file.read(4 * dimensions)
    if len(header) < 4 * dimensions:
        raise DataError(path, "ends within its header", _AGAIN)
    shape = struct.unpack(f">{dimensions}I", header)
    declared = math.prod(shape) * kind.itemsize
    if declared > most:
        raise DataError(path, f"declares {declared:,} bytes of {shape}, more than it can hold", _AGAIN)
    body = bytearray()
    while len(body) <= declared and (part := file.read(min(_CHUNK, declared + 1 - len(body)))):
        body += part
    if len(body) != declared:
        held = f"more than {declared:,}" if len(body) > declared else f"{len(body):,}"
        raise DataError(path, f"declares {declared:,} bytes of {shape} and holds {held}", _AGAIN)
    try:
        return np.frombuffer(body, kind).astype(kind.newbyteorder("="), copy=False).reshape(shape)
    except ValueError:  # more dimensions than NumPy has
        raise DataError(path, f"declares {dimensions} dimensions", _AGAIN) from None


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an npz file by name; the one of an npy file under "x".

    Python objects are never loaded. Raises DataError for them, and where a file is damaged or its header declares more
    than the file holds.
    """
    size = existing_file(path).stat().st_size
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that old versions wrote
            if path.suffix.lower() == ".npy":
                with path.open("rb") as file:
                    return {"x": _npy(path, "x", file, size)}
            with zipfile.ZipFile(path) as archive:
                return {name: array for member in archive.infolist() for name, array in _member(path, archive, member)}
    except zipfile.BadZipFile as error:
        raise DataError(path, f"is not a sound npz archive ({error})", _AGAIN) from None
    except _DAMAGE as error:
        raise DataError(path, f"cannot be read ({error})", _AGAIN) from None


def _member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> list[tuple[str, np.ndarray]]:
    """The named array of one member; nothing for a member that is no array."""
    if not member.filename.endswith(".npy"):
        return []
    name = member.filename.removesuffix(".npy")
    if member.file_size > (member.compress_size + 64) * _RATIO:
        raise DataError(path, f"array {name!r} declares {member.file_size:,} bytes, more than it can hold", _AGAIN)
    with archive.open(member) as file:
        return [(name, _npy(path, name, file, member.file_size))]


def _npy(path: Path, name: str, file: IO[bytes], size: int) -> np.ndarray:
    """One array of the npy format, whose `size` bytes are all that the file has for it."""
    start = io.BytesIO(file.read(min(size, 16_384)))  # a header has at most 10,000 bytes
    version = np.lib.format.read_magic(start)
    if version == (1, 0):
        shape, fortran, kind = np.lib.format.read_array_header_1_0(start)
    elif version == (2, 0):
        shape, fortran, kind = np.lib.format.read_array_header_2_0(start)
    else:
        raise ValueError(f"npy version {version[0]}.{version[1]} is not supported")
    if kind.hasobject:
        problem = f"array {name!r} holds Python objects, and loading those could run code"
        raise DataError(path, problem, "save it as numbers or text, with np.savez(..., x=x.astype(float))")
    if kind.names is not None:
        raise DataError(path, f"array {name!r} holds records, not one kind of value", "save each field as an array")
    declared = math.prod(shape) * kind.itemsize
    held = size - start.tell()
    if declared != held or min(shape, default=0) < 0:
        raise DataError(path, f"array {name!r} declares {declared:,} bytes of {shape} and holds {held:,}", _AGAIN)
    body = bytearray(start.read())
    while part := file.read(_CHUNK):  # to the very end, where zip compares its checksum
        body += part
    if len(body) != declared:
        raise DataError(path, f"array {name!r} ends after {len(body):,} of {declared:,} bytes", _AGAIN)
    array = np.frombuffer(body, kind).astype(kind.newbyteorder("="), copy=False)  # torch takes native order alone
    return array.reshape(shape, order="F" if fortran else "C")
