"""Pictures decoded to bytes of one size; worker processes import this, so it needs NumPy and Pillow alone."""

from __future__ import annotations

import contextlib
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from penstock.core.errors import DataError

PIXELS = 50_000_000
"""A picture that declares more pixels is refused before any is decoded."""

_FORMATS = ("PNG", "JPEG", "BMP", "DIB", "GIF", "WEBP", "TIFF", "PPM")
_GREY = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_ORIENTATION = 0x0112  # the EXIF tag
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What Pillow raises on damaged files, beside OSError
_DAMAGE = (SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)


@dataclass(frozen=True, slots=True)
class Picture:
    """What a picture's header declares, upright: pixels high and wide, and 1 channel for grey or 3 for colour."""

    height: int
    width: int
    channels: int


def peek(path: Path) -> Picture:
    """Read only the header. Raises DataError where the file is damaged, no picture, or above the limit of pixels."""
    with _opened(path) as image:
        width, height = image.size
        if _turn(image) in (5, 6, 7, 8):
            width, height = height, width
        return Picture(height, width, 1 if image.mode in _GREY else 3)


def decode(path: Path, height: int, width: int, channels: int) -> np.ndarray:
    """The picture as uint8 (channels, height, width), channels 1 (grey) or 3 (RGB).

    It is turned upright by its EXIF orientation, transparent parts are laid over white, and 16-bit grey is scaled to 8.
    A picture of another size is scaled by one factor for both sides, without aliasing, until it just fits; what is left
    at two borders is filled with the mean colour of the scaled picture's outermost pixels. A picture of that very size
    keeps its pixels. Raises DataError as `peek` does.
    """
    with _opened(path) as image:
        turn = _turn(image)
        lying = turn in (5, 6, 7, 8)
        upright = (image.height, image.width) if lying else image.size
        fitted = _fit(upright, (width, height))
        if fitted != upright:
            # JPEG can skip most of its work here; twice the size wanted leaves the scaling below its quality
            wide, high = reversed(fitted) if lying else fitted
            image.draft(None, (2 * wide, 2 * high))
        image.load()
        flat: Image.Image = _flatten(path, image, channels)
        if turn in _TURNS:
            flat = flat.transpose(_TURNS[turn])
        if flat.size != fitted:
            flat = flat.resize(fitted, Image.Resampling.BILINEAR)
        pixels = np.asarray(flat)
    return np.ascontiguousarray(_framed(pixels.reshape(*pixels.shape[:2], channels), height, width).transpose(2, 0, 1))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The picture with its header read; what Pillow raises inside becomes a DataError, what it warns of is lost."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=_FORMATS) as image:
                width, height = image.size
                if width * height > PIXELS:
                    raise _too_large(path, f"{width:,} x {height:,} = {width * height:,}")
                if width * height == 0:
                    raise DataError(path, f"the picture is {width} x {height} pixels", "remove the file")
                yield image
    except Image.DecompressionBombError as error:
        # Pillow's own limit, reached before the size can be asked for; its text begins with the number of pixels
        counts = [int(word) for word in str(error).replace("(", " ").split() if word.isdecimal()]
        raise _too_large(path, f"{counts[0]:,}" if counts else "too many") from None
    except FileNotFoundError:
        raise DataError(path, "the file is not there", "put it back, or start again without it") from None
    except UnidentifiedImageError:
        empty = path.stat().st_size == 0
        problem = "the file is empty" if empty else "is not a picture in a format that can be read"
        raise DataError(path, problem, "replace or remove the file, or pass --image.skip-bad N") from None
    except (OSError, *_DAMAGE) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
        raise DataError(path, f"cannot be decoded ({reason})", "replace the file, or pass --image.skip-bad N") from None


def _too_large(path: Path, declared: str) -> DataError:
    return DataError(path, f"declares {declared} pixels, above the limit of {PIXELS:,}", "scale the picture down")


def _turn(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8, from what the header holds; 1 for TIFF, which Pillow turns by itself."""
    block = image.info.get("exif")
    if image.format == "TIFF" or not isinstance(block, bytes):
        return 1
    exif = Image.Exif()
    try:
        exif.load(block)
        value = exif.get(_ORIENTATION, 1)
    except (OSError, *_DAMAGE):  # a damaged note beside sound pixels
        return 1
    return value if isinstance(value, int) else 1


def _fit(size: tuple[int, int], box: tuple[int, int]) -> tuple[int, int]:
    """The largest size of the same shape within `box`, both as (width, height)."""
    scale = min(box[0] / size[0], box[1] / size[1])
    return max(1, min(box[0], round(size[0] * scale))), max(1, min(box[1], round(size[1] * scale)))


def _flatten(path: Path, image: Image.Image, channels: int) -> Image.Image:
    """The picture in mode L or RGB, without transparency."""
    mode = "L" if channels == 1 else "RGB"
    if image.mode.startswith("I") or image.mode == "F":
        image = _eight_bits(path, image)
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    elif image.mode not in ("1", "L", "RGB"):
        image = image.convert("RGB")
    return image.convert(mode)


def _eight_bits(path: Path, image: Image.Image) -> Image.Image:
    """Grey of 16 bits, 0 to 65,535, scaled to 0 to 255 and rounded."""
    deep = np.asarray(image)
    if deep.dtype.kind == "f" or deep.min() < 0 or deep.max() > 65_535:
        raise DataError(path, "its grey values are not 8 or 16 bits deep", "convert it to an 8- or 16-bit picture")
    return Image.fromarray(((deep.astype(np.uint32) + 128) // 257).astype(np.uint8))


def _framed(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """(h, w, C) pixels in the middle of (height, width, C), around them the mean of their outermost pixels."""
    high, wide = pixels.shape[:2]
    if (high, wide) == (height, width):
        return pixels
    rim = np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
    frame = np.empty((height, width, pixels.shape[2]), np.uint8)
    frame[:] = np.rint(rim.mean(axis=0)).astype(np.uint8)
    top, left = (height - high) // 2, (width - wide) // 2
    frame[top : top + high, left : left + wide] = pixels
    return frame
