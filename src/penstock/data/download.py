"""One file from its public home: checked by length and SHA-256, and either wholly there or not at all."""

from __future__ import annotations

import contextlib
import http.client
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from penstock.core.errors import DataError, ResourceError
from penstock.core.files import sha256
from penstock.data.convert import FORMS, Form

Progress = Callable[[int], None]
"""Called with the number of bytes that have just arrived."""

_CHUNK = 1 << 16
_PATIENCE = 30.0  # seconds without a byte


@dataclass(frozen=True)
class RemoteFile:
    """A file on the web: its address, digest and length in bytes; the name it arrives by and the one it is kept by.

    `form` says how its content is rewritten between the two.
    """

    url: str
    sha256: str
    size: int
    arrives_as: str
    save_as: str
    form: Form = "same"


def kept_as_it_is(url: str, digest: str, size: int) -> RemoteFile:
    """A file that keeps its name and its packing."""
    name = url.rpartition("/")[2]
    return RemoteFile(url, digest, size, arrives_as=name, save_as=name)


def fetch(remote: RemoteFile, folder: Path, progress: Progress) -> None:
    """Put `remote` into `folder`, from the web, or from `arrives_as` in that folder if somebody put it there.

    Raises DataError where it cannot be had or is not the file that was published, ResourceError where the disk refuses.
    """
    part = folder / f".{remote.save_as}.{os.getpid()}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        by_hand = folder / remote.arrives_as
        if remote.form != "same" and by_hand.is_file():
            _check(remote, by_hand, f"remove {by_hand}, or put the file from {remote.url} there")
            source = by_hand
        else:
            _receive(remote, folder, part, progress)
            _check(remote, part, "nothing was kept; try again later")
            source = part
        if remote.form != "same":
            part.write_bytes(FORMS[remote.form](source.read_bytes()))
        part.replace(folder / remote.save_as)
    except OSError as error:
        remedy = "make room, or name another folder in the variable PENSTOCK_CACHE"
        raise ResourceError(folder, f"cannot be written ({error.strerror or error})", remedy) from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _receive(remote: RemoteFile, folder: Path, part: Path, progress: Progress) -> None:
    """Download into `part`, never more than the published length."""
    by_hand = f"connect to the network, or put {remote.arrives_as} from there into {folder} by hand"
    received = 0
    with part.open("wb") as file:
        for chunk in _chunks(remote.url, by_hand):
            received += len(chunk)
            if received > remote.size:
                problem = f"sends more than the {remote.size:,} bytes that were published"
                raise DataError(remote.url, problem, f"nothing was kept; {by_hand}")
            file.write(chunk)
            progress(len(chunk))
        file.flush()
        os.fsync(file.fileno())
    if received < remote.size:
        problem = f"the download broke off after {received:,} of {remote.size:,} bytes"
        raise DataError(remote.url, problem, f"nothing was kept; try again, or put it into {folder} by hand")


def _chunks(url: str, remedy: str) -> Iterator[bytes]:
    """The content of an address in pieces. Raises DataError where the network fails; errors of the disk pass by."""
    try:
        with urllib.request.urlopen(url, timeout=_PATIENCE) as response:
            while chunk := response.read(_CHUNK):
                yield chunk
    except http.client.IncompleteRead as cut:
        yield cut.partial  # the length shows that it broke off
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        reason = getattr(error, "reason", None) or error
        raise DataError(url, f"cannot be downloaded ({reason})", remedy) from None


def _check(remote: RemoteFile, path: Path, remedy: str) -> None:
    digest = sha256(path)
    if digest != remote.sha256:
        problem = f"the file has SHA-256 {digest[:12]}..., published was {remote.sha256[:12]}..."
        raise DataError(remote.url, problem, remedy)


def show_progress(done: int, total: int) -> None:
    """How many bytes have arrived, on one line of a terminal."""
    if sys.stderr.isatty():
        share = f" of {total:,} ({100 * done // total} %)" if total else ""
        print(f"\rdownloading: {done:,}{share} bytes", end="\n" if done >= total else "", file=sys.stderr, flush=True)
