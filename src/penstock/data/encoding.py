"""Bytes of a text file turned into text, or the offset of the first byte that does not fit and the flag that helps."""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from pathlib import Path

from penstock.core.errors import DataError, RecipeError
from penstock.data.paths import existing_file, unreadable

_CHINESE_PAIRS = re.compile(rb"[\xa1-\xf7][\xa1-\xfe]")
_HIGH_BYTES = re.compile(rb"[\x80-\xff]")
_SAMPLE = 1 << 20  # bytes looked at to guess an encoding


def read_text(path: Path, encoding: str, most: int | None = None) -> str:
    """The whole text of a file, unpacked when its name ends in .gz; a byte order mark is dropped.

    Raises DataError with the byte offset of what is not `encoding`, or where there are more than `most` bytes, and
    RecipeError for an encoding nobody knows.
    """
    raw = _read_bytes(existing_file(path), most)
    name = _known(encoding)
    if name == "utf-8" and (wide := _looks_utf16(raw)):
        raise DataError(path, f"byte 0: this text is {wide.upper()}, not UTF-8", f"pass --encoding {wide}")
    skipped = len(codecs.BOM_UTF8) if name == "utf-8" and raw.startswith(codecs.BOM_UTF8) else 0
    try:
        text = raw[skipped:].decode(name)
    except UnicodeDecodeError as error:
        raise _undecodable(path, raw, skipped + error.start, name) from None
    text = text.removeprefix("\ufeff")
    at = text.find("\0")
    if at >= 0:
        line = text.count("\n", 0, at) + 1
        raise DataError(f"{path}:{line}", "a NUL byte, which no text has", "export the file again as plain text")
    return text


def _read_bytes(path: Path, most: int | None) -> bytes:
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            raw = file.read(-1 if most is None else most + 1)
        if most is not None and len(raw) > most:
            raise DataError(path, f"more than {most:,} bytes of text", "give a part of it")
        return bytes(raw)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(path, f"cannot be unpacked ({error})", "copy or download the file again") from None
    except OSError as error:
        raise unreadable(path, error) from None


def _known(encoding: str) -> str:
    """The normal name of a text encoding."""
    try:
        name = codecs.lookup(encoding).name
        b"text".decode(name, "ignore")  # refuses the codecs that are not text, such as hex
    except (LookupError, UnicodeError):
        remedy = "use a name such as utf-8, utf-16, gbk or latin-1"
        raise RecipeError("--encoding", f"{encoding!r} is not a text encoding", remedy) from None
    return "utf-8" if name == "utf-8-sig" else name


def _looks_utf16(raw: bytes) -> str | None:
    """The UTF-16 flavour that the bytes are in, by their mark or by where their zeros lie."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    sample = raw[:4096]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if max(even, odd) * 4 <= len(sample) or min(even, odd) * 4 > max(even, odd):
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _undecodable(path: Path, raw: bytes, offset: int, encoding: str) -> DataError:
    line = raw.count(b"\n", 0, offset) + 1
    problem = f"byte {offset} (0x{raw[offset]:02X}) is not {encoding.upper()}"
    begin = raw.rfind(b"\n", 0, offset) + 1
    other = _guess(raw[begin : begin + _SAMPLE])
    remedy = f"pass --encoding {other}" if other != encoding else "save the file as UTF-8"
    return DataError(f"{path}:{line}", problem, remedy)


def _guess(sample: bytes) -> str:
    """The likeliest encoding of text that is not UTF-8.

    In GBK the bytes above 0x7F come in pairs, in Latin-1 mostly alone among letters: where four in five of them pair up
    and the whole decodes, it is GBK.
    """
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    high = len(_HIGH_BYTES.findall(sample))
    if 2 * len(_CHINESE_PAIRS.findall(sample)) >= 0.8 * high:
        for name in ("gbk", "gb18030"):
            try:
                codecs.getincrementaldecoder(name)().decode(sample)
            except UnicodeDecodeError:
                continue
            return name
    return "latin-1"
