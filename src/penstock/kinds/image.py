"""Pictures: read, brought to one size, augmented and scaled."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from penstock.core.errors import DataError, RecipeError
from penstock.data.decode import decode
from penstock.data.examples import Examples, ImageFiles, InMemory
from penstock.data.images import find_files, measure
from penstock.data.opening import ImageData, Pictures, as_pixels
from penstock.data.pixels import Augment, PixelScaling, PixelTransform
from penstock.data.sources import Transform
from penstock.kinds.audit import audit_images
from penstock.kinds.kind import Kind, Material, Shown

LARGEST_SIDE = 128
"""Above this many pixels a side, pictures are made smaller unless a size is given: small machines train on them too."""


@dataclass(frozen=True)
class ReadImages:
    """How pictures are read; see recipes.settings.ImageSettings."""

    size: int | None = None
    skip_bad: int = 0
    memory: float = 4.0
    workers: int = 0
    shape: tuple[int, int, int] | None = None
    """That of a model that there is already, (C, H, W)."""


class ImageKind(Kind):
    """Pictures (B, C, H, W) as float32, each channel with mean 0 and deviation 1."""

    word = "image"
    default_model = "cnn"
    inputs = ("image",)

    def __init__(self, shape: tuple[int, int, int], scaling: PixelScaling, augment: Augment | None = None) -> None:
        self.shape, self.scaling, self.augment = shape, scaling, augment

    def sizes(self) -> dict[str, Any]:
        """Channels, height and width."""
        return dict(zip(("channels", "height", "width"), self.shape, strict=True))

    def transform(self, *, training: bool) -> Transform | None:
        """Scaling, in training after augmentation."""
        return PixelTransform(self.scaling, self.augment if training else None)

    def read(self, given: Sequence[object]) -> tuple[list[str], Examples]:
        """Image files, folders of them, or arrays of pixels, one after the other."""
        names: list[str] = []
        pixels: list[np.ndarray] = []
        channels, height, width = self.shape
        for number, item in enumerate(given):
            if isinstance(item, str | Path):
                files = find_files(Path(item)) if Path(item).is_dir() else [Path(item)]
                names += map(str, files)
                pixels += [decode(file, height, width, channels)[None] for file in files]
            else:
                found = self._from_array(np.asarray(item), f"input {number + 1}")
                names += [f"input {number + 1}[{i}]" for i in range(len(found))]
                pixels.append(found)
        return names, InMemory({"image": torch.from_numpy(np.concatenate(pixels))})

    def _from_array(self, array: np.ndarray, where: str) -> np.ndarray:
        channels, height, width = self.shape
        single = array.ndim == 2 or array.shape in (self.shape, (height, width, channels))
        pixels = as_pixels(array[None] if single else array, where)
        if pixels.shape[1:] != self.shape:
            raise DataError(where, f"pictures of shape {pixels.shape[1:]}", f"this model takes {self.shape}")
        return pixels

    def to_json(self) -> dict[str, Any]:
        """The size and the scaling; augmentation stays behind."""
        return {"kind": self.word, "shape": list(self.shape), "scaling": self.scaling.to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ImageKind:
        """The reverse of `to_json`."""
        channels, height, width = value["shape"]
        return cls((channels, height, width), PixelScaling(**value["scaling"]))


class ImageMaterial(Material):
    """Pictures with a label each, in memory where they fit into the budget, else read from their files as needed."""

    word: ClassVar[str] = "image"

    def __init__(self, data: ImageData, reading: ReadImages, shift: int | None, flip: bool) -> None:
        self.name, self.origin, self.empty = data.name, data.origin, list(data.empty)
        self.labels, self.given, self.pictures = data.labels, data.splits, data.pictures
        self._reading = reading
        if self.pictures.pixels is None:
            self.shape, self.detail = self._measure_files()
        else:
            channels, height, width = self.pictures.pixels.shape[1:]
            self.shape, self.detail = (channels, height, width), f"all {height} x {width}"
            if reading.shape not in (None, self.shape):
                raise DataError(self.origin, f"pictures of shape {self.shape}", f"this model takes {reading.shape}")
            if reading.size not in (None, height) or (height != width and reading.size is not None):
                raise RecipeError("image.size", f"pictures in an array stay {height} x {width}", "leave it out")
        height, width = self.shape[1:]
        self.augment = Augment(flip=flip, shift=max(width // 14, 1) if shift is None else shift)
        needed = len(self.pictures) * int(np.prod(self.shape))
        self.streams = self.pictures.pixels is None and needed > reading.memory * 2**30
        if self.pictures.pixels is None and (not self.streams or reading.skip_bad):
            self._decode_files()

    def fit(self, rows: np.ndarray) -> ImageKind:
        """The scaling, from these pictures."""
        return ImageKind(self.shape, PixelScaling.fit(self._raw({}), torch.from_numpy(rows)), self.augment)

    def examples(self, kind: Kind, tensors: Mapping[str, Tensor]) -> Examples:
        """All pictures, as bytes; the scaling is done to batches."""
        return self._raw(tensors)

    def facts(self) -> dict[str, Any]:
        """The size, and where the pictures are kept."""
        channels, height, width = self.shape
        kept = "read from disk as needed" if self.streams else "held in memory"
        varied = f"shifted by up to {self.augment.shift}" + (", mirrored" if self.augment.flip else "")
        detail = f"{self.detail}; {kept}; in training {varied}"
        return {"image": {"channels": channels, "height": height, "width": width, "detail": detail}}

    def audit(self, task: str, splits: Mapping[str, np.ndarray]) -> list[str]:
        """Pictures in two splits or under two labels, imbalance, empty classes."""
        findings = [f"class folder {name!r} has no picture and is left out" for name in self.empty]
        if self.pictures.pixels is not None:
            digests = [hashlib.blake2b(p.tobytes(), digest_size=16).digest() for p in self.pictures.pixels]
        else:
            digests = [hashlib.blake2b(f.read_bytes(), digest_size=16).digest() for f in self.pictures.files]
        return findings + audit_images(digests, self.labels, "classify" if task == "classify" else "regress", splits)

    def show(self, row: int) -> Shown:
        """The picture, small, as a PNG."""
        if self.pictures.pixels is not None:
            pixels = self.pictures.pixels[row]
        else:
            channels, height, width = self.shape
            pixels = decode(self.pictures.files[row], height, width, channels)
        image = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
        file = io.BytesIO()
        image.save(file, "PNG")
        uri = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
        return {"place": self.pictures.places[row], "picture": uri, "row": None}

    def fingerprint(self) -> str:
        """Over all pixels held, or the names and sizes of all files, the labels, and the split that came along."""
        words = [*map(str, self.labels), *(() if self.given is None else map(str, self.given))]
        digest = hashlib.sha256("\x1f".join(words).encode())
        if self.pictures.pixels is not None:
            digest.update(self.pictures.pixels.tobytes())
        else:
            sizes = [f"{place}:{file.stat().st_size}" for place, file in zip(self.pictures.places, self.pictures.files)]
            digest.update("\x1f".join(sizes).encode())
        return digest.hexdigest()[:16]

    def _raw(self, tensors: Mapping[str, Tensor]) -> Examples:
        if self.pictures.pixels is not None:
            return InMemory({"image": torch.from_numpy(self.pictures.pixels), **tensors})
        return ImageFiles(self.pictures.files, self.shape, tensors, workers=self._reading.workers)

    def _measure_files(self) -> tuple[tuple[int, int, int], str]:
        """One size for all, by the headers of the files."""
        found, bad = measure(self.pictures.files, self._reading.skip_bad)
        self._leave_out(bad)
        (height, width), side, channels = found.common, self._reading.size, found.channels
        if self._reading.shape is not None:
            channels, height, width = self._reading.shape
        elif side is not None:
            height = width = side
        elif not found.equal or max(height, width) > LARGEST_SIDE:
            height = width = max(min(min(found.common), LARGEST_SIDE) // 8 * 8, 8)
        (low_h, low_w), (high_h, high_w) = found.smallest, found.largest
        sizes = f"all {low_h} x {low_w}" if found.equal else f"from {low_h} x {low_w} to {high_h} x {high_w}"
        fitted = "" if (height, width) == found.common and found.equal else f", fitted into {height} x {width}"
        return (channels, height, width), sizes + fitted

    def _decode_files(self) -> None:
        """Read every file once; keep the pixels where they are to be held in memory."""
        channels, height, width = self.shape
        held = None if self.streams else np.empty((len(self.pictures), channels, height, width), dtype=np.uint8)
        bad: list[tuple[Path, str]] = []
        for row, file in enumerate(self.pictures.files):
            try:
                pixels = decode(file, height, width, channels)
                if held is not None:
                    held[row] = pixels
            except DataError as error:
                bad.append((file, error.problem))
                if len(self.skipped) + len(bad) > self._reading.skip_bad:
                    raise
        self.pictures = replace(self.pictures, pixels=held)
        self._leave_out(bad)

    def _leave_out(self, bad: Sequence[tuple[Path, str]]) -> None:
        if not bad:
            return
        self.skipped = [*self.skipped, *((str(file), reason) for file, reason in bad)]
        left_out = {file for file, _ in bad}
        keep = np.array([file not in left_out for file in self.pictures.files])
        self.labels = self.labels[keep]
        self.given = None if self.given is None else self.given[keep]
        pixels = self.pictures.pixels
        self.pictures = Pictures(
            [place for place, kept in zip(self.pictures.places, keep, strict=True) if kept],
            None if pixels is None else pixels[keep],
            [file for file, kept in zip(self.pictures.files, keep, strict=True) if kept],
        )
