"""Pixels as pictures, and pictures as files and within a page."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image


def picture_of(pixels: np.ndarray) -> Image.Image:
    """(C, H, W) uint8, grey or coloured."""
    return Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def png(image: Image.Image) -> bytes:
    """The file of a picture."""
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def png_uri(image: Image.Image) -> str:
    """A picture within a page."""
    return "data:image/png;base64," + base64.b64encode(png(image)).decode()
