"""Pictures as a user has them: read, and brought to one size."""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch.nn import functional

from penstock.core.errors import DataError, RecipeError
from penstock.data.decode import Picture, decode
from penstock.data.examples import Examples, InMemory
from penstock.data.image_files import ImageFiles
from penstock.data.images import measure, read_headers
from penstock.data.opened import ImageData, Pictures
from penstock.data.paths import unreadable
from penstock.data.pixels import Augment, PixelScaling
from penstock.data.pool import usual_workers
from penstock.data.ragged import Stored
from penstock.kinds.audit import asked, audit_contents
from penstock.kinds.drawing import picture_of, png_uri
from penstock.kinds.image import ImageKind
from penstock.kinds.kind import Kind, Material, Shown

LARGEST_SIDE = 128
"""Above this many pixels a side, pictures are made smaller unless a size is given: small machines train on them too."""
MANY = 2000
"""Pictures from which on it pays to start processes to decode them once."""


@dataclass(frozen=True)
class ReadImages:
    """How pictures are read; see recipes.settings.ImageSettings."""

    size: int | None = None
    skip_bad: int = 0
    memory: float = 4.0
    workers: int | None = None


class ImageMaterial(Material):
    """Pictures with a label each, in memory where they fit into the budget, else read from their files as needed.

    Their common size is that of the training rows, so it is known once `fit` has been called, or `examples` with the
    kind of a model that there is already.
    """

    word: ClassVar[str] = "image"

    def __init__(self, data: ImageData, reading: ReadImages, shift: int | None, flip: bool) -> None:
        self.name, self.origin, self.empty, self.left_out = data.name, data.origin, data.empty, data.left_out
        self.labels, self.given, self.pictures, self.about = data.labels, data.splits, data.pictures, data.about
        self.foreign = (
            "text",
            "audio",
            "series",
            *(() if data.listed else ("table", "target", "columns", "split.column")),
        )
        self._reading, self._shift, self._flip = reading, shift, flip
        self._headers: list[Picture] = []
        self._files: ImageFiles | None = None
        if self.pictures.pixels is None:
            self._read_headers()
        else:
            self.pictures = replace(self.pictures, pixels=_resized(self.pictures.pixels, reading.size))

    def fit(self, rows: np.ndarray) -> ImageKind:
        """Size, channels and scaling, from these pictures."""
        pixels = self.pictures.pixels
        self._settle(self._fitted_shape(rows) if pixels is None else pixels.shape[1:])
        return ImageKind(self.shape, PixelScaling.fit(self._raw({}), torch.from_numpy(rows)), self.augment)

    def examples(self, kind: Kind, columns: Mapping[str, Stored]) -> Examples:
        """All pictures, as bytes; the scaling is done to batches."""
        assert isinstance(kind, ImageKind)
        self._settle(kind.shape)
        return self._raw(columns)

    def close(self) -> None:
        """End the worker processes."""
        if self._files is not None:
            self._files.close()

    def facts(self) -> dict[str, Any]:
        """The size, and where the pictures are kept."""
        channels, height, width = self.shape
        kept = "held in memory"
        if self.streams:
            share = min(self._budget / self._bytes, 1)
            kept = f"read from disk as needed (workers: {self._workers}; {share:.0%} stay in memory)"
        shifted = [f"shifted by up to {self.augment.shift}"] if self.augment.shift else []
        varied = ", ".join([*shifted, *(["mirrored"] if self.augment.flip else [])]) or "as they are"
        detail = f"{self._sizes()}; {kept}; in training {varied}"
        return {"image": {"channels": channels, "height": height, "width": width, "detail": detail}}

    def audit(self, task: str, splits: Mapping[str, np.ndarray]) -> list[str]:
        """Pictures in two splits or under two labels, imbalance, empty classes."""
        findings = [f"class folder {name!r} has no picture and is left out" for name in self.empty]
        if self.left_out:
            columns = ", ".join(map(repr, self.left_out))
            findings.append(f"only the pictures are learnt from: other columns of the table are left out ({columns})")
        if self.pictures.pixels is not None:
            digests = [hashlib.blake2b(p.tobytes(), digest_size=16).digest() for p in self.pictures.pixels]
        else:
            digests = [hashlib.blake2b(f, digest_size=16).digest() for f in self._contents()]
        return findings + audit_contents(digests, self.labels, asked(task), splits)

    def show(self, row: int) -> Shown:
        """The picture, small, as a PNG."""
        if self.pictures.pixels is not None:
            pixels = self.pictures.pixels[row]
        else:
            channels, height, width = self.shape
            pixels = decode(self.pictures.files[row], height, width, channels)
        return {"place": self.pictures.places[row], "picture": png_uri(picture_of(pixels)), "row": None}

    def fingerprint(self) -> str:
        """Over all pixels held, or all files, the labels, and the split that came along.

        Of files too many for memory only the names and sizes count.
        """
        words = [*map(str, self.labels), *(() if self.given is None else map(str, self.given))]
        digest = hashlib.sha256("\x1f".join(words).encode())
        if not self.pictures.files:
            assert self.pictures.pixels is not None
            digest.update(self.pictures.pixels.tobytes())
            return digest.hexdigest()[:16]
        try:
            sizes = [file.stat().st_size for file in self.pictures.files]
        except OSError as error:
            raise unreadable(Path(error.filename), error) from None
        digest.update("\x1f".join(f"{place}:{size}" for place, size in zip(self.pictures.places, sizes)).encode())
        if sum(sizes) <= self._budget:
            for content in self._contents():
                digest.update(content)
        return digest.hexdigest()[:16]

    def _contents(self) -> Iterator[bytes]:
        """The files as they lie on the disk."""
        for file in self.pictures.files:
            try:
                yield file.read_bytes()
            except OSError as error:
                raise unreadable(file, error) from None

    @property
    def _budget(self) -> int:
        """Bytes of pictures to hold in memory."""
        return int(self._reading.memory * 2**30)

    @property
    def _bytes(self) -> int:
        """What all pictures take once they are decoded."""
        return len(self.pictures) * math.prod(self.shape)

    @property
    def _workers(self) -> int:
        return usual_workers() if self._reading.workers is None else self._reading.workers

    def _raw(self, columns: Mapping[str, Stored]) -> Examples:
        if self.pictures.pixels is not None:
            return InMemory({"image": torch.from_numpy(self.pictures.pixels), **columns})
        if self._files is None:
            self._files = ImageFiles(self.pictures.files, self.shape, {}, workers=self._workers, memory=self._budget)
        return self._files.beside(columns)

    def _settle(self, shape: tuple[int, int, int]) -> None:
        """Bring the pictures to a shape (C, H, W): now, where they are to be held in memory."""
        self.shape = shape
        pixels, files = self.pictures.pixels, self.pictures.files
        if pixels is not None and pixels.shape[1:] != shape:
            raise DataError(self.origin, f"pictures of shape {pixels.shape[1:]}", f"this model takes {shape}")
        self.augment = Augment(flip=self._flip, shift=max(shape[2] // 14, 1) if self._shift is None else self._shift)
        self.streams = bool(files) and self._bytes > self._budget
        if self.streams:
            self.decided = {"image": {"workers": self._workers}}
        elif pixels is None:
            held = np.empty((len(files), *shape), dtype=np.uint8)
            reader = ImageFiles(files, shape, {}, workers=self._workers if len(files) >= MANY else 0)
            with contextlib.closing(reader):
                for rows, batch in reader.stream(torch.split(torch.arange(len(files)), 256)):
                    held[rows.numpy()] = batch["image"].numpy()
            self.pictures = replace(self.pictures, pixels=held)

    def _fitted_shape(self, rows: np.ndarray) -> tuple[int, int, int]:
        """One size for all, by the headers of some."""
        found = measure([self._headers[row] for row in rows])
        (height, width), side = found.common, self._reading.size
        if side is not None:
            height = width = side
        elif not found.equal or max(height, width) > LARGEST_SIDE:
            height = width = max(min(min(found.common), LARGEST_SIDE) // 8 * 8, 8)
        return found.channels, height, width

    def _sizes(self) -> str:
        """What the pictures measure, all of them, and what becomes of it."""
        height, width = self.shape[1:]
        if not self._headers:
            return f"all {height} x {width}"
        found = measure(self._headers)
        (low_h, low_w), (high_h, high_w) = found.smallest, found.largest
        sizes = f"all {low_h} x {low_w}" if found.equal else f"from {low_h} x {low_w} to {high_h} x {high_w}"
        return sizes if found.equal and (height, width) == found.common else f"{sizes}, fitted into {height} x {width}"

    def _read_headers(self) -> None:
        """Read every header; where bad files are to be left out, decode every file too: the rest is what is split."""
        self._headers, bad = read_headers(self.pictures.files, self._reading.skip_bad)
        self._leave_out(bad)
        if not self._reading.skip_bad:
            return
        bad, good = [], []
        for header, file in zip(self._headers, self.pictures.files, strict=True):
            try:
                decode(file, 32, 32, 3)
                good.append(header)
            except DataError as error:
                bad.append((file, error.problem))
                if len(self.skipped) + len(bad) > self._reading.skip_bad:
                    raise
        self._headers = good
        self._leave_out(bad)

    def _leave_out(self, bad: Sequence[tuple[Path, str]]) -> None:
        if not bad:
            return
        self.skipped = [*self.skipped, *((str(file), reason) for file, reason in bad)]
        left_out = {file for file, _ in bad}
        keep = np.array([file not in left_out for file in self.pictures.files])
        self.labels = self.labels[keep]
        self.given = None if self.given is None else self.given[keep]
        self.pictures = Pictures(
            [place for place, kept in zip(self.pictures.places, keep, strict=True) if kept],
            files=[file for file, kept in zip(self.pictures.files, keep, strict=True) if kept],
        )


def _resized(pixels: np.ndarray, side: int | None) -> np.ndarray:
    """Pictures (N, C, H, W) uint8 of an array at a side that was asked for, without aliasing."""
    height, width = pixels.shape[2:]
    if side is None or (height, width) == (side, side):
        return pixels
    if height != width:
        raise RecipeError("image.size", f"pictures in an array stay {height} x {width}", "leave it out")
    parts = torch.split(torch.from_numpy(pixels), 1024)
    resized = [functional.interpolate(p.float(), (side, side), mode="bilinear", antialias=True) for p in parts]
    return torch.cat([part.round().clamp(0, 255).to(torch.uint8) for part in resized]).numpy()
