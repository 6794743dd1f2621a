"""Pictures as a model takes them: of one size, augmented and scaled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from penstock.core.errors import DataError
from penstock.data.class_folders import find_files
from penstock.data.decode import decode
from penstock.data.examples import Examples, InMemory
from penstock.data.images import PICTURES
from penstock.data.opening import as_pixels
from penstock.data.pixels import Augment, PixelScaling, PixelTransform
from penstock.data.sources import Transform
from penstock.kinds.kind import Kind


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
                files = find_files(Path(item), PICTURES) if Path(item).is_dir() else [Path(item)]
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
